//! The right to sweep, and its steps. The rules stand in [`crate::retire`].

use crate::{
    Store, StoreError,
    apply::{Op, Out},
    retire::{Step, Stepped},
    rows::Doomed,
};
use pixel_core::Stamp;
use std::time::{Duration, Instant};

/// A sweeper that fell silent keeps others from sweeping for so many leases of a task.
const LEASES: u32 = 4;

/// The right to sweep; nobody else has it until it ends.
pub struct Sweep {
    store: Store,
    lease: i64,
    length: Duration,
    until: Instant,
}

/// What one step did.
#[derive(Debug)]
pub struct Swept {
    /// Tasks that were retired.
    pub tasks: usize,
    /// Files to remove, each before [`Sweep::may_remove_until`].
    pub doomed: Vec<Doomed>,
}

impl Store {
    /// `None`: another process sweeps.
    pub async fn begin_sweep(&self) -> Result<Option<Sweep>, StoreError> {
        let length = self.lease_length() * LEASES;
        let until = Instant::now() + length;
        let seized = match self.ask(Op::Seize { lease_us: micros(length) }).await? {
            Out::Swept(seized) => seized,
            _ => return Err(StoreError::Closed),
        };
        Ok(seized.map(|Stepped { lease, generation, .. }| {
            self.saw_generation(generation);
            Sweep { store: self.clone(), lease, length, until }
        }))
    }
}

impl Sweep {
    /// Notes which files are removed and retires up to `limit` tasks that ended before a moment,
    /// saying that they were kept for so long. `None`: somebody else sweeps now.
    pub async fn step(
        &mut self,
        removed: Vec<Doomed>,
        ended_before: Stamp,
        kept: Duration,
        limit: u32,
    ) -> Result<Option<Swept>, StoreError> {
        let until = Instant::now() + self.length;
        let step = Step {
            lease: self.lease,
            lease_us: micros(self.length),
            removed: removed.into_iter().map(|one| one.row).collect(),
            ended_before: ended_before.0,
            kept_s: i64::try_from(kept.as_secs()).unwrap_or(i64::MAX),
            limit: i64::from(limit),
        };
        let stepped = match self.store.ask(Op::Retire(step)).await? {
            Out::Swept(stepped) => stepped,
            _ => return Err(StoreError::Closed),
        };
        Ok(stepped.map(|Stepped { lease, generation, tasks, doomed }| {
            self.store.saw_generation(generation);
            (self.lease, self.until) = (lease, until);
            Swept { tasks, doomed }
        }))
    }

    /// Until when files may be removed: what comes later might meet a successor's work.
    pub fn may_remove_until(&self) -> Instant {
        self.until - self.length / 2
    }

    pub async fn end(self) -> Result<(), StoreError> {
        self.store.ask(Op::Release { lease: self.lease }).await.map(drop)
    }
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4)
}
