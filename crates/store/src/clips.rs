//! Clips that apps know by a number: the row of each request, the limit on requests, and sums over both.
//!
//! The row is written in the transaction of its task, so that neither is ever there without the
//! other. The limit is judged in that transaction too: what every replica has let in counts, and
//! nothing else has to be remembered.

use crate::{
    StoreError,
    apply::Op,
    db::{Conn, DbResult, Dialect, Pool, Row, Val, chunks, values_list},
    read,
    render::{CreateRow, Values},
    rows::{NewClip, PollCount, TaskRow, Usage, UsageBy, UsageFilter},
};
use pixel_core::id::TaskId;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// The time over which a limit counts.
const WINDOW_US: i64 = 60_000_000;
const DAY_US: i64 = 86_400_000_000;

/// A [`NewClip`], ready to bind.
#[derive(Debug)]
pub(crate) struct ClipRow {
    row: Values,
    app: String,
    caller: String,
    per_min: u32,
}

impl ClipRow {
    pub(crate) fn new(task: &TaskId, model: &str, clip: &NewClip) -> Self {
        let row = vec![
            clip.number.into(),
            task.as_str().into(),
            clip.app.as_str().into(),
            clip.caller.as_str().into(),
            clip.method.into(),
            model.into(),
        ];
        Self { row, app: clip.app.clone(), caller: clip.caller.clone(), per_min: clip.per_min }
    }
}

/// What a caller's last minute holds.
struct Window {
    count: u32,
    /// Until its oldest request leaves it.
    frees: Duration,
}

impl Window {
    fn refuses(&self, per_min: u32) -> Option<Duration> {
        (per_min > 0 && self.count >= per_min).then_some(self.frees)
    }
}

/// The creates that their caller's limit refuses, and when to try again. What is there already is
/// a repeat of a commit whose answer was lost, and is not judged twice.
pub(crate) async fn limited(conn: &mut Conn, ops: &[Op]) -> DbResult<HashMap<usize, Duration>> {
    let asked: Vec<(usize, &CreateRow, &ClipRow)> = ops.iter().enumerate().filter_map(limits).collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    if conn.dialect() == Dialect::Postgres {
        // Of two replicas that count at once, neither would see what the other lets in.
        conn.plain("SELECT pg_advisory_xact_lock(7593018)").await?;
    }
    let known = known(conn, asked.iter().map(|(_, row, _)| row.id.clone()).collect()).await?;
    let callers: Vec<(String, String)> =
        asked.iter().map(|(.., clip)| (clip.app.clone(), clip.caller.clone())).collect();
    let distinct: Vec<_> = callers.iter().cloned().collect::<HashSet<_>>().into_iter().collect();
    let mut windows: BTreeMap<(String, String), Window> = BTreeMap::new();
    for chunk in chunks(distinct) {
        let (sql, values) = count(conn.dialect(), &chunk);
        for row in conn.rows(&sql, values).await? {
            let (at, window) = window(&row)?;
            windows.extend(chunk.get(at).cloned().map(|caller| (caller, window)));
        }
    }
    let mut refused = HashMap::new();
    for ((at, row, clip), caller) in asked.into_iter().zip(callers) {
        let window = windows
            .entry(caller)
            .or_insert(Window { count: 0, frees: Duration::from_micros(WINDOW_US.unsigned_abs()) });
        match window.refuses(clip.per_min).filter(|_| !known.contains(&row.id)) {
            Some(wait) => drop(refused.insert(at, wait)),
            None => window.count += u32::from(!known.contains(&row.id)),
        }
    }
    Ok(refused)
}

fn limits((at, op): (usize, &Op)) -> Option<(usize, &CreateRow, &ClipRow)> {
    let Op::Create(row) = op else { return None };
    row.clip.as_ref().filter(|clip| clip.per_min > 0).map(|clip| (at, row.as_ref(), clip))
}

async fn known(conn: &mut Conn, tasks: Vec<String>) -> DbResult<HashSet<String>> {
    let mut known = HashSet::new();
    for chunk in chunks(tasks) {
        let sql = format!("SELECT id FROM tasks WHERE id IN (VALUES {})", values_list(conn.dialect(), chunk.len(), 1));
        for row in conn.rows(&sql, chunk.into_iter().map(Val::Text).collect()).await? {
            known.insert(row.text(0)?);
        }
    }
    Ok(known)
}

/// Counts the last minute of each caller.
fn count(dialect: Dialect, callers: &[(String, String)]) -> (String, Vec<Val>) {
    let sql = format!(
        "SELECT v.column1, COUNT(c.id), COALESCE(MIN(c.created_at) - {{NOW}}, 0) + {WINDOW_US} \
         FROM (VALUES {}) AS v LEFT JOIN clips AS c \
         ON c.app = v.column2 AND c.caller = v.column3 AND c.created_at > {{NOW}} - {WINDOW_US} GROUP BY v.column1",
        values_list(dialect, callers.len(), 3)
    );
    let values = (0_i64..)
        .zip(callers)
        .flat_map(|(at, (app, caller))| [Val::from(at), Val::from(app.as_str()), Val::from(caller.as_str())]);
    (sql, values.collect())
}

fn window(row: &Row) -> DbResult<(usize, Window)> {
    let at = usize::try_from(row.int(0)?).unwrap_or(usize::MAX);
    // An empty window frees a place a whole minute after the first request of this batch.
    let frees = Duration::from_micros(row.int(2)?.clamp(0, WINDOW_US).unsigned_abs());
    Ok((at, Window { count: u32::try_from(row.int(1)?).unwrap_or(u32::MAX), frees }))
}

/// The rows of new tasks. A number that is given already fails the batch: its caller picks another.
pub(crate) async fn insert(conn: &mut Conn, rows: Vec<&ClipRow>) -> DbResult<()> {
    for chunk in chunks(rows) {
        let sql = format!(
            "INSERT INTO clips (id, task_id, app, caller, method, model, created_at) SELECT v.column1, v.column2, \
             v.column3, v.column4, v.column5, v.column6, {{NOW}} FROM (VALUES {}) AS v",
            values_list(conn.dialect(), chunk.len(), 6)
        );
        conn.rows(&sql, chunk.into_iter().flat_map(|clip| clip.row.iter().cloned()).collect()).await?;
    }
    Ok(())
}

/// Adds to the counts of polls. A repeat after a commit whose answer was lost counts twice: they
/// are for statistics, and nothing is refused by them.
pub(crate) async fn add_polls(conn: &mut Conn, counts: &[PollCount]) -> DbResult<()> {
    // Two replicas that lock the same rows in one order wait for each other, and not in a circle.
    let mut sorted: Vec<&PollCount> = counts.iter().collect();
    sorted.sort_unstable_by_key(|one| (one.day, &one.app, &one.caller));
    for chunk in chunks(sorted) {
        let sql = format!(
            "INSERT INTO clip_polls (day, app, caller, polls) VALUES {} ON CONFLICT (day, app, caller) \
             DO UPDATE SET polls = clip_polls.polls + excluded.polls",
            values_list(conn.dialect(), chunk.len(), 4)
        );
        let values = chunk.into_iter().flat_map(|one| {
            [one.day.into(), one.app.as_str().into(), one.caller.as_str().into(), Val::from(one.polls)]
        });
        conn.rows(&sql, values.collect()).await?;
    }
    Ok(())
}

/// The task behind a number.
pub(crate) async fn task(pool: &Pool, number: i64) -> Result<Option<TaskRow>, StoreError> {
    read::task_where(pool, "id = (SELECT task_id FROM clips WHERE id = $1)", number.into()).await
}

/// How long the limit would have a caller wait at this moment; the create itself has the last word.
pub(crate) async fn wait(pool: &Pool, clip: &NewClip) -> Result<Option<Duration>, StoreError> {
    let (sql, values) = count(pool.dialect(), &[(clip.app.clone(), clip.caller.clone())]);
    let rows = pool.rows(&sql, values).await?;
    let window = rows.first().map(window).transpose()?;
    Ok(window.and_then(|(_, window)| window.refuses(clip.per_min)))
}

/// One page of sums, in the order of their keys. A group that was only asked after is a group as well.
pub(crate) async fn usage(pool: &Pool, filter: &UsageFilter) -> Result<Vec<Usage>, StoreError> {
    let mut values: Vec<Val> = vec![filter.from_day.into(), filter.to_day.into(), i64::from(filter.limit).into()];
    values.extend(filter.after.as_ref().map(|after| match filter.by {
        UsageBy::Day => after.parse::<i64>().unwrap_or(i64::MAX).into(),
        UsageBy::App | UsageBy::User | UsageBy::Model => Val::from(after.as_str()),
    }));
    let rows = pool.rows(&sums(filter.by, filter.after.is_some()), values).await?;
    let read = |row: &Row| {
        let key = if filter.by == UsageBy::Day { row.int(0)?.to_string() } else { row.text(0)? };
        let [requests, completed, failed, polls] = [row.int(1)?, row.int(2)?, row.int(3)?, row.int(4)?];
        Ok(Usage { key, requests, completed, failed, polls })
    };
    rows.iter().map(read).collect()
}

/// Sums from day `$1` to before day `$2` over requests and over polls, at most `$3` of them, those after `$4`.
fn sums(by: UsageBy, has_after: bool) -> String {
    const DAY: &str = "CAST(c.created_at / 86400000000 AS BIGINT)";
    // The group's column of the requests, and of the polls, which do not know a model.
    let (key, polled) = match by {
        UsageBy::App => ("c.app", Some("p.app")),
        UsageBy::User => ("c.caller", Some("p.caller")),
        UsageBy::Day => (DAY, Some("p.day")),
        UsageBy::Model => ("c.model", None),
    };
    let after = |key: &str| if has_after { format!(" AND {key} > $4") } else { String::new() };
    let polls = polled.map_or_else(String::new, |key| {
        format!(
            " UNION ALL SELECT {key}, 0, 0, 0, CAST(SUM(p.polls) AS BIGINT) FROM clip_polls AS p \
             WHERE p.day >= $1 AND p.day < $2{} GROUP BY {key}",
            after(key)
        )
    });
    let sum = |name: &str| format!("CAST(SUM(g.{name}) AS BIGINT)");
    let [requests, completed, failed, polled] = ["requests", "completed", "failed", "polls"].map(sum);
    format!(
        "SELECT g.name, {requests}, {completed}, {failed}, {polled} FROM ( \
         SELECT {key} AS name, COUNT(*) AS requests, COUNT(CASE WHEN t.status = 'completed' THEN 1 END) AS completed, \
         COUNT(CASE WHEN t.status = 'failed' THEN 1 END) AS failed, 0 AS polls \
         FROM clips AS c JOIN tasks AS t ON t.id = c.task_id \
         WHERE c.created_at >= $1 * {DAY_US} AND c.created_at < $2 * {DAY_US}{} GROUP BY {key}{polls}) AS g \
         GROUP BY g.name ORDER BY g.name LIMIT $3",
        after(key)
    )
}
