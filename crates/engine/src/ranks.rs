//! Fairness between projects: each task gets a rank in its vendor's queue when it is created, and
//! the queue is taken in order of rank.
//!
//! Start-time fair queueing: a project's next rank follows its last one, but never lags behind
//! the rank that the vendor last took. A project that floods only lengthens its own line; one
//! that has been quiet starts right where the vendor stands.

use pixel_store::{Store, StoreError};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Projects remembered per vendor before those that owe nothing are forgotten.
const PROJECTS_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct Ranks(Mutex<HashMap<String, Queue>>);

#[derive(Default)]
struct Queue {
    taken: i64,
    last: HashMap<Option<String>, i64>,
}

impl Ranks {
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        let ranks = Self::default();
        for span in store.ranks().await? {
            let mut queues = ranks.queues();
            let queue = queues.entry(span.vendor).or_insert_with(|| Queue { taken: i64::MAX, ..Queue::default() });
            // What was taken before is not known; the oldest task that lives stands for it.
            queue.taken = queue.taken.min(span.low - 1);
            queue.last.insert(span.project_id, span.high);
        }
        Ok(ranks)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        // Ranks are hints of order: after a panic they are still good enough.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rank of a new task, whose work is `slots` submissions.
    pub(crate) fn next(&self, vendor: &str, project: Option<&str>, slots: usize) -> i64 {
        let mut queues = self.queues();
        let queue = match queues.get_mut(vendor) {
            Some(queue) => queue,
            None => queues.entry(vendor.to_owned()).or_default(),
        };
        let taken = queue.taken;
        if queue.last.len() > PROJECTS_MAX {
            queue.last.retain(|_, last| *last > taken);
        }
        let last = queue.last.entry(project.map(str::to_owned)).or_insert(taken);
        *last = (*last).max(taken) + i64::try_from(slots).unwrap_or(1).max(1);
        *last
    }

    /// The vendor took a task of this rank.
    pub(crate) fn taken(&self, vendor: &str, rank: i64) {
        if let Some(queue) = self.queues().get_mut(vendor) {
            queue.taken = queue.taken.max(rank);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_project_starts_where_the_vendor_stands() {
        let ranks = Ranks::default();
        let flood: Vec<_> = (0..100).map(|_| ranks.next("v", Some("flood"), 1)).collect();
        ranks.taken("v", flood[9]);
        let quiet = ranks.next("v", Some("quiet"), 1);
        assert!(quiet <= flood[10], "{quiet} comes before the eleventh of the flood, {}", flood[10]);
        assert!(ranks.next("v", Some("quiet"), 4) >= quiet + 4, "four submissions count as four");
    }
}
