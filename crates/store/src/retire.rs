//! Retention: takes the media and the details of tasks that ended long ago, in small steps.
//!
//! A blob is shared by every row of `media` whose `blob` is its name, and it may be published anew
//! at any moment by a task that has no row yet. So that a file is never removed under such a task:
//!
//! - `media.gone` is 0 while the row's file is here; [`GOING`] from the commit that decides to
//!   remove the file until the one that records that it is removed; then the *generation* that
//!   this second commit raised. It is [`SHARED`] where the file stayed, because others name it.
//! - Who publishes reads the generation *before* it looks for the file, and hands it in with its
//!   row as `seen`. The writer refuses a row whose blob has a `gone` above `seen`: that file is
//!   being removed, or was removed after the look. The publisher then publishes once more.
//! - A file is doomed only in a transaction that finds no row with `gone` = 0 for it. That finding
//!   and the refusal exclude each other: on SQLite there is one writer, on PostgreSQL such
//!   transactions hold an advisory lock, shared for naming and exclusive for dooming.
//!
//! No clock is compared and nothing depends on how long a publisher takes. A crash leaves rows that
//! are `GOING`, which the next sweep takes up. One process sweeps at a time, by a lease in `meta`;
//! it removes files only in the first half of it, and a successor comes only after its end, so that
//! a sweeper that slept removes nothing that was published since.

use crate::{
    apply::{Op, Out},
    db::{Conn, DbResult, Row, Val, chunks, values_list},
    rows::Doomed,
};
use pixel_core::task::Facts;
use std::collections::{HashMap, HashSet};

/// Doomed, and perhaps removed already. Also written out where an index must fit.
pub(crate) const GOING: i64 = i64::MAX;
/// The row's task is retired; the file has other names, or another row stands for its end.
pub(crate) const SHARED: i64 = -1;
/// Doomed files that one step hands out, at most.
const DOOMED_MAX: i64 = 256;

/// Digits of a hash by which rows find each other. Two hashes that share them only keep a file
/// longer, or are refused once more than needed.
const BLOB_DIGITS: usize = 16;

pub(crate) fn blob_of(sha256: &str) -> &str {
    sha256.get(..BLOB_DIGITS).unwrap_or(sha256)
}

/// One step of a sweep, in one transaction.
#[derive(Debug)]
pub(crate) struct Step {
    /// The lease as it was last seen; another value means that somebody else sweeps.
    pub(crate) lease: i64,
    pub(crate) lease_us: i64,
    /// Rows whose files are removed by now.
    pub(crate) removed: Vec<String>,
    pub(crate) ended_before: i64,
    pub(crate) kept_s: i64,
    pub(crate) limit: i64,
}

/// What a step did.
#[derive(Debug)]
pub(crate) struct Stepped {
    pub(crate) lease: i64,
    pub(crate) generation: i64,
    pub(crate) tasks: usize,
    pub(crate) doomed: Vec<Doomed>,
}

/// Takes the lease, if nobody has it; raises the generation, so that 0 means that no sweep ever was.
pub(crate) async fn seize(conn: &mut Conn, lease_us: i64) -> DbResult<Out> {
    const LEASE: &str = "UPDATE meta SET value = {NOW} + $1 WHERE name = 'retention_lease' AND value <= {NOW} \
                         RETURNING value";
    let Some(lease) = first(&conn.rows(LEASE, vec![lease_us.into()]).await?)? else { return Ok(Out::Swept(None)) };
    let generation = raise(conn).await?;
    Ok(Out::Swept(Some(Stepped { lease, generation, tasks: 0, doomed: Vec::new() })))
}

/// Gives the lease back.
pub(crate) async fn release(conn: &mut Conn, lease: i64) -> DbResult<Out> {
    const LEASE: &str = "UPDATE meta SET value = 0 WHERE name = 'retention_lease' AND value = $1";
    conn.rows(LEASE, vec![lease.into()]).await?;
    Ok(Out::Done)
}

/// Records what was removed, retires the next tasks, and says which files are to go.
pub(crate) async fn step(conn: &mut Conn, step: &Step) -> DbResult<Out> {
    const LEASE: &str = "UPDATE meta SET value = {NOW} + $2 WHERE name = 'retention_lease' AND value = $1 \
                         RETURNING value";
    let held = conn.rows(LEASE, vec![step.lease.into(), step.lease_us.into()]).await?;
    let Some(lease) = first(&held)? else { return Ok(Out::Swept(None)) };
    let generation = if step.removed.is_empty() { generation(conn).await? } else { raise(conn).await? };
    record_removed(conn, &step.removed, generation).await?;
    let tasks = ended(conn, step).await?;
    let count = tasks.len();
    let mut retired = Vec::new();
    for chunk in chunks(tasks) {
        retired.extend(retire(conn, chunk, step.kept_s).await?);
    }
    doom(conn, retired).await?;
    Ok(Out::Swept(Some(Stepped { lease, generation, tasks: count, doomed: going(conn).await? })))
}

fn first(rows: &[Row]) -> DbResult<Option<i64>> {
    rows.first().map(|row| row.int(0)).transpose()
}

async fn generation(conn: &mut Conn) -> DbResult<i64> {
    let rows = conn.rows("SELECT value FROM meta WHERE name = 'blob_generation'", Vec::new()).await?;
    Ok(first(&rows)?.unwrap_or_default())
}

async fn raise(conn: &mut Conn) -> DbResult<i64> {
    const RAISE: &str = "UPDATE meta SET value = value + 1 WHERE name = 'blob_generation' RETURNING value";
    Ok(first(&conn.rows(RAISE, Vec::new()).await?)?.unwrap_or_default())
}

/// `$2, $3, …` for a list of so many values after the first.
fn list(from: usize, count: usize) -> String {
    (from..from + count).map(|at| format!("${at}")).collect::<Vec<_>>().join(",")
}

async fn record_removed(conn: &mut Conn, ids: &[String], generation: i64) -> DbResult<()> {
    for chunk in chunks(ids.to_vec()) {
        let sql = format!(
            "UPDATE media SET gone = $1, facts = '' WHERE gone = 9223372036854775807 AND id IN ({})",
            list(2, chunk.len())
        );
        conn.rows(&sql, with(generation, chunk)).await?;
    }
    Ok(())
}

fn with(first: i64, ids: Vec<String>) -> Vec<Val> {
    std::iter::once(Val::Int(first)).chain(ids.into_iter().map(Val::Text)).collect()
}

async fn ended(conn: &mut Conn, step: &Step) -> DbResult<Vec<String>> {
    const SQL: &str = "SELECT id FROM tasks WHERE completed_at <= $1 AND kept_s IS NULL \
                       ORDER BY completed_at LIMIT $2";
    let values = vec![step.ended_before.into(), step.limit.into()];
    conn.rows(SQL, values).await?.iter().map(|row| row.text(0)).collect()
}

/// A row of `media` whose task was retired.
struct Retired {
    id: String,
    sha256: Option<String>,
    blob: String,
}

/// Leaves of each task what a caller still gets, and takes its media's rows from it.
async fn retire(conn: &mut Conn, tasks: Vec<String>, kept_s: i64) -> DbResult<Vec<Retired>> {
    let (ids, after_first) = (list(1, tasks.len()), list(2, tasks.len()));
    let strip = format!(
        "UPDATE tasks SET params = '{{}}', warnings = '[]', made = NULL, attention = NULL, kept_s = $1 \
         WHERE id IN ({after_first})"
    );
    conn.rows(&strip, with(kept_s, tasks.clone())).await?;
    let values: Vec<Val> = tasks.into_iter().map(Val::Text).collect();
    let details = format!("UPDATE attempts SET detail = NULL WHERE task_id IN ({ids}) AND detail IS NOT NULL");
    conn.rows(&details, values.clone()).await?;
    let media = format!(
        "UPDATE media SET gone = {SHARED}, task_id = NULL WHERE task_id IN ({ids}) AND gone = 0 \
         RETURNING id, facts, blob"
    );
    let read = |row: &Row| {
        let sha256 = serde_json::from_str(&row.text(1)?).ok().map(|facts: Facts| facts.sha256);
        Ok(Retired { id: row.text(0)?, sha256, blob: row.text(2)? })
    };
    conn.rows(&media, values).await?.iter().map(read).collect()
}

/// Dooms the files that no row names any more: one row stands for each until it is removed.
async fn doom(conn: &mut Conn, retired: Vec<Retired>) -> DbResult<()> {
    let blobs: HashSet<&str> = retired.iter().map(|one| one.blob.as_str()).collect();
    let named = named(conn, blobs.into_iter().map(str::to_owned).collect()).await?;
    let mut doomed: HashMap<String, String> = HashMap::new();
    let mut shared = Vec::new();
    for one in retired {
        match one.sha256 {
            Some(sha256) if !named.contains(&one.blob) && !doomed.contains_key(&sha256) => {
                doomed.insert(sha256, one.id);
            }
            _ => shared.push(one.id),
        }
    }
    for chunk in chunks(doomed.into_values().collect()) {
        let sql = format!("UPDATE media SET gone = $1 WHERE id IN ({})", list(2, chunk.len()));
        conn.rows(&sql, with(GOING, chunk)).await?;
    }
    for chunk in chunks(shared) {
        let sql = format!("UPDATE media SET facts = '' WHERE id IN ({})", list(1, chunk.len()));
        conn.rows(&sql, chunk.into_iter().map(Val::Text).collect()).await?;
    }
    Ok(())
}

async fn named(conn: &mut Conn, blobs: Vec<String>) -> DbResult<HashSet<String>> {
    let mut named = HashSet::new();
    for chunk in chunks(blobs) {
        let sql = format!(
            "SELECT v.column1 FROM (VALUES {}) AS v \
             WHERE EXISTS (SELECT 1 FROM media WHERE media.blob = v.column1 AND media.gone = 0)",
            values_list(conn.dialect(), chunk.len(), 1)
        );
        for row in conn.rows(&sql, chunk.into_iter().map(Val::Text).collect()).await? {
            named.insert(row.text(0)?);
        }
    }
    Ok(named)
}

/// Files that are to be removed: those just doomed, and what a sweep before left.
async fn going(conn: &mut Conn) -> DbResult<Vec<Doomed>> {
    const SQL: &str = "SELECT id, facts FROM media WHERE gone = 9223372036854775807 LIMIT $1";
    let read = |row: &Row| {
        let facts: Facts = serde_json::from_str(&row.text(1)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Doomed { row: row.text(0)?, sha256: facts.sha256 })
    };
    conn.rows(SQL, vec![DOOMED_MAX.into()]).await?.iter().map(read).collect()
}

/// What a batch needs besides its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Untouched,
    /// Rows that name blobs are written.
    Given,
    /// Blobs that nobody names are looked for.
    Taken,
}

impl Names {
    pub(crate) fn of(ops: &[Op]) -> Self {
        match ops {
            _ if ops.iter().any(|op| matches!(op, Op::Retire(_))) => Self::Taken,
            _ if ops.iter().any(|op| !op.namings().is_empty()) => Self::Given,
            _ => Self::Untouched,
        }
    }
}

/// Which operations name a blob that is being removed, or was since its publisher looked.
pub(crate) async fn refused(conn: &mut Conn, ops: &[Op]) -> DbResult<HashSet<usize>> {
    let mut refused = HashSet::new();
    let namings = ops.iter().enumerate().flat_map(|(at, op)| op.namings().iter().map(move |naming| (at, naming)));
    for chunk in chunks(namings.collect::<Vec<_>>()) {
        let sql = format!(
            "SELECT v.column1 FROM (VALUES {}) AS v \
             WHERE EXISTS (SELECT 1 FROM media WHERE media.blob = v.column2 AND media.gone > v.column3)",
            values_list(conn.dialect(), chunk.len(), 3)
        );
        let values = chunk.into_iter().flat_map(|(at, one)| {
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            [Val::from(at), Val::from(one.blob.as_str()), Val::from(one.seen)]
        });
        for row in conn.rows(&sql, values.collect()).await? {
            refused.insert(usize::try_from(row.int(0)?).unwrap_or(usize::MAX));
        }
    }
    Ok(refused)
}
