//! Rows by the million, for the bench: what a server has made is copied, with new ids and times.

use crate::{
    Options, StoreError,
    db::{Conn, Dialect, Val},
    now,
    open::Source,
};

/// Copies of one transaction.
const CHUNK: i64 = 50_000;
/// Ended copies are spread over this time before now.
const SPAN_MS: i64 = 30 * 24 * 3600 * 1000;

/// Adds so many ended tasks, with their attempts and media, and so many queued ones, each a copy of
/// one that is there. No server may run meanwhile.
pub async fn multiply(options: &Options, ended: u32, queued: u32) -> Result<(), StoreError> {
    let mut conn = Source::new(&options.data, options.database_url.as_deref())?.connect().await?;
    let done = ids(&mut conn, "SELECT id FROM tasks WHERE completed_at IS NOT NULL ORDER BY id").await?;
    let live = ids(&mut conn, "SELECT task_id FROM work WHERE stage = 0 ORDER BY task_id LIMIT 8").await?;
    let (ended, queued) = (i64::from(ended), i64::from(queued));
    let spread = |at_ms: i64, count: i64| format!("{at_ms} + n.i * {}", SPAN_MS / count.max(1));
    let now_ms = now().0 / 1000;
    let past = Copies { mark: 'e', ms: spread(now_ms - SPAN_MS - 3_600_000, ended), count: ended, of: done };
    past.write(&mut conn, false).await?;
    let present = Copies { mark: 'f', ms: now_ms.to_string(), count: queued, of: live };
    present.write(&mut conn, true).await?;
    // What a database does in idle moments is not left to the measurement.
    let chores: &[&str] = match conn.dialect() {
        Dialect::Sqlite => &["PRAGMA wal_checkpoint(TRUNCATE)"],
        Dialect::Postgres => &["VACUUM ANALYZE", "CHECKPOINT"],
    };
    for chore in chores {
        conn.rows(chore, Vec::new()).await?;
    }
    conn.close().await;
    Ok(())
}

/// The hash under which the file of an ended copy is stored.
pub fn sha256(at: u32) -> String {
    let at = u64::from(at);
    format!("{:08x}{at:08x}{at:048x}", (at * SCATTER) & 0xffff_ffff)
}

/// Spreads neighbours over the whole range, as hashes and random ids are spread.
const SCATTER: u64 = 2_654_435_761;

async fn ids(conn: &mut Conn, sql: &str) -> Result<Vec<String>, StoreError> {
    Ok(conn.rows(sql, Vec::new()).await?.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
}

struct Copies {
    /// Keeps the ids of two kinds apart.
    mark: char,
    /// When copy `n.i` was created, in milliseconds.
    ms: String,
    count: i64,
    of: Vec<String>,
}

impl Copies {
    async fn write(&self, conn: &mut Conn, is_live: bool) -> Result<(), StoreError> {
        let step = i64::try_from(self.of.len()).unwrap_or(1);
        for (first, template) in (0..).zip(&self.of) {
            let mut from = first;
            while from < self.count {
                let to = (from + CHUNK * step).min(self.count);
                conn.begin().await?;
                for sql in self.statements(conn.dialect(), is_live) {
                    let sql = format!("{}{sql}", series(conn.dialect(), from, to, step));
                    conn.rows(&sql, vec![Val::from(template.as_str())]).await?;
                }
                conn.commit().await?;
                from = to + (first - to).rem_euclid(step);
            }
        }
        Ok(())
    }

    fn statements(&self, dialect: Dialect, is_live: bool) -> Vec<String> {
        let (ms, mark) = (&self.ms, self.mark);
        let hex = |what: &str, width: usize| match dialect {
            Dialect::Sqlite => format!("printf('%0{width}x', {what})"),
            Dialect::Postgres => format!("lpad(to_hex(CAST({what} AS BIGINT)), {width}, '0')"),
        };
        let scattered = hex(&format!("(n.i * {SCATTER}) & 4294967295"), 8);
        let id = format!("'task_' || {} || '7{mark}00' || {}", hex(ms, 12), hex("n.i", 16));
        let at = format!("({ms}) * 1000");
        let own = "kind, model, status, sandbox, project_id, source, source_id, params, warnings, made, failure, \
                   attention, cost, progress";
        let tasks = format!(
            "INSERT INTO tasks (id, {own}, created_at, updated_at, started_at, completed_at) \
             SELECT {id}, {own}, {at}, {at} + 2000000, \
             CASE WHEN started_at IS NULL THEN NULL ELSE {at} + 1000 END, \
             CASE WHEN completed_at IS NULL THEN NULL ELSE {at} + 2000000 END FROM tasks, n WHERE tasks.id = $1"
        );
        if is_live {
            let work = format!(
                "INSERT INTO work (task_id, stage, vendor, rank, due_at, fence, in_flight, model, project_id, request, \
                 state, created_at) SELECT {id}, 0, vendor, rank + 1 + n.i, 0, 0, 0, model, project_id, request, \
                 state, {at} FROM work, n WHERE task_id = $1"
            );
            return vec![tasks, work];
        }
        let attempts = format!(
            "INSERT INTO attempts (task_id, id, slot, round, fence, vendor, outcome, detail, estimate_micros, \
             cost_micros, currency, sent_at, answered_at) SELECT {id}, id, slot, round, fence, vendor, outcome, detail, \
             estimate_micros, cost_micros, currency, {at}, {at} FROM attempts, n WHERE task_id = $1"
        );
        let hash = format!("{scattered} || {} || {}", hex("n.i", 8), hex("n.i", 48));
        let facts = match dialect {
            Dialect::Sqlite => format!("json_set(facts, '$.sha256', {hash})"),
            Dialect::Postgres => {
                format!("CAST(jsonb_set(CAST(facts AS jsonb), ARRAY['sha256'], to_jsonb({hash})) AS TEXT)")
            }
        };
        // Of several media of a template the first is copied: two would have one id.
        let media = format!(
            "INSERT INTO media (id, task_id, facts, created_at, blob, gone) \
             SELECT 'med_' || {scattered} || {}, {id}, {facts}, {at}, {scattered} || {}, 0 FROM media, n \
             WHERE media.id = (SELECT MIN(id) FROM media WHERE task_id = $1)",
            hex("n.i", 24),
            hex("n.i", 8)
        );
        vec![tasks, attempts, media]
    }
}

/// `n.i` runs from one number to before another.
fn series(dialect: Dialect, from: i64, to: i64, step: i64) -> String {
    match dialect {
        Dialect::Sqlite => format!(
            "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + {step} FROM n WHERE i + {step} < {to}) "
        ),
        Dialect::Postgres => {
            format!("WITH n(i) AS (SELECT CAST(generate_series({from}, {to} - 1, {step}) AS BIGINT)) ")
        }
    }
}
