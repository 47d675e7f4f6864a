//! Which of its vendor's keys a slot goes on with.
//!
//! Any key will do while the vendor has certainly accepted nothing: one that is refused, or asked
//! to slow down, is set aside and the slot begins anew with another. From then on only the key that
//! it went out with knows of it: the same one repeats under its idempotency key, searches and polls.

use crate::{
    internal,
    keys::{KEYLESS_WAIT, KeyAt},
    lane::{Lane, is_about_the_key},
    run::{Run, Stop},
    step::{Cursor, Left},
    submit::{FORGOTTEN, is_key_forgotten},
    waits,
};
use pixel_core::{
    Error, ErrorKind,
    task::{Slot, SlotState},
};
use pixel_store::now;
use std::time::Duration;

/// Whoever cannot take another key looks this often whether its own is good again.
const BOUND_WAIT: Duration = Duration::from_secs(5);

impl Run {
    /// Where the task's calls go. A vendor that stands in for another has an account of its own only.
    pub(crate) fn account(&self) -> Result<(&Lane, usize), Error> {
        let (lane, card) = (self.lane()?, self.card());
        let service = card.service.as_deref().filter(|_| card.provider == self.claimed.vendor);
        let account = lane.account(service).ok_or_else(|| internal("the service of the task's model is gone"))?;
        Ok((lane, account))
    }

    pub(crate) fn key(&self, slot: &Slot) -> Option<KeyAt> {
        let (lane, account) = self.account().ok()?;
        lane.find(account, slot.key.as_deref()).ok()
    }

    /// The keys that may know of a lost submission. The other life of a restored slot chose for itself.
    pub(crate) fn search_keys(&self, slot: &Slot) -> Result<Vec<KeyAt>, Error> {
        let (lane, account) = self.account()?;
        if slot.doubt.is_some() && lane.has_several_keys(account) {
            let keys = 0..lane.options.accounts[account].keys.len();
            return Ok(keys.map(|key| KeyAt { account, key }).collect());
        }
        let at = lane.find(account, slot.key.as_deref());
        Ok(vec![at.map_err(|variable| Error::new(ErrorKind::VendorAuth, key_is_gone(&variable)))?])
    }
}

impl Cursor<'_> {
    /// Gives a slot that is ready its key. `Some`: none may be used now, and the slot has left.
    pub(crate) async fn choose_key(&mut self) -> Result<Option<Left>, Stop> {
        match self.choose() {
            Ok(Ok(())) => Ok(None),
            Ok(Err(_)) if self.is_forgotten() => self.give_up(FORGOTTEN).await.map(Some),
            Ok(Err(wait)) => self.leave_until(now().plus(wait)).await.map(Some),
            Err(error) => self.fail(error).await.map(Some),
        }
    }

    /// Whether the time has passed in which a repeat would have cost nothing.
    fn is_forgotten(&self) -> bool {
        let timeout = Duration::from_millis(self.run.card().times.submit_timeout_ms);
        self.slot.open.as_ref().is_some_and(|open| is_key_forgotten(open, timeout))
    }

    fn choose(&mut self) -> Result<Result<(), Duration>, Error> {
        let (lane, account) = self.run.account()?;
        let is_bound = self.slot.is_bound();
        let has_begun = is_bound || self.slot.key.is_some() || self.slot.state != SlotState::Ready { mark: None };
        if has_begun {
            let others = lane.keys_wait(account);
            match lane.find(account, self.slot.key.as_deref()).map(|at| lane.take(at, &self.place())) {
                Ok(Ok(())) => return Ok(Ok(())),
                Ok(Err(wait)) if is_bound => return Ok(Err(wait.min(BOUND_WAIT))),
                Ok(Err(wait)) if !others.is_zero() => return Ok(Err(wait.min(others))),
                Err(variable) if is_bound => {
                    tracing::warn!(variable, "the task waits for the key that it went out with");
                    return Ok(Err(KEYLESS_WAIT));
                }
                Ok(Err(_)) | Err(_) => self.begin_anew(),
            }
        }
        Ok(lane.pick(account, &self.place()).map(|at| {
            let name = lane.key(at).map(|(_, key)| key.name.clone());
            self.slot.key = name.filter(|name| !name.is_empty());
        }))
    }

    /// By what the slot's place with a key is known.
    pub(crate) fn place(&self) -> String {
        format!("{}-{}", self.run.claimed.lease.task, self.slot.first)
    }

    /// A slot that waits for its job keeps its place, also when it was begun before this start.
    pub(crate) fn keep_place(&self) {
        if let (Ok(lane), Some(at)) = (self.run.lane(), self.run.key(&self.slot)) {
            lane.keep_place(at, &self.place());
        }
    }

    /// A slot whose job does not run, or that is not to run, makes room for others.
    pub(crate) fn leave_place(&self) {
        if let (Ok((lane, account)), false) = (self.run.account(), self.takes_place()) {
            lane.leave_place(account, &self.place());
        }
    }

    /// What the key before has uploaded is of no use to another.
    fn begin_anew(&mut self) {
        self.slot.key = None;
        self.slot.state = SlotState::Ready { mark: None };
    }

    /// After a refusal that another key may be spared: whether there is one, which the slot then
    /// begins anew with. Nothing of the slot may have been accepted, not even perhaps.
    pub(crate) fn can_switch(&self, error: &Error) -> bool {
        let Ok((lane, account)) = self.run.account() else { return false };
        let is_worth_it = is_about_the_key(error) || error.kind == ErrorKind::RateLimited;
        is_worth_it && !self.slot.is_bound() && !lane.has_one_key() && lane.keys_wait(account).is_zero()
    }

    pub(crate) async fn switch_key(&mut self) -> Result<Left, Stop> {
        tracing::info!(key = self.slot.key, "the key is set aside; the request goes out with another");
        self.begin_anew();
        self.leave_until(now()).await
    }

    /// The variable of the slot's key, when it is not set here any more.
    pub(crate) fn missing_key(&self) -> Option<String> {
        let (lane, account) = self.run.account().ok()?;
        lane.find(account, self.slot.key.as_deref()).err()
    }

    /// A job that was accepted can be asked for with its own key only.
    pub(crate) async fn wait_for_key(&mut self, variable: &str) -> Result<Left, Stop> {
        if self.is_past_deadline() {
            return self.fail(Error::new(ErrorKind::DeadlineExceeded, key_is_gone(variable))).await;
        }
        tracing::warn!(variable, "the task waits for the key that submitted it");
        let wait = waits::poll(&self.run.card().times, self.run.engine.0.options.poll_min, self.slot.polls);
        self.slot.polls += 1;
        self.leave_until(now().plus(wait.min(self.until_deadline()))).await
    }
}

pub(crate) fn key_is_gone(variable: &str) -> String {
    format!(
        "The request went to the vendor with the key in {variable}, which is not set on this server any more, and no          other key can ask for it."
    )
}
