//! Reads: single rows by key and the task list.

use crate::{
    StoreError,
    apply::RawClaim,
    db::{Pool, Row, Val},
    rows::{AttemptRow, Claimed, Filter, Lease, MediaRow, Pause, RankSpan, Stored, TaskRow},
};
use pixel_core::{
    Stamp,
    id::{AttemptId, MediaId, TaskId},
    request::Kind,
    task::Status,
};
use serde::de::DeserializeOwned;
use std::time::Duration;

const TASK_COLUMNS: &str = "id, kind, model, status, sandbox, project_id, source, source_id, params, warnings, \
                            made, failure, attention, cost, progress, created_at, updated_at, started_at, \
                            completed_at, kept_s, served_by";

pub(crate) async fn task(pool: &Pool, id: &TaskId) -> Result<Option<TaskRow>, StoreError> {
    task_where(pool, "id = $1", id.as_str().into()).await
}

pub(crate) async fn task_where(pool: &Pool, condition: &str, value: Val) -> Result<Option<TaskRow>, StoreError> {
    let sql = format!("SELECT {TASK_COLUMNS} FROM tasks WHERE {condition}");
    let rows = pool.rows(&sql, vec![value]).await?;
    rows.first().map(read_task).transpose()
}

/// At most `limit` tasks, newest first: ids sort by the time at which they were made.
pub(crate) async fn list(pool: &Pool, filter: &Filter, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
    let mut sql = format!("SELECT {TASK_COLUMNS} FROM tasks WHERE true");
    let mut values: Vec<Val> = Vec::new();
    let mut also = |condition: &str, value: Option<&str>| {
        if let Some(value) = value {
            values.push(value.into());
            sql.push_str(&format!(" AND {condition} ${}", values.len()));
        }
    };
    also("kind =", filter.kind.map(Kind::as_str));
    also("status =", filter.status.map(Status::as_str));
    also("model =", filter.model.as_deref());
    also("project_id =", filter.project_id.as_deref());
    also("source =", filter.source.as_deref());
    also("source_id =", filter.source_id.as_deref());
    also("id <", filter.before.as_ref().map(TaskId::as_str));
    values.push(i64::from(limit).into());
    sql.push_str(&format!(" ORDER BY id DESC LIMIT ${}", values.len()));
    pool.rows(&sql, values).await?.iter().map(read_task).collect()
}

/// `seen` is the generation of blobs before this call.
pub(crate) async fn media(pool: &Pool, id: &MediaId, seen: i64) -> Result<Option<Stored>, StoreError> {
    const SQL: &str = "SELECT id, task_id, facts, created_at, gone FROM media WHERE id = $1";
    let rows = pool.rows(SQL, vec![id.as_str().into()]).await?;
    rows.first().map(|row| read_media(row, seen)).transpose()
}

pub(crate) async fn blob_generation(pool: &Pool) -> Result<i64, StoreError> {
    let rows = pool.rows("SELECT value FROM meta WHERE name = 'blob_generation'", Vec::new()).await?;
    Ok(rows.first().map(|row| row.int(0)).transpose()?.unwrap_or_default())
}

pub(crate) async fn attempts(pool: &Pool, task: &TaskId) -> Result<Vec<AttemptRow>, StoreError> {
    const SQL: &str = "SELECT id, slot, round, vendor, outcome, detail, cost_micros, sent_at FROM attempts \
                       WHERE task_id = $1 ORDER BY id";
    pool.rows(SQL, vec![task.as_str().into()]).await?.iter().map(read_attempt).collect()
}

/// How long until something is due, by the database's clock; `None` when nothing waits.
pub(crate) async fn next_due_us(pool: &Pool) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT MIN(due_at) - {NOW} FROM work WHERE stage > 0";
    let rows = pool.rows(SQL, Vec::new()).await?;
    Ok(rows.first().map(|row| row.int_opt(0)).transpose()?.flatten())
}

/// Live tasks by vendor and stage, for the metrics.
pub(crate) async fn depth(pool: &Pool) -> Result<Vec<(String, i64, i64)>, StoreError> {
    // Each half is counted in an index of its own: the rows are large.
    const SQL: &str = "SELECT vendor, CAST(0 AS BIGINT), COUNT(*) FROM work WHERE stage = 0 GROUP BY vendor \
                       UNION ALL SELECT vendor, stage, COUNT(*) FROM work WHERE stage > 0 GROUP BY vendor, stage";
    let rows = pool.rows(SQL, Vec::new()).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.int(1)?, row.int(2)?))).collect()
}

pub(crate) const PAUSE: &str = "SELECT name, value FROM meta WHERE name IN ('paused_since', 'restored_at')";

pub(crate) async fn pause(pool: &Pool) -> Result<Option<Pause>, StoreError> {
    pause_from(&pool.rows(PAUSE, Vec::new()).await?)
}

pub(crate) fn pause_from(rows: &[Row]) -> Result<Option<Pause>, StoreError> {
    let (mut since, mut restored_at) = (None, None);
    for row in rows {
        let to = if row.text(0)? == "paused_since" { &mut since } else { &mut restored_at };
        *to = Some(Stamp(row.int(1)?));
    }
    Ok(since.map(|since| Pause { since, restored_at }))
}

pub(crate) async fn ranks(pool: &Pool) -> Result<Vec<RankSpan>, StoreError> {
    const SQL: &str = "SELECT vendor, project_id, MIN(low), MAX(high) FROM ( \
                       SELECT vendor, project_id, MIN(rank) AS low, MAX(rank) AS high FROM work \
                       WHERE stage = 0 GROUP BY vendor, project_id \
                       UNION ALL SELECT vendor, project_id, MIN(rank), MAX(rank) FROM work \
                       WHERE stage > 0 GROUP BY vendor, project_id) AS spans GROUP BY vendor, project_id";
    let span = |row: &Row| {
        Ok(RankSpan { vendor: row.text(0)?, project_id: row.text_opt(1)?, low: row.int(2)?, high: row.int(3)? })
    };
    pool.rows(SQL, Vec::new()).await?.iter().map(span).collect()
}

pub(crate) fn parse<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}

fn parse_opt<T: DeserializeOwned>(text: Option<String>, what: &str) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(&text, what)).transpose()
}

fn word<T>(found: Option<T>, what: &str) -> Result<T, StoreError> {
    found.ok_or_else(|| StoreError::Corrupt(format!("unknown {what}")))
}

fn read_task(row: &Row) -> Result<TaskRow, StoreError> {
    Ok(TaskRow {
        id: TaskId::trusted(row.text(0)?),
        kind: word(Kind::parse(&row.text(1)?), "kind")?,
        model: row.text(2)?,
        served_by: row.text_opt(20)?,
        status: word(Status::parse(&row.text(3)?), "status")?,
        sandbox: row.int(4)? != 0,
        project_id: row.text_opt(5)?,
        source: row.text_opt(6)?,
        source_id: row.text_opt(7)?,
        params: parse(&row.text(8)?, "params")?,
        warnings: parse(&row.text(9)?, "warnings")?,
        made: parse_opt(row.text_opt(10)?, "made")?.unwrap_or_default(),
        failure: parse_opt(row.text_opt(11)?, "failure")?,
        attention: parse_opt(row.text_opt(12)?, "attention")?,
        cost: parse_opt(row.text_opt(13)?, "cost")?,
        progress: u8::try_from(row.int(14)?).unwrap_or(100),
        created_at: Stamp(row.int(15)?),
        updated_at: Stamp(row.int(16)?),
        started_at: row.int_opt(17)?.map(Stamp),
        completed_at: row.int_opt(18)?.map(Stamp),
        kept: row.int_opt(19)?.map(|kept_s| Duration::from_secs(kept_s.unsigned_abs())),
    })
}

fn read_media(row: &Row, seen: i64) -> Result<Stored, StoreError> {
    if row.int(4)? != 0 {
        return Ok(Stored::Removed);
    }
    Ok(Stored::Here(Box::new(MediaRow {
        id: MediaId::trusted(row.text(0)?),
        task: row.text_opt(1)?.map(TaskId::trusted),
        facts: parse(&row.text(2)?, "facts")?,
        created_at: Stamp(row.int(3)?),
        seen,
    })))
}

fn read_attempt(row: &Row) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        id: AttemptId::trusted(row.text(0)?),
        slot: row.int(1)?,
        round: row.int(2)?,
        vendor: row.text(3)?,
        outcome: row.text_opt(4)?,
        detail: row.text_opt(5)?,
        cost_micros: row.int_opt(6)?,
        sent_at: Stamp(row.int(7)?),
    })
}

pub(crate) fn claimed(raw: RawClaim) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        lease: Lease { task: TaskId::trusted(raw.task_id), fence: raw.fence },
        vendor: raw.vendor,
        model: raw.model,
        project_id: raw.project_id,
        rank: raw.rank,
        request: parse(&raw.request, "request")?,
        work: parse(&raw.state, "state")?,
        fallback: parse_opt(raw.fallback, "fallback")?,
        created_at: Stamp(raw.created_at),
    })
}
