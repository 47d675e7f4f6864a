//! Carries a batch of operations out inside one transaction: rows of the same kind become one
//! statement with many rows.

use crate::{
    beat::renew_all,
    db::{Conn, DbResult, Row, Val, chunks, values_list},
    render::{CreateRow, Naming, SaveRow, Values},
    retire::{self, Step, Stepped},
    rows::{Budget, Lease, Saved},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// What can be asked of the writer.
#[derive(Debug)]
pub(crate) enum Op {
    Create(CreateRow),
    Save(SaveRow),
    /// Leases queued tasks of one vendor, in order of rank, as its budget admits.
    ClaimQueued {
        vendor: String,
        budget: Budget,
        limit: i64,
        lease_us: i64,
    },
    /// Leases queued tasks at the head of a vendor's queue that were created before a moment: they
    /// have waited too long, whatever their vendor's state.
    ClaimStale {
        vendor: String,
        before: i64,
        lease_us: i64,
    },
    /// Leases tasks whose due time, or whose lease, has passed.
    ClaimDue {
        limit: i64,
        lease_us: i64,
    },
    /// Renews leases that ran out while no heartbeat could be written, before anyone claims.
    Renew {
        leases: Vec<Lease>,
        lease_us: i64,
    },
    /// Leases one waiting task, for a person's decision.
    ClaimOne {
        task_id: String,
        lease_us: i64,
    },
    /// Takes the right to sweep, if nobody has it.
    Seize {
        lease_us: i64,
    },
    Retire(Step),
    Release {
        lease: i64,
    },
}

impl Op {
    pub(crate) fn namings(&self) -> &[Naming] {
        match self {
            Self::Create(row) => &row.namings,
            Self::Save(row) => &row.namings,
            _ => &[],
        }
    }
}

/// What came of an operation.
#[derive(Debug)]
pub(crate) enum Out {
    Done,
    Saved(Saved),
    Claimed(Vec<RawClaim>),
    /// The tasks whose lease was renewed.
    Renewed(HashSet<String>),
    /// The budget admits nothing for so long.
    Spent(Duration),
    /// A blob that it names was, or is being, removed; nothing of it was written.
    Removed,
    /// `None`: somebody else sweeps.
    Swept(Option<Stepped>),
}

/// A leased work row, its JSON not yet read.
#[derive(Debug)]
pub(crate) struct RawClaim {
    pub(crate) task_id: String,
    pub(crate) fence: i64,
    pub(crate) vendor: String,
    pub(crate) model: String,
    pub(crate) project_id: Option<String>,
    pub(crate) rank: i64,
    pub(crate) request: String,
    pub(crate) state: String,
    pub(crate) created_at: i64,
}

/// Applies every operation, in the order: new rows, saves, renewals, claims (which then see the new rows).
/// `has_removed`: blobs may have been removed, so that rows which name some are to be checked.
pub(crate) async fn apply(conn: &mut Conn, ops: &[Op], has_removed: bool) -> DbResult<Vec<Out>> {
    let mut outs: Vec<Out> = ops.iter().map(|_| Out::Done).collect();
    let mut creates = Vec::new();
    let mut saves = Vec::new();
    let refused = if has_removed { retire::refused(conn, ops).await? } else { HashSet::new() };
    for (at, op) in ops.iter().enumerate() {
        match op {
            _ if refused.contains(&at) => outs[at] = Out::Removed,
            Op::Create(row) => creates.push(row),
            Op::Save(row) => saves.push((at, row)),
            _ => {}
        }
    }
    insert_tasks(conn, &creates).await?;
    for round in rounds(saves) {
        for (at, saved) in save_round(conn, &round).await? {
            outs[at] = Out::Saved(saved);
        }
    }
    for (at, op) in ops.iter().enumerate() {
        if let Op::Renew { leases, lease_us } = op {
            outs[at] = Out::Renewed(renew_all(conn, leases, *lease_us).await?);
        }
    }
    for (at, op) in ops.iter().enumerate() {
        if let Some(out) = claim(conn, op).await? {
            outs[at] = out;
        }
    }
    Ok(outs)
}

/// Inserts rows by the longest statements that keep the number of distinct ones small. Ids are
/// ours, so a row that is there already is this very row, from a commit whose answer was lost.
async fn insert(conn: &mut Conn, into: &str, rows: Vec<Values>) -> DbResult<()> {
    for chunk in chunks(rows) {
        let columns = chunk.first().map_or(0, Vec::len);
        let sql = format!(
            "INSERT INTO {into} VALUES {} ON CONFLICT DO NOTHING",
            values_list(conn.dialect(), chunk.len(), columns)
        );
        conn.rows(&sql, chunk.into_iter().flatten().collect()).await?;
    }
    Ok(())
}

/// Inserts new tasks. A public row that is there already is this very task, from a commit whose
/// answer was lost: its work row may have come and gone since, and must not come again.
async fn insert_tasks(conn: &mut Conn, rows: &[&CreateRow]) -> DbResult<()> {
    let mut new = HashSet::new();
    for chunk in chunks(rows.iter().map(|row| row.task.clone()).collect()) {
        let sql = format!(
            "INSERT INTO tasks (id, kind, model, status, sandbox, project_id, source, source_id, params, \
             warnings, cost, progress, created_at, updated_at) VALUES {} ON CONFLICT DO NOTHING RETURNING id",
            values_list(conn.dialect(), chunk.len(), 14)
        );
        for row in conn.rows(&sql, chunk.into_iter().flatten().collect()).await? {
            new.insert(row.text(0)?);
        }
    }
    let is_new = |row: &&&CreateRow| new.contains(&row.id);
    insert_media(conn, rows.iter().filter(is_new).flat_map(|row| row.media.iter().cloned()).collect()).await?;
    for chunk in chunks(rows.iter().filter(is_new).map(|row| row.work.clone()).collect()) {
        let sql = format!(
            "INSERT INTO work (task_id, vendor, rank, model, project_id, request, state, created_at, \
             stage, due_at, fence, in_flight) \
             SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, \
             v.column9, {{NOW}} + v.column10, v.column11, 0 FROM (VALUES {}) AS v",
            values_list(conn.dialect(), chunk.len(), 11)
        );
        conn.rows(&sql, chunk.into_iter().flatten().collect()).await?;
    }
    Ok(())
}

async fn insert_media(conn: &mut Conn, rows: Vec<Values>) -> DbResult<()> {
    insert(conn, "media (id, task_id, facts, created_at, blob)", rows).await
}

/// Splits saves so that no task stands twice in one round: their order must hold.
fn rounds(saves: Vec<(usize, &SaveRow)>) -> Vec<Vec<(usize, &SaveRow)>> {
    let mut out: Vec<Vec<(usize, &SaveRow)>> = Vec::new();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (at, row) in saves {
        let round = seen.entry(row.task_id.as_str()).and_modify(|n| *n += 1).or_insert(0);
        if out.len() <= *round {
            out.push(Vec::new());
        }
        out[*round].push((at, row));
    }
    out
}

async fn save_round(conn: &mut Conn, saves: &[(usize, &SaveRow)]) -> DbResult<Vec<(usize, Saved)>> {
    let later = admit(conn, saves).await?;
    let open: Vec<_> = saves.iter().filter(|(at, _)| !later.contains_key(at)).collect();
    let held = write_fenced(conn, &open).await?;
    let kept: Vec<&SaveRow> = open.iter().map(|(_, row)| *row).filter(|row| held.contains(&row.task_id)).collect();
    write_rest(conn, &kept).await?;
    let verdict = |(at, row): &(usize, &SaveRow)| match later.get(at) {
        Some(wait) => (*at, Saved::Later(*wait)),
        None if held.contains(&row.task_id) => (*at, Saved::Done),
        None => (*at, Saved::Fenced),
    };
    Ok(saves.iter().map(verdict).collect())
}

/// Writes the work rows whose fence still holds and says which those are.
async fn write_fenced(conn: &mut Conn, saves: &[&(usize, &SaveRow)]) -> DbResult<HashSet<String>> {
    let mut held = HashSet::new();
    for chunk in chunks(saves.iter().filter_map(|(_, row)| row.go.clone()).collect()) {
        let sql = format!(
            "UPDATE work SET stage = v.column3, \
             due_at = CASE WHEN v.column3 = 2 THEN work.due_at ELSE {{NOW}} + v.column4 END, \
             in_flight = v.column5, state = v.column6 FROM (VALUES {}) AS v \
             WHERE work.task_id = v.column1 AND work.fence = v.column2 AND work.stage = 2 RETURNING work.task_id",
            values_list(conn.dialect(), chunk.len(), 6)
        );
        for row in conn.rows(&sql, chunk.into_iter().flatten().collect()).await? {
            held.insert(row.text(0)?);
        }
    }
    let ends = saves.iter().filter(|(_, row)| row.go.is_none());
    let pairs = ends.map(|(_, row)| vec![Val::from(row.task_id.as_str()), Val::from(row.fence)]).collect();
    for chunk in chunks(pairs) {
        let sql = format!(
            "DELETE FROM work WHERE (task_id, fence) IN (VALUES {}) AND stage = 2 RETURNING task_id",
            values_list(conn.dialect(), chunk.len(), 2)
        );
        for row in conn.rows(&sql, chunk.into_iter().flatten().collect()).await? {
            held.insert(row.text(0)?);
        }
    }
    Ok(held)
}

/// Writes what goes with a work row: the public face, attempts and media.
async fn write_rest(conn: &mut Conn, saves: &[&SaveRow]) -> DbResult<()> {
    for chunk in chunks(saves.iter().filter_map(|row| row.face.clone()).collect()) {
        let sql = format!(
            "UPDATE tasks SET status = v.column2, warnings = v.column3, made = v.column4, failure = v.column5, \
             attention = v.column6, cost = v.column7, progress = v.column8, updated_at = v.column9, \
             started_at = COALESCE(tasks.started_at, v.column9), completed_at = v.column10 \
             FROM (VALUES {}) AS v WHERE tasks.id = v.column1 AND tasks.status NOT IN ('completed', 'failed')",
            values_list(conn.dialect(), chunk.len(), 10)
        );
        conn.rows(&sql, chunk.into_iter().flatten().collect()).await?;
    }
    const ATTEMPTS: &str = "attempts (task_id, id, slot, round, fence, vendor, estimate_micros, currency, sent_at)";
    insert(conn, ATTEMPTS, saves.iter().filter_map(|row| row.attempt.clone()).collect()).await?;
    for chunk in chunks(saves.iter().filter_map(|row| row.outcome.clone()).collect()) {
        let sql = format!(
            "UPDATE attempts SET outcome = v.column3, detail = v.column4, cost_micros = v.column5, \
             answered_at = v.column6 FROM (VALUES {}) AS v \
             WHERE attempts.task_id = v.column1 AND attempts.id = v.column2",
            values_list(conn.dialect(), chunk.len(), 6)
        );
        conn.rows(&sql, chunk.into_iter().flatten().collect()).await?;
    }
    insert_media(conn, saves.iter().flat_map(|row| row.media.iter().cloned()).collect()).await
}

/// How soon an attempt that met a pause asks again.
const PAUSE_WAIT: Duration = Duration::from_secs(2);

/// One vendor's budget within this transaction; reading it locks its row against other replicas.
struct Purse {
    now: i64,
    next_at: i64,
    in_flight: i64,
}

/// While submissions are paused no attempt is admitted, whatever a replica may have seen last.
async fn is_paused(conn: &mut Conn) -> DbResult<bool> {
    Ok(!conn.rows("SELECT 1 FROM meta WHERE name = 'paused_since'", Vec::new()).await?.is_empty())
}

/// Decides which attempts their vendors' budgets admit; the others get a moment to come back at.
async fn admit(conn: &mut Conn, saves: &[(usize, &SaveRow)]) -> DbResult<HashMap<usize, Duration>> {
    let attempts = || saves.iter().filter(|(_, row)| row.budget.is_some());
    if attempts().next().is_some() && is_paused(conn).await? {
        return Ok(attempts().map(|(at, _)| (*at, PAUSE_WAIT)).collect());
    }
    let limited = |row: &&SaveRow| row.budget.as_ref().is_some_and(|(_, budget)| *budget != Budget::default());
    let vendors: BTreeSet<&str> = saves
        .iter()
        .map(|(_, row)| *row)
        .filter(limited)
        .filter_map(|row| Some(row.budget.as_ref()?.0.as_str()))
        .collect();
    // In the order of their names: replicas that lock them in different orders would block each other.
    let mut purses: BTreeMap<&str, Purse> = BTreeMap::new();
    for vendor in vendors {
        purses.insert(vendor, open_purse(conn, vendor).await?);
    }
    let mut later = HashMap::new();
    for (at, row) in saves {
        let Some((vendor, budget)) = &row.budget else { continue };
        let Some(purse) = purses.get_mut(vendor.as_str()) else { continue };
        if let Err(wait) = purse.spend(*budget) {
            later.insert(*at, wait);
        }
    }
    for (vendor, purse) in purses {
        let values = vec![vendor.into(), purse.next_at.into()];
        conn.rows("UPDATE budgets SET next_at = $2 WHERE vendor = $1", values).await?;
    }
    Ok(later)
}

async fn open_purse(conn: &mut Conn, vendor: &str) -> DbResult<Purse> {
    const LOCK: &str = "INSERT INTO budgets (vendor, next_at) VALUES ($1, 0) \
                        ON CONFLICT (vendor) DO UPDATE SET next_at = budgets.next_at RETURNING next_at, {NOW}";
    const BUSY: &str = "SELECT CAST(COALESCE(SUM(in_flight), 0) AS BIGINT) FROM work \
                        WHERE vendor = $1 AND in_flight > 0";
    let first = |rows: Vec<Row>| rows.into_iter().next().ok_or(sqlx::Error::RowNotFound);
    let lock = first(conn.rows(LOCK, vec![vendor.into()]).await?)?;
    let busy = first(conn.rows(BUSY, vec![vendor.into()]).await?)?;
    Ok(Purse { now: lock.int(1)?, next_at: lock.int(0)?, in_flight: busy.int(0)? })
}

impl Purse {
    /// How soon a task that found every place taken asks again; a place falls free unannounced.
    const PLACE_WAIT: Duration = Duration::from_millis(250);

    /// How many submissions may leave now, or how long none may.
    fn room(&self, budget: Budget) -> Result<i64, Duration> {
        let places = match budget.concurrency {
            0 => i64::MAX,
            most => i64::from(most) - self.in_flight,
        };
        if places <= 0 {
            return Err(Self::PLACE_WAIT);
        }
        let Some(interval) = interval_us(budget) else { return Ok(places) };
        // A clock that was once far ahead must not block the vendor until then.
        let next_at = self.next_at.min(self.now.saturating_add(interval));
        match u64::try_from(next_at - self.now) {
            Ok(wait) if wait > 0 => Err(Duration::from_micros(wait)),
            _ => Ok(1),
        }
    }

    /// Takes one place and one moment, or says how long to wait.
    fn spend(&mut self, budget: Budget) -> Result<(), Duration> {
        self.room(budget)?;
        if let Some(interval) = interval_us(budget) {
            self.next_at = self.now.saturating_add(interval);
        }
        self.in_flight += 1;
        Ok(())
    }
}

/// The distance of submissions, evenly spaced: vendors meter a minute's rate by the second.
fn interval_us(budget: Budget) -> Option<i64> {
    (budget.rate_per_min > 0).then(|| 60_000_000 / i64::from(budget.rate_per_min))
}

/// Carries out what is neither a new row nor a save.
async fn claim(conn: &mut Conn, op: &Op) -> DbResult<Option<Out>> {
    let (pick, mut values, lease_us) = match op {
        Op::ClaimQueued { vendor, budget, limit, lease_us } => {
            let limit = match *budget == Budget::default() {
                true => *limit,
                false => match open_purse(conn, vendor).await?.room(*budget) {
                    Ok(room) => room.min(*limit),
                    Err(wait) => return Ok(Some(Out::Spent(wait))),
                },
            };
            (
                "SELECT task_id FROM work WHERE stage = 0 AND vendor = $2 ORDER BY rank LIMIT $3 {SKIP}",
                vec![Val::from(vendor.as_str()), Val::from(limit)],
                *lease_us,
            )
        }
        Op::ClaimStale { vendor, before, lease_us } => (
            "SELECT task_id FROM (SELECT task_id, created_at FROM work WHERE stage = 0 AND vendor = $2 \
             ORDER BY rank LIMIT 64 {SKIP}) AS head WHERE created_at < $3",
            vec![Val::from(vendor.as_str()), Val::from(*before)],
            *lease_us,
        ),
        Op::ClaimDue { limit, lease_us } => (
            "SELECT task_id FROM work WHERE stage > 0 AND due_at <= {NOW} ORDER BY due_at LIMIT $2 {SKIP}",
            vec![Val::from(*limit)],
            *lease_us,
        ),
        Op::ClaimOne { task_id, lease_us } => (
            "SELECT task_id FROM work WHERE stage = 1 AND task_id = $2 {SKIP}",
            vec![Val::from(task_id.as_str())],
            *lease_us,
        ),
        Op::Seize { lease_us } => return retire::seize(conn, *lease_us).await.map(Some),
        Op::Retire(step) => return retire::step(conn, step).await.map(Some),
        Op::Release { lease } => return retire::release(conn, *lease).await.map(Some),
        Op::Create(_) | Op::Save(_) | Op::Renew { .. } => return Ok(None),
    };
    // Materialised: a planner that ran the choice twice would lease more than was asked.
    let sql = format!(
        "WITH chosen AS MATERIALIZED ({pick}) \
         UPDATE work SET stage = 2, fence = fence + 1, due_at = {{NOW}} + $1 \
         WHERE task_id IN (SELECT task_id FROM chosen) \
         RETURNING task_id, fence, vendor, model, project_id, rank, request, state, created_at"
    );
    values.insert(0, Val::from(lease_us));
    let claimed = conn.rows(&sql, values).await?.iter().map(read_claim).collect::<DbResult<Vec<_>>>()?;
    Ok(Some(Out::Claimed(claimed)))
}

fn read_claim(row: &Row) -> DbResult<RawClaim> {
    Ok(RawClaim {
        task_id: row.text(0)?,
        fence: row.int(1)?,
        vendor: row.text(2)?,
        model: row.text(3)?,
        project_id: row.text_opt(4)?,
        rank: row.int(5)?,
        request: row.text(6)?,
        state: row.text(7)?,
        created_at: row.int(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purse_spaces_and_counts() {
        let mut purse = Purse { now: 1_000, next_at: 0, in_flight: 0 };
        let rate = Budget { concurrency: 0, rate_per_min: 60 };
        assert_eq!(purse.spend(rate), Ok(()));
        assert_eq!(purse.spend(rate), Err(Duration::from_secs(1)));
        purse.next_at = i64::MAX;
        assert_eq!(purse.spend(rate), Err(Duration::from_secs(1)), "a clock once far ahead does not block for ever");
        let places = Budget { concurrency: 1, rate_per_min: 0 };
        assert!(purse.spend(places).is_err(), "one is in flight already");
    }
}
