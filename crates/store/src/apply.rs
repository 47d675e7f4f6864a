//! Carries a batch of operations out inside one transaction: rows of the same kind become one
//! statement with many rows.

use crate::{
    accounts,
    beat::renew_all,
    claim::claim,
    clips,
    db::{Conn, DbResult, Val, chunks, values_list},
    jobs,
    purse::admit,
    render::{CreateRow, Naming, SaveRow, Values},
    retire::{self, Step, Stepped},
    rows::{Budget, Lease, PollCount, Saved},
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// What can be asked of the writer.
#[derive(Debug)]
pub(crate) enum Op {
    Create(Box<CreateRow>),
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
    /// Leases queued tasks of a vendor that is closed, which another model may take over.
    ClaimMovable {
        vendor: String,
        /// The public code of what closed it.
        code: &'static str,
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
    /// The account with that id.
    Account(String, accounts::Change),
    AddPolls(Vec<PollCount>),
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
    Account(accounts::Changed),
    /// Its caller has asked for too many clips; nothing of it was written.
    Limited(Duration),
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
    pub(crate) fallback: Option<String>,
}

/// Applies every operation, in the order: new rows, saves, renewals, claims (which then see the new rows).
/// `has_removed`: blobs may have been removed, so that rows which name some are to be checked.
pub(crate) async fn apply(conn: &mut Conn, ops: &[Op], has_removed: bool) -> DbResult<Vec<Out>> {
    let mut outs: Vec<Out> = ops.iter().map(|_| Out::Done).collect();
    let mut creates = Vec::new();
    let mut saves = Vec::new();
    let refused = if has_removed { retire::refused(conn, ops).await? } else { HashSet::new() };
    let limited = clips::limited(conn, ops).await?;
    for (at, op) in ops.iter().enumerate() {
        match op {
            _ if refused.contains(&at) => outs[at] = Out::Removed,
            Op::Create(_) if limited.contains_key(&at) => outs[at] = Out::Limited(limited[&at]),
            Op::Create(row) => creates.push(row.as_ref()),
            Op::AddPolls(counts) => clips::add_polls(conn, counts).await?,
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
             warnings, cost, progress, created_at, updated_at, served_by) VALUES {} ON CONFLICT DO NOTHING RETURNING id",
            values_list(conn.dialect(), chunk.len(), 15)
        );
        for row in conn.rows(&sql, chunk.into_iter().flatten().collect()).await? {
            new.insert(row.text(0)?);
        }
    }
    let is_new = |row: &&&CreateRow| new.contains(&row.id);
    clips::insert(conn, rows.iter().filter(is_new).filter_map(|row| row.clip.as_ref()).collect()).await?;
    insert_media(conn, rows.iter().filter(is_new).flat_map(|row| row.media.iter().cloned()).collect()).await?;
    for chunk in chunks(rows.iter().filter(is_new).map(|row| row.work.clone()).collect()) {
        let sql = format!(
            "INSERT INTO work (task_id, vendor, rank, model, project_id, request, state, created_at, \
             stage, due_at, fence, in_flight, fallback, fallback_on) \
             SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, \
             v.column9, {{NOW}} + v.column10, v.column11, 0, v.column12, v.column13 FROM (VALUES {}) AS v",
            values_list(conn.dialect(), chunk.len(), 13)
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
    let taken = jobs::taken(conn, saves).await?;
    let saves: Vec<(usize, &SaveRow)> = saves.iter().filter(|(at, _)| !taken.contains(at)).copied().collect();
    let later = admit(conn, &saves).await?;
    let open: Vec<_> = saves.iter().filter(|(at, _)| !later.contains_key(at)).collect();
    let held = write_fenced(conn, &open).await?;
    let kept: Vec<&SaveRow> = open.iter().map(|(_, row)| *row).filter(|row| held.contains(&row.task_id)).collect();
    write_rest(conn, &kept).await?;
    let verdict = |(at, row): &(usize, &SaveRow)| match later.get(at) {
        Some(wait) => (*at, Saved::Later(*wait)),
        None if held.contains(&row.task_id) => (*at, Saved::Done),
        None => (*at, Saved::Fenced),
    };
    let taken = taken.into_iter().map(|at| (at, Saved::Taken));
    Ok(saves.iter().map(verdict).chain(taken).collect())
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
    for chunk in chunks(saves.iter().filter_map(|(_, row)| row.moved.clone()).collect()) {
        let sql = format!(
            "UPDATE work SET stage = 0, due_at = {{NOW}}, in_flight = 0, vendor = v.column3, model = v.column4, \
             rank = v.column5, request = v.column6, state = v.column7, fallback = v.column8, fallback_on = v.column9 \
             FROM (VALUES {}) AS v \
             WHERE work.task_id = v.column1 AND work.fence = v.column2 AND work.stage = 2 RETURNING work.task_id",
            values_list(conn.dialect(), chunk.len(), 9)
        );
        for row in conn.rows(&sql, chunk.into_iter().flatten().collect()).await? {
            held.insert(row.text(0)?);
        }
    }
    let ends = saves.iter().filter(|(_, row)| row.go.is_none() && row.moved.is_none());
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
             started_at = CASE WHEN v.column2 = 'pending' THEN tasks.started_at \
             ELSE COALESCE(tasks.started_at, v.column9) END, completed_at = v.column10, \
             served_by = COALESCE(v.column11, tasks.served_by) \
             FROM (VALUES {}) AS v WHERE tasks.id = v.column1 AND tasks.status NOT IN ('completed', 'failed')",
            values_list(conn.dialect(), chunk.len(), 11)
        );
        conn.rows(&sql, chunk.into_iter().flatten().collect()).await?;
    }
    const ATTEMPTS: &str = "attempts (task_id, id, slot, round, fence, vendor, estimate_micros, currency, sent_at)";
    insert(conn, ATTEMPTS, saves.iter().filter_map(|row| row.attempt.clone()).collect()).await?;
    for chunk in chunks(saves.iter().filter_map(|row| row.outcome.clone()).collect()) {
        let sql = format!(
            "UPDATE attempts SET outcome = v.column3, detail = v.column4, cost_micros = v.column5, \
             answered_at = v.column6, job = v.column7 FROM (VALUES {}) AS v \
             WHERE attempts.task_id = v.column1 AND attempts.id = v.column2",
            values_list(conn.dialect(), chunk.len(), 7)
        );
        conn.rows(&sql, chunk.into_iter().flatten().collect()).await?;
    }
    insert_media(conn, saves.iter().flat_map(|row| row.media.iter().cloned()).collect()).await
}
