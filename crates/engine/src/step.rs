//! Steps one slot: what its state asks for is done until it has to wait, or is over.

use crate::{
    door::Sent,
    lane::{Lane, is_about_the_key},
    run::{Run, Stop},
    session::Issued,
    waits,
    writes::Extras,
};
use pixel_core::{
    Error, ErrorKind, Stamp,
    error::Advice,
    task::{Failure, Slot, SlotState},
    vendor::{Call, HttpCall, Mark, Next, Reply},
};
use pixel_store::{crash, now};
use std::time::Duration;

/// Refusals in a row of a free call about a paid job, before the job is given up.
const REFUSED_TRIES: u32 = 5;

/// One slot while it is driven, with what is to be written at the next write.
pub(crate) struct Cursor<'a> {
    pub(crate) run: &'a Run,
    pub(crate) at: usize,
    pub(crate) slot: Slot,
    /// What the last call was built with.
    pub(crate) issued: Issued,
    /// The slot as last written: what a refused write goes back to.
    pub(crate) saved: Slot,
    pub(crate) extras: Extras,
}

/// The slot was written and is no longer driven.
#[derive(Debug)]
pub(crate) struct Left;

impl Run {
    /// Drives one slot until it leaves.
    pub(crate) async fn drive(&self, at: usize) -> Result<(), Stop> {
        let slot = self.live().work.slots[at].clone();
        let mut cursor =
            Cursor { run: self, at, saved: slot.clone(), issued: self.issued(&slot), slot, extras: Extras::default() };
        let stepped = match cursor.step().await {
            Err(Stop::Taken) => cursor.disbelieve().await,
            other => other,
        };
        match stepped {
            Ok(Left) => Ok(()),
            Err(Stop::Later(wait)) => {
                cursor.slot = cursor.saved.clone();
                cursor.leave_place();
                self.put_back(at, cursor.saved, wait).await
            }
            Err(stop) => Err(stop),
        }
    }
}

impl Cursor<'_> {
    async fn step(&mut self) -> Result<Left, Stop> {
        if let Some(since) = self.slot.doubt.filter(|_| self.may_have_moved())
            && matches!(self.slot.state, SlotState::Ready { .. } | SlotState::Sending { .. })
        {
            return self.hold_moved(since).await;
        }
        match self.slot.state.clone() {
            SlotState::Ready { .. } if self.is_out_of_patience() => {
                self.give_up("it could not be sent again in time").await
            }
            SlotState::Ready { .. } => {
                if let Some(left) = self.pass_closed().await? {
                    return Ok(left);
                }
                match self.choose_key().await? {
                    Some(left) => Ok(left),
                    None => {
                        self.issued = self.run.issued(&self.slot);
                        self.begin().await
                    }
                }
            }
            SlotState::Accepted { mark } => match self.missing_key() {
                Some(variable) => self.wait_for_key(&variable).await,
                None => {
                    self.keep_place();
                    self.resume(&mark).await
                }
            },
            SlotState::Sending { sent, mark } => {
                self.unknown(sent, mark, "Pixel stopped while the request was on its way").await
            }
            SlotState::Searching { sent, mark, until } => self.search(sent, mark, until).await,
            SlotState::Fetching { mark, outputs } => self.collect(mark, outputs).await,
            SlotState::Held { .. } => self.hold_ran_out().await,
            SlotState::Done { .. } | SlotState::Failed { .. } => self.leave().await,
        }
    }

    async fn begin(&mut self) -> Result<Left, Stop> {
        match self.slot.state.clone() {
            SlotState::Ready { mark: Some(mark) } => self.resume(&mark).await,
            _ => match self.ask_first() {
                Ok((call, mark)) => self.follow(Next::Send(call, mark)).await,
                Err(error) => self.fail(error).await,
            },
        }
    }

    async fn resume(&mut self, mark: &Mark) -> Result<Left, Stop> {
        match self.ask_next(mark, &Reply::Due) {
            Ok(next) => self.follow(next).await,
            Err(error) => self.fail(error).await,
        }
    }

    /// Does what a vendor wants next, until it wants to wait or is done.
    async fn follow(&mut self, first: Next) -> Result<Left, Stop> {
        let mut next = first;
        loop {
            next = match next {
                Next::Send(call, mark) => match self.carry(call, mark).await? {
                    Some(next) => next,
                    None => return Ok(Left),
                },
                // After the poll: a job that ended while this server was down is not given up unasked.
                Next::Wait(..) if self.is_past_deadline() => return self.fail(too_late()).await,
                Next::Wait(hint, mark) => {
                    let wait = hint.unwrap_or_else(|| {
                        waits::poll(&self.run.card().times, self.run.engine.0.options.poll_min, self.slot.polls)
                    });
                    let wait = wait.min(self.until_deadline());
                    self.slot.polls += 1;
                    self.rest(mark);
                    crash::point!("wait.writing");
                    let left = self.leave_until(now().plus(wait)).await?;
                    crash::point!("wait.written");
                    return Ok(left);
                }
                Next::Done(outputs, mark) => return self.collect(mark, outputs).await,
            };
        }
    }

    /// Carries one call out. `None`: the slot has left.
    async fn carry(&mut self, call: Call, mark: Mark) -> Result<Option<Next>, Stop> {
        let is_paid = matches!(&call, Call::Http(call) if call.repeat.is_paid());
        if !matches!(call, Call::Local(_)) && self.await_session(is_paid).await?.is_some() {
            return Ok(None);
        }
        match call {
            Call::Probe(link) => self.probe(&link, mark).await,
            Call::Local(work) => self.compute(work, mark).await,
            Call::Http(call) if call.repeat.is_paid() => self.submit(&call, mark).await,
            Call::Http(call) => self.send_free(&call, mark).await,
        }
    }

    /// A call that costs nothing: repeated until it is answered, or time runs out.
    async fn send_free(&mut self, call: &HttpCall, mark: Mark) -> Result<Option<Next>, Stop> {
        self.keep_mark(&mark).await?;
        let lane = self.run.lane();
        let sent = self.exchange(call).await;
        crash::point!("poll.answered");
        let why = match sent {
            Sent::Answer(answer) => {
                lane.iter().for_each(|lane| lane.answered());
                let is_refusal = (400..500).contains(&answer.status);
                let is_success = answer.is_success();
                let asked = self.ask_next(&mark, &Reply::Answer(answer));
                if asked.is_err() || !is_success {
                    self.forget(call);
                }
                if let Some(wait) = asked.as_ref().err().and_then(|error| self.tell_session(error)) {
                    return self.leave_until(now().plus(wait)).await.map(|_| None);
                }
                match asked {
                    Ok(next) => {
                        self.slot.tries = 0;
                        return Ok(Some(next));
                    }
                    Err(error) => match self.free_call_failed(error, is_refusal) {
                        Ok(wait) => return self.repeat_free(wait).await.map(|_| None),
                        Err(error) if self.can_switch(&error) => return self.switch_key().await.map(|_| None),
                        Err(error) => return self.fail(error).await.map(|_| None),
                    },
                }
            }
            Sent::Unsent { why } | Sent::Unclear { why } => why,
        };
        lane.iter().for_each(|lane| lane.unreachable(&why));
        tracing::info!(why, "a free call failed; it will be repeated");
        self.repeat_free(None).await.map(|_| None)
    }

    /// The mark is stored before the send, so that a crash resumes here.
    pub(crate) async fn keep_mark(&mut self, mark: &Mark) -> Result<(), Stop> {
        let mut resting = self.slot.clone();
        resting.rest(mark.clone());
        if resting.state != self.slot.state {
            self.slot = resting;
            self.write().await?;
        }
        Ok(())
    }

    /// Whether a failed free call is worth repeating (with the vendor's hint), or ends the slot.
    fn free_call_failed(&self, error: Error, is_refusal: bool) -> Result<Option<Duration>, Error> {
        // A refused credential must not end a job that was paid for: its owner may mend it.
        let paid_for = self.slot.accepted_at.is_some();
        let credential = is_about_the_key(&error);
        if credential && let (Ok(lane), Some(key)) = (self.run.lane(), self.run.key(&self.slot)) {
            lane.note(key, &error);
        }
        match error.kind.advice() {
            Advice::Repeat | Advice::Unclear => Ok(error.retry_after),
            Advice::Fail if credential && paid_for => Ok(None),
            // It is the question that was refused, not the job that failed: a vendor in trouble says that too.
            Advice::Fail if paid_for && is_refusal && self.slot.tries < REFUSED_TRIES => Ok(None),
            Advice::Fail => Err(error),
        }
    }

    pub(crate) fn ask_first(&self) -> Result<(Call, Mark), Error> {
        let reference = self.run.reference(&self.slot);
        let job = self.run.job(&self.slot, &reference, &self.issued)?;
        self.run.lane()?.options.vendor.first(&job)
    }

    pub(crate) fn ask_next(&self, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        let reference = self.run.reference(&self.slot);
        let job = self.run.job(&self.slot, &reference, &self.issued)?;
        self.run.lane()?.options.vendor.next(&job, mark, reply)
    }

    pub(crate) fn is_past_deadline(&self) -> bool {
        let deadline = Duration::from_secs(self.run.card().times.deadline_s);
        self.slot.accepted_at.is_some_and(|at| now() > at.plus(deadline))
    }

    /// The time that an accepted job still has.
    pub(crate) fn until_deadline(&self) -> Duration {
        let deadline = Duration::from_secs(self.run.card().times.deadline_s);
        self.slot.accepted_at.map_or(Duration::MAX, |at| at.plus(deadline).since(now()))
    }

    async fn repeat_free(&mut self, hint: Option<Duration>) -> Result<Left, Stop> {
        if self.is_past_deadline() {
            return self.fail(too_late()).await;
        }
        // A vendor that asks for no wait at all would be asked without end.
        let wait = hint.map_or_else(|| waits::retry(self.slot.tries + 1), |hint| hint.max(Duration::from_secs(1)));
        // Nor does one that asks for hours keep a task beyond its deadline: then it is asked once more.
        self.try_again(Some(wait.min(self.until_deadline()))).await
    }

    /// After a person has decided to pay again, the wait counts from nothing.
    fn is_out_of_patience(&self) -> bool {
        self.slot.accepted_at.is_none() && self.slot.round == 0 && now() > self.run.patience_ends()
    }

    /// No more tries: a submission that may have been accepted is still a person's to decide.
    pub(crate) async fn give_up(&mut self, why: &str) -> Result<Left, Stop> {
        if let Some(sent) = self.slot.open.take() {
            let mark = sent.back.clone().unwrap_or_default();
            let gone = self.missing_key().map(|variable| crate::choose::key_is_gone(&variable));
            return self.hold(sent, mark, gone.as_deref().unwrap_or(why)).await;
        }
        match self.slot.doubt.filter(|_| !self.run.lane().is_ok_and(Lane::is_free)) {
            Some(since) => self.hold_unasked(since).await,
            None => self.fail(too_late()).await,
        }
    }

    pub(crate) fn rest(&mut self, mark: Mark) {
        self.slot.rest(mark);
    }

    /// Writes the slot and stays.
    pub(crate) async fn write(&mut self) -> Result<(), Stop> {
        let extras = std::mem::take(&mut self.extras);
        self.run.write(self.at, self.slot.clone(), extras, false).await?;
        self.saved = self.slot.clone();
        Ok(())
    }

    /// Writes the slot and leaves.
    pub(crate) async fn leave(&mut self) -> Result<Left, Stop> {
        self.leave_place();
        let extras = std::mem::take(&mut self.extras);
        self.run.write(self.at, self.slot.clone(), extras, true).await?;
        Ok(Left)
    }

    pub(crate) async fn leave_until(&mut self, due: Stamp) -> Result<Left, Stop> {
        self.slot.due = due;
        self.leave().await
    }

    /// Comes back later, with growing waits unless the vendor said how long.
    pub(crate) async fn try_again(&mut self, hint: Option<Duration>) -> Result<Left, Stop> {
        self.slot.tries += 1;
        let wait = hint.unwrap_or_else(|| waits::retry(self.slot.tries));
        self.leave_until(now().plus(wait)).await
    }

    pub(crate) async fn fail(&mut self, error: Error) -> Result<Left, Stop> {
        if let Some(detail) = &error.detail {
            tracing::warn!(code = error.kind.code(), detail, "a slot failed");
        }
        self.slot.state = SlotState::Failed { failure: Failure::new(error.kind, error.message) };
        self.leave().await
    }
}

fn too_late() -> Error {
    Error::new(ErrorKind::DeadlineExceeded, "The vendor did not finish in the time that this model is given.")
}
