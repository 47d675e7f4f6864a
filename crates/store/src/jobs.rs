//! Which submission a vendor's job belongs to: decided in the transaction that records an acceptance.
//!
//! A vendor that answers one submission with the id of another's job would have us show somebody
//! else's result. Two replicas that are told the same id at the same moment both believe it.

use crate::{
    db::{Conn, DbResult, Val, chunks, values_list},
    render::SaveRow,
};
use std::collections::{HashMap, HashSet};

type Name<'a> = (&'a str, &'a str);
type Owner<'a> = (&'a str, u32);

/// The saves that name a job which another slot's attempt has, or an earlier save of this batch.
pub(crate) async fn taken(conn: &mut Conn, saves: &[(usize, &SaveRow)]) -> DbResult<HashSet<usize>> {
    let mut claims: HashMap<Name<'_>, Owner<'_>> = HashMap::new();
    let mut taken = HashSet::new();
    for (at, row) in saves {
        let Some(job) = &row.job else { continue };
        let owner = (row.task_id.as_str(), job.slot);
        if *claims.entry((&job.vendor, &job.name)).or_insert(owner) != owner {
            taken.insert(*at);
        }
    }
    let names = claims.keys().map(|(vendor, name)| vec![Val::from(*vendor), Val::from(*name)]).collect();
    for chunk in chunks(names) {
        let sql = format!(
            "SELECT vendor, job, task_id, slot FROM attempts WHERE job IS NOT NULL AND (vendor, job) IN (VALUES {})",
            values_list(conn.dialect(), chunk.len(), 2)
        );
        for row in conn.rows(&sql, chunk.into_iter().flatten().collect()).await? {
            let (vendor, name, task, slot) = (row.text(0)?, row.text(1)?, row.text(2)?, row.int(3)?);
            let is_same = |save: &SaveRow| {
                save.job.as_ref().is_some_and(|job| job.vendor == vendor && job.name == name)
                    && (save.task_id != task || save.job.as_ref().is_some_and(|job| i64::from(job.slot) != slot))
            };
            taken.extend(saves.iter().filter(|(_, save)| is_same(save)).map(|(at, _)| *at));
        }
    }
    Ok(taken)
}
