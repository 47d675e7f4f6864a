//! Paid calls: recorded and flushed before the first byte leaves, used at most once.

use crate::{
    door,
    keys::KEYLESS_WAIT,
    pause,
    run::Stop,
    step::{Cursor, Left},
};
use pixel_core::{
    Error, ErrorKind,
    error::Advice,
    id::AttemptId,
    task::{Sent, SlotState},
    vendor::{Answer, HttpCall, Mark, Next, Repeat, Reply},
};
use pixel_store::{AttemptOutcome, Budget, Job, NewAttempt, crash, new_attempt_id, now};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long a vendor's whole queue pauses at most because it asked to slow down.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A vendor's raw answer is kept to this length.
const DETAIL_BYTES: usize = 4096;
/// A longer name of a job is kept as its hash.
const JOB_NAME_BYTES: usize = 160;

impl Cursor<'_> {
    /// Sends a paid call. `None`: the slot has left.
    pub(crate) async fn submit(&mut self, call: &HttpCall, mark: Mark) -> Result<Option<Next>, Stop> {
        if self.extras.outcome.is_some() {
            // An earlier call of this slot was accepted: that stands on disk before the next one.
            self.rest(mark.clone());
            self.write().await?;
        }
        if self.run.engine.0.stopping.is_cancelled() {
            // What begins now would be cut off, and nobody could say what became of it.
            return self.leave_until(now()).await.map(|_| None);
        }
        if self.run.key(&self.slot).is_none() {
            return self.leave_until(now().plus(KEYLESS_WAIT)).await.map(|_| None);
        }
        if self.run.engine.pause().is_some() {
            return Err(Stop::Later(pause::WAIT));
        }
        if let Some(since) = self.slot.doubt
            && self.settle_doubt(since, call, &mark).await?.is_some()
        {
            return Ok(None);
        }
        if let Some(open) = self.slot.open.clone().filter(|open| is_key_forgotten(open, call)) {
            return self
                .hold(open, mark, "the vendor no longer knows the key of the first request")
                .await
                .map(|_| None);
        }
        // Before the record: a disk or object store of ours that fails is no fault of the vendor's.
        let ready = match self.run.engine.0.door.ready(call).await {
            Ok(ready) => ready,
            Err(why) => {
                tracing::info!(why, "the request's inputs cannot be read yet");
                return self.try_again(None).await.map(|_| None);
            }
        };
        self.check_lease()?;
        crash::point!("submit.begun");
        let sent = self.record(call, &mark).await?;
        crash::point!("submit.recorded");
        // A process that was stopped between the record and this line must not send any more.
        if self.check_lease().is_err() {
            self.unsent(&sent, "the lease ended before the request left");
            return self.try_again(None).await.map(|_| None);
        }
        crash::point!("submit.leased");
        let lane = self.run.lane();
        match self.run.engine.0.door.send_ready(call, ready.leaving_if(self.may_leave())).await {
            door::Sent::Unsent { why } => {
                lane.iter().for_each(|lane| lane.unreachable(&why));
                self.unsent(&sent, &why);
                let message = format!("The vendor could not be reached: {why}");
                let error = Error::new(ErrorKind::VendorUnavailable, message);
                self.wait_or_pass(&error, None).await.map(|_| None)
            }
            door::Sent::Unclear { why } => {
                lane.iter().for_each(|lane| lane.unreachable(&why));
                self.unknown(sent, mark, &why).await.map(|_| None)
            }
            door::Sent::Answer(answer) => {
                lane.iter().for_each(|lane| lane.answered());
                crash::point!("submit.answered");
                self.read_answer(sent, mark, answer).await
            }
        }
    }

    /// The lease must be young enough that nobody else holds the task while the call leaves.
    fn check_lease(&self) -> Result<(), Stop> {
        let store = &self.run.engine.0.store;
        let left = store.leases().remaining(&self.run.claimed.lease);
        match left > store.lease_length() / 4 {
            true => Ok(()),
            false => Err(Stop::Fenced),
        }
    }

    /// A connection takes its time, and a paused process takes any time: asked once more at the end.
    fn may_leave(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let (leases, lease) = (self.run.engine.0.store.leases().clone(), self.run.claimed.lease.clone());
        move || !leases.remaining(&lease).is_zero()
    }

    /// Writes the intent; when this returns it is on stable storage.
    async fn record(&mut self, call: &HttpCall, mark: &Mark) -> Result<Sent, Stop> {
        let attempt = new_attempt_id().as_str().to_owned();
        let sent = Sent { attempt, at: now(), repeat: call.repeat, back: self.back(mark) };
        self.note_attempt(&sent, self.run.lane().map(|lane| lane.options.budget).unwrap_or_default());
        self.slot.state = SlotState::Sending { sent: sent.clone(), mark: mark.clone() };
        self.write().await?;
        Ok(sent)
    }

    /// What the slot goes back to when the call has to be made again.
    pub(crate) fn back(&self, mark: &Mark) -> Option<Mark> {
        match &self.slot.state {
            SlotState::Ready { mark } => mark.clone(),
            _ => Some(mark.clone()),
        }
    }

    /// A row of the ledger; it goes with the next write.
    pub(crate) fn note_attempt(&mut self, sent: &Sent, budget: Budget) {
        let price = self.run.card().price.as_ref();
        self.extras.attempt = Some(NewAttempt {
            id: AttemptId::trusted(sent.attempt.clone()),
            slot: self.slot.first,
            round: self.slot.round,
            vendor: self.run.claimed.vendor.clone(),
            estimate_micros: self.price(),
            currency: price.map(|price| price.currency.clone()),
            sent_at: sent.at,
            budget,
        });
    }

    fn price(&self) -> Option<i64> {
        let price = self.run.card().price.as_ref()?;
        i64::try_from(price.of(&self.run.claimed.request, self.slot.outputs)).ok()
    }

    /// Certainly not sent: the slot goes back.
    fn unsent(&mut self, sent: &Sent, why: &str) {
        tracing::info!(why, "the request did not leave; it will be sent later");
        self.outcome(sent, "unsent", Some(why.to_owned()));
        self.go_back(sent);
    }

    async fn read_answer(&mut self, sent: Sent, mark: Mark, answer: Answer) -> Result<Option<Next>, Stop> {
        let detail = describe(&answer);
        let error = match self.ask_next(&mark, &Reply::Answer(answer)) {
            Ok(next) => {
                if let (Ok(lane), Some(key)) = (self.run.lane(), self.run.key(&self.slot)) {
                    lane.admitted(key);
                }
                self.outcome(&sent, "accepted", None);
                if let Next::Wait(_, mark) | Next::Send(_, mark) = &next {
                    self.name_job(mark);
                }
                (self.slot.tries, self.slot.polls) = (0, 0);
                self.slot.accepted_at = Some(now());
                self.slot.open = None;
                return Ok(Some(next));
            }
            Err(error) => error,
        };
        let session = self.tell_session(&error);
        if let (None, Ok(lane), Some(key)) = (session, self.run.lane(), self.run.key(&self.slot)) {
            lane.note(key, &error);
        }
        crash::point!("submit.refused");
        if let (Some(wait), ErrorKind::VendorAuth) = (session, error.kind) {
            // The session was refused, and with it the request: that leaves again with the next one.
            self.outcome(&sent, "refused", Some(detail));
            self.go_back(&sent);
            return self.leave_until(now().plus(wait)).await.map(|_| None);
        }
        match error.kind.advice() {
            Advice::Unclear => self.unknown(sent, mark, &error.message).await.map(|_| None),
            Advice::Repeat => self.refused_for_now(&sent, error, detail).await.map(|_| None),
            Advice::Fail => {
                self.outcome(&sent, "refused", Some(detail));
                match self.can_switch(&error) {
                    true => self.switch_key().await.map(|_| None),
                    false => self.fail(error).await.map(|_| None),
                }
            }
        }
    }

    /// Certainly not accepted, and worth another try: the slot waits as long as the vendor asks.
    async fn refused_for_now(&mut self, sent: &Sent, error: Error, detail: String) -> Result<Left, Stop> {
        self.outcome(sent, "refused", Some(detail));
        self.go_back(sent);
        let least = Duration::from_secs(1);
        let mut wait = error.retry_after.map(|hint| crate::waits::jitter(hint.max(least) * 11 / 10));
        if error.kind == ErrorKind::RateLimited
            && let (Ok((lane, account)), Some(key)) = (self.run.account(), self.run.key(&self.slot))
        {
            let asked = error.retry_after.unwrap_or(least).max(least);
            if lane.has_one_key() {
                // What is true of this request is true of the vendor's whole queue.
                lane.pause(error.retry_after.unwrap_or(least).min(PAUSE_MAX));
            } else {
                lane.limit(key, asked);
                if self.can_switch(&error) {
                    return self.switch_key().await;
                }
                // Whichever key is the first to be free again.
                wait = Some(crate::waits::jitter(lane.keys_wait(account).max(least)));
            }
        }
        self.wait_or_pass(&error, wait).await
    }

    pub(crate) fn go_back(&mut self, sent: &Sent) {
        self.slot.state = SlotState::Ready { mark: sent.back.clone() };
    }

    /// Notes what became of an attempt; it goes with the next write.
    pub(crate) fn outcome(&mut self, sent: &Sent, word: &'static str, detail: Option<String>) {
        self.extras.outcome = Some(AttemptOutcome {
            id: AttemptId::trusted(sent.attempt.clone()),
            word,
            detail,
            cost_micros: if matches!(word, "accepted" | "found") { self.price() } else { None },
            job: None,
            at: now(),
        });
    }
}

impl Cursor<'_> {
    /// Adds to the outcome which of the vendor's jobs the submission became.
    pub(crate) fn name_job(&mut self, mark: &Mark) {
        let Ok((lane, account)) = self.run.account() else { return };
        let name = lane.options.vendor.job_name(mark).map(|name| match &lane.options.accounts[account].service {
            // Services count their jobs each for itself.
            Some(service) => format!("{service} {name}"),
            None => name,
        });
        let name = name.map(|name| match name.len() {
            0..=JOB_NAME_BYTES => name,
            _ => Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        let (vendor, slot) = (self.run.claimed.vendor.clone(), self.slot.first);
        if let (Some(outcome), Some(name)) = (&mut self.extras.outcome, name) {
            outcome.job = Some(Job { vendor, name, slot });
        }
    }
}

/// Whether a repeat would arrive after the vendor has forgotten the key that absorbs it.
pub(crate) fn is_key_forgotten(open: &Sent, call: &HttpCall) -> bool {
    match open.repeat {
        Repeat::Keyed { key_lifetime } => now().plus(call.timeout) >= open.at.plus(key_lifetime),
        _ => false,
    }
}

/// The answer as the private record keeps it.
fn describe(answer: &Answer) -> String {
    let body = answer.text.clone().unwrap_or_else(|| answer.body.to_string());
    let mut text = format!("HTTP {}: {body}", answer.status);
    if text.len() > DETAIL_BYTES {
        let end = (0..=DETAIL_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
