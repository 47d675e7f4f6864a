//! Claims: which tasks a worker leases next, in one statement each.

use crate::{
    accounts,
    apply::{Op, Out, RawClaim},
    db::{Conn, DbResult, Row, Val},
    purse::open_purse,
    retire,
    rows::Budget,
};

/// Carries out what is neither a new row nor a save.
pub(crate) async fn claim(conn: &mut Conn, op: &Op) -> DbResult<Option<Out>> {
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
        Op::ClaimMovable { vendor, code, lease_us } => (
            "SELECT task_id FROM work WHERE stage = 0 AND vendor = $2 AND fallback_on IS NOT NULL \
             AND fallback_on LIKE $3 ORDER BY rank LIMIT 64 {SKIP}",
            vec![Val::from(vendor.as_str()), Val::from(format!("%{code}%").as_str())],
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
        Op::Account(id, change) => return accounts::apply(conn, id, change).await.map(Some),
        Op::Create(_) | Op::Save(_) | Op::Renew { .. } | Op::AddPolls(_) => return Ok(None),
    };
    // Materialised: a planner that ran the choice twice would lease more than was asked.
    let sql = format!(
        "WITH chosen AS MATERIALIZED ({pick}) \
         UPDATE work SET stage = 2, fence = fence + 1, due_at = {{NOW}} + $1 \
         WHERE task_id IN (SELECT task_id FROM chosen) \
         RETURNING task_id, fence, vendor, model, project_id, rank, request, state, created_at, fallback"
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
        fallback: row.text_opt(9)?,
    })
}
