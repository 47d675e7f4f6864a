//! A person's decision about a held submission.

use crate::{
    Engine,
    run::{Run, Stop},
    unknown,
};
use pixel_core::{
    id::TaskId,
    task::{Choice, Failure, Slot, SlotState, Work},
    vendor::Repeat,
};
use pixel_store::{Claimed, StoreError, crash, now};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("no such task")]
    NoTask,
    /// The task awaits no decision (any more).
    #[error("the task awaits no decision")]
    NotHeld,
    /// Another submission of the same task is under way; it can be asked again shortly.
    #[error("the task is being worked on")]
    Busy,
    /// The vendor has no look-up.
    #[error("the vendor cannot be asked for a lost submission")]
    CannotSearch,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row that is leased at this very moment is asked for again so often.
const TRIES: u32 = 40;

impl Engine {
    /// Applies a decision to every held slot of a task. When this returns, it is stored.
    pub async fn resolve(&self, id: &TaskId, choice: Choice) -> Result<(), ResolveError> {
        let (engine, id) = (self.clone(), id.clone());
        let decided = tokio::spawn(async move { engine.decide(&id, choice).await });
        decided.await.map_err(|_| StoreError::Closed)?
    }

    async fn decide(&self, id: &TaskId, choice: Choice) -> Result<(), ResolveError> {
        for _ in 0..TRIES {
            let row = self.0.store.task(id).await?.ok_or(ResolveError::NoTask)?;
            if row.attention.is_none() {
                return Err(ResolveError::NotHeld);
            }
            if let Some(claimed) = self.0.store.claim_one(id).await? {
                let lease = claimed.lease.clone();
                let applied = self.apply(claimed, choice).await;
                self.0.store.leases().forget(&lease);
                return applied;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(ResolveError::Busy)
    }

    async fn apply(&self, claimed: Claimed, choice: Choice) -> Result<(), ResolveError> {
        let run = Run::open(self.clone(), claimed).ok_or(ResolveError::NotHeld)?;
        let held: Vec<usize> =
            run.claimed.work.slots.iter().enumerate().filter(|(_, s)| is_held(s)).map(|(at, _)| at).collect();
        let verdict = match (held.is_empty(), choice) {
            (true, _) => Err(ResolveError::NotHeld),
            (false, Choice::Search) if !can_search(&run, &held) => Err(ResolveError::CannotSearch),
            (false, _) => Ok(()),
        };
        let decided = verdict.is_ok();
        let decide = |work: &mut Work| {
            if decided {
                held.iter().for_each(|at| decide_slot(&mut work.slots[*at], choice));
            }
        };
        crash::point!("resolve.claimed");
        match run.write_work(decide).await {
            Ok(()) => {
                crash::point!("resolve.written");
                verdict
            }
            Err(Stop::Store(error)) => Err(error.into()),
            Err(Stop::Fenced | Stop::Later(_) | Stop::Removed | Stop::Taken) => Err(ResolveError::NotHeld),
        }
    }
}

fn is_held(slot: &Slot) -> bool {
    matches!(slot.state, SlotState::Held { .. })
}

fn can_search(run: &Run, held: &[usize]) -> bool {
    let has_next = run.claimed.fallback.as_ref().is_some_and(|fallback| !fallback.next.is_empty());
    held.iter().all(|at| {
        let slot = &run.claimed.work.slots[*at];
        if slot.doubt.is_some() && has_next {
            // It may be another model's vendor that has it.
            return false;
        }
        let SlotState::Held { mark, .. } = &slot.state else { return false };
        let reference = run.reference(slot);
        let issued = run.issued(slot);
        let job = run.job(slot, &reference, &issued);
        let vendor = run.lane().map(|lane| &lane.options.vendor);
        matches!((job, vendor), (Ok(job), Ok(vendor)) if vendor.search(&job, mark).is_some())
    })
}

/// Puts the decision into the slot; the schedule then finds it due.
fn decide_slot(slot: &mut Slot, choice: Choice) {
    let SlotState::Held { sent, mark, .. } = slot.state.clone() else { return };
    slot.due = now();
    slot.tries = 0;
    slot.state = match choice {
        Choice::Lost => {
            let error = unknown::lost();
            SlotState::Failed { failure: Failure::new(error.kind, error.message) }
        }
        Choice::Search => {
            // What was accepted a moment ago may not be visible yet.
            let settle = match sent.repeat {
                Repeat::Searchable { settle } => settle,
                _ => Duration::ZERO,
            };
            SlotState::Searching { sent, mark, until: now().plus(settle) }
        }
        Choice::PayAgain => {
            slot.round += 1;
            // The other life knew nothing of this round.
            (slot.open, slot.doubt) = (None, None);
            SlotState::Ready { mark: sent.back }
        }
    };
}
