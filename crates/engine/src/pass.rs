//! A task of an alias goes on with the next model: only when the present one has certainly accepted
//! nothing of it.
//!
//! The move is the write that would have ended the task, so that a crash finds the one or the other.
//! What was unclear once, was accepted, or may have left in a life that a restore has forgotten
//! stays with its vendor for good: a second vendor would be paid for the same thing.

use crate::{
    Engine,
    lane::{Lane, LaneState},
    run::{Run, Stop},
    step::{Cursor, Left},
    waits,
    writes::Live,
};
use pixel_core::{
    Error, ErrorKind, Stamp,
    fallback::{Candidate, Fallback},
    id::ModelId,
    request::Warning,
    task::{Failure, Slot, SlotState, Status, Work},
};
use pixel_store::{Claimed, Face, Moved, NewTask, StoreError, now};
use std::time::Duration;

/// A vendor that takes nothing for longer than this is passed over.
const LONG: Duration = Duration::from_secs(10);
/// Short refusals in a row after which it is passed over as well.
const TRIES: u32 = 3;
/// How long a task of an alias waits at most before it looks at the other models again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const FULL: &str = "The vendor takes no more requests for now.";
const SHUT: &str = "it takes nothing for now";
const UNUSABLE: &str = "it cannot be used on this server any more";

/// How a model that may take over stands at this moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    /// Its vendor takes nothing for a long time.
    Closed,
    Unusable,
}

/// Why a vendor takes nothing for a long time.
pub(crate) struct Closed {
    kinds: &'static [ErrorKind],
    why: String,
}

impl Closed {
    /// The failure that it is for this task, where that leads on.
    fn leading(&self, fallback: &Fallback) -> Option<Error> {
        let kind = self.kinds.iter().find(|kind| fallback.follows(kind.code()))?;
        Some(Error::new(*kind, self.why.clone()))
    }
}

impl Lane {
    /// Why nothing more is sent for a long time: to the vendor, or with the keys of this account.
    pub(crate) fn closed(&self, account: Option<usize>) -> Option<Closed> {
        const KEYS: &[ErrorKind] = &[ErrorKind::VendorAuth, ErrorKind::VendorBalance];
        let is_keyless = match account {
            Some(account) => !self.has_key(account),
            None => (0..self.options.accounts.len()).all(|account| !self.has_key(account)),
        };
        if is_keyless {
            return Some(Closed { kinds: KEYS, why: "It has no key on this server any more.".to_owned() });
        }
        let parked = |why: String| Closed { kinds: KEYS, why: format!("Its keys were refused: {why}") };
        let limited = || Closed { kinds: &[ErrorKind::RateLimited], why: FULL.to_owned() };
        match self.state() {
            LaneState::Parked(why) => return Some(parked(why)),
            LaneState::Paused(wait) if wait > LONG && self.broken_for().is_some() => {
                return Some(Closed {
                    kinds: &[ErrorKind::VendorUnavailable],
                    why: "The vendor does not answer.".to_owned(),
                });
            }
            LaneState::Paused(wait) if wait > LONG => return Some(limited()),
            LaneState::Paused(_) | LaneState::Open => {}
        }
        let service = self.options.accounts.get(account?)?.service.as_deref();
        match self.why_parked(service) {
            Some(why) => Some(parked(why)),
            None => (self.keys_wait(account?) > LONG).then(limited),
        }
    }
}

impl Engine {
    /// The lane that a model's calls go through, and its account; none when it cannot be used here.
    fn way(&self, vendor: &str, model: &str) -> Option<(&Lane, usize)> {
        let lane = self.0.lanes.get(vendor)?;
        let card = ModelId::parse(model).and_then(|id| self.0.catalog.model(&id))?;
        let account = lane.account(card.service.as_deref().filter(|_| card.provider == vendor))?;
        lane.has_key(account).then_some((lane, account))
    }

    fn stands(&self, next: &Candidate) -> Standing {
        match self.way(&next.vendor, &next.model) {
            None => Standing::Unusable,
            Some((lane, account)) if lane.closed(Some(account)).is_some() => Standing::Closed,
            Some(_) => Standing::Open,
        }
    }

    /// A new task begins with the first model whose vendor takes requests, if any does.
    pub(crate) fn skip_closed(&self, task: &mut NewTask) {
        let closed = |vendor: &str, model: &str| self.way(vendor, model).map(|(lane, at)| lane.closed(Some(at)));
        let Some(fallback) = &task.fallback else { return };
        let open = fallback.next.iter().position(|one| matches!(closed(&one.vendor, &one.model), Some(None)));
        for _ in 0..open.map_or(0, |at| at + 1) {
            let model = task.served_by.as_deref().unwrap_or(&task.model);
            let closed = closed(&task.vendor, model);
            let Some(fallback) = &mut task.fallback else { return };
            let Some(error) = closed.flatten().and_then(|closed| closed.leading(fallback)) else { return };
            fallback.pass(model, &error.message);
            let Some(next) = fallback.next.pop_front() else { return };
            task.work = next.work(&task.work, &fallback.warnings);
            (task.warnings, task.cost) = (task.work.warnings.clone(), next.cost);
            (task.vendor, task.request, task.served_by) = (next.vendor, next.request, Some(next.model));
        }
    }

    /// Takes tasks from the queues of closed vendors that another model may take over.
    pub(crate) async fn claim_movable(&self) -> Result<(), StoreError> {
        for (vendor, lane) in &self.0.lanes {
            let kinds = match lane.closed(None) {
                Some(closed) if !self.is_shut(lane) => closed.kinds,
                _ => continue,
            };
            for kind in kinds {
                let claimed = self.0.store.claim_movable(vendor, kind.code()).await?;
                claimed.into_iter().for_each(|task: Claimed| self.begin(task));
            }
        }
        Ok(())
    }
}

impl Run {
    /// Whether a failure with this public code, which waiting would mend, leads to a model that takes
    /// requests now: there is no way back.
    fn leads(&self, code: &str) -> bool {
        let is_open = |next: &Candidate| self.engine.stands(next) == Standing::Open;
        self.claimed.fallback.as_ref().is_some_and(|all| all.follows(code) && all.next.iter().any(is_open))
    }

    /// A slot that was told to wait long is given up once the others were refused for good.
    pub(crate) fn give_up_waiting(&self, live: &mut Live) {
        let Some(fallback) = &self.claimed.fallback else { return };
        let is_refused =
            |slot: &Slot| matches!(&slot.state, SlotState::Failed { failure } if fallback.follows(&failure.code));
        let late = now().plus(LONG);
        let work = &mut live.work;
        let waits = |slot: &Slot| !slot.state.is_over() && slot.due > late;
        let is_hopeless = work.slots.iter().any(is_refused) && work.slots.iter().all(|s| is_refused(s) || waits(s));
        if is_hopeless && work.is_clear() && self.leads(ErrorKind::RateLimited.code()) {
            let failure = Failure::new(ErrorKind::RateLimited, FULL);
            let open = work.slots.iter_mut().filter(|slot| !slot.state.is_over());
            open.for_each(|slot| slot.state = SlotState::Failed { failure: failure.clone() });
        }
    }

    /// The task as the next model's, when it would end with failures that lead there.
    pub(crate) fn move_on(&self, live: &mut Live) -> Option<Moved> {
        let fallback = self.claimed.fallback.as_ref()?;
        let failure = lead(fallback, &live.work)?;
        let mut fallback = fallback.clone();
        fallback.pass(&self.claimed.model, &failure.message);
        // One that takes requests now goes before those that have to be waited for.
        let standings: Vec<Standing> = fallback.next.iter().map(|next| self.engine.stands(next)).collect();
        let best = |standing| standings.iter().position(|one| *one == standing);
        let chosen = best(Standing::Open).or_else(|| best(Standing::Closed)).unwrap_or(standings.len());
        for standing in &standings[..chosen] {
            let next = fallback.next.pop_front()?;
            let why = if *standing == Standing::Closed { SHUT } else { UNUSABLE };
            fallback.pass(&next.model, why);
            let message = format!("'{}' could not take over: {why}.", next.model);
            live.work.warnings.push(Warning::new("model", message));
        }
        let next = fallback.next.pop_front()?;
        Some(self.moved(next, fallback, &live.work))
    }

    fn moved(&self, next: Candidate, fallback: Fallback, before: &Work) -> Moved {
        let work = next.work(before, &fallback.warnings);
        let project = self.claimed.project_id.as_deref();
        let rank = self.engine.0.ranks.next(&next.vendor, project, work.slots.len());
        tracing::info!(model = self.claimed.model, next = next.model, "another model takes the task over");
        Moved { vendor: next.vendor, model: next.model, rank, request: next.request, work, fallback }
    }
}

/// What the caller sees of a task that has moved.
pub(crate) fn face_of(moved: &Moved) -> Face {
    Face {
        status: if moved.work.shown.started { Status::Processing } else { Status::Pending },
        served_by: Some(moved.model.clone()),
        warnings: moved.work.warnings.clone(),
        made: Vec::new(),
        failure: None,
        attention: None,
        cost: moved.work.cost.clone(),
        progress: 0,
        at: now(),
    }
}

/// The first failure of work that is over, clear of any acceptance, and failed in ways that lead on.
fn lead<'a>(fallback: &Fallback, work: &'a Work) -> Option<&'a Failure> {
    let failure = |slot: &'a Slot| match &slot.state {
        SlotState::Failed { failure } if fallback.follows(&failure.code) => Some(failure),
        _ => None,
    };
    let failures: Option<Vec<&Failure>> = work.slots.iter().map(failure).collect();
    failures?.into_iter().next().filter(|_| work.is_clear())
}

impl Cursor<'_> {
    /// Certainly not accepted: the slot waits, or the whole task is another model's when that would
    /// take long.
    pub(crate) async fn wait_or_pass(&mut self, error: &Error, hint: Option<Duration>) -> Result<Left, Stop> {
        let is_long = hint.is_some_and(|hint| hint > LONG) || self.slot.tries + 1 >= TRIES;
        if !is_long || !self.run.leads(error.kind.code()) {
            let follows = self.run.claimed.fallback.as_ref().is_some_and(|all| all.follows(error.kind.code()));
            // Who waits by itself is not seen by others: it looks again whether another model is open.
            return self.try_again(hint.map(|hint| if follows { hint.min(LOOK_AGAIN) } else { hint })).await;
        }
        self.slot.tries += 1;
        let wait = hint.unwrap_or_else(|| waits::retry(self.slot.tries));
        self.pass(error, now().plus(wait)).await
    }

    /// Before anything is sent: passes over a vendor that takes nothing for long. `Some`: the slot has left.
    pub(crate) async fn pass_closed(&mut self) -> Result<Option<Left>, Stop> {
        let Some(fallback) = &self.run.claimed.fallback else { return Ok(None) };
        let closed = self.run.account().ok().and_then(|(lane, account)| lane.closed(Some(account)));
        let Some(error) = closed.and_then(|closed| closed.leading(fallback)) else { return Ok(None) };
        if !self.run.live().work.is_clear() {
            return Ok(None);
        }
        match self.run.leads(error.kind.code()) {
            true => self.pass(&error, now().plus(LONG)).await.map(Some),
            // It was taken from the queue in vain: the vendor is still closed.
            false => self.leave_until(now().plus(LONG)).await.map(Some),
        }
    }

    /// Fails every slot at once, unless others are being driven: then this one waits, and the last
    /// of them decides.
    async fn pass(&mut self, error: &Error, due: Stamp) -> Result<Left, Stop> {
        self.slot.due = due;
        if let Ok((lane, account)) = self.run.account() {
            lane.leave_place(account, &self.place());
        }
        let (at, slot, extras) = (self.at, self.slot.clone(), std::mem::take(&mut self.extras));
        let failure = Failure::new(error.kind, error.message.clone());
        self.run.write_pass(at, slot, extras, failure).await?;
        Ok(Left)
    }

    /// After a restore: the life that is lost may have gone on with the next model, where no look-up
    /// with this one's vendor finds anything.
    pub(crate) fn may_have_moved(&self) -> bool {
        let has_next = self.run.claimed.fallback.as_ref().is_some_and(|fallback| !fallback.next.is_empty());
        // What was accepted or unclear before the backup held the whole task back.
        let was_clear = |slot: &Slot| slot.accepted_at.is_none() && !slot.was_unclear && slot.round == 0;
        let could = self.run.live().work.slots.iter().all(was_clear) && was_clear(&self.slot);
        has_next && could && self.slot.doubt.is_some() && !self.run.lane().is_ok_and(Lane::is_free)
    }

    pub(crate) async fn hold_moved(&mut self, since: Stamp) -> Result<Left, Stop> {
        match self.slot.state.clone() {
            SlotState::Sending { sent, mark } => {
                let why = crate::doubt::why(since);
                self.outcome(&sent, "unknown", Some(why.clone()));
                self.hold(sent, mark, &why).await
            }
            _ => self.hold_unasked(since).await,
        }
    }
}
