//! The money rule: what is done when nobody can say whether a paid call was accepted.
//!
//! A durable-execution engine would run the step again. This one does not, because it costs:
//! with a key the vendor itself absorbs a repeat; where lost submissions can be searched the
//! vendor is asked; otherwise the slot is held, and only a person or a policy sends again.

use crate::{
    HoldPolicy, door, pause,
    run::Stop,
    step::{Cursor, Left},
};
use pixel_core::{
    Error, ErrorKind, Stamp,
    task::{Sent, SlotState},
    vendor::{Mark, Repeat},
};
use pixel_store::{crash, now};
use std::time::Duration;

impl Cursor<'_> {
    /// The outcome of `sent` is unknown.
    pub(crate) async fn unknown(&mut self, sent: Sent, mark: Mark, why: &str) -> Result<Left, Stop> {
        tracing::warn!(why, attempt = sent.attempt, "nobody can say whether the vendor accepted");
        self.outcome(&sent, "unknown", Some(why.to_owned()));
        self.slot.was_unclear = true;
        match sent.repeat {
            Repeat::Safe => {
                self.go_back(&sent);
                self.try_again(None).await
            }
            // Within the key's lifetime, which is looked at again before the repeat leaves.
            Repeat::Keyed { .. } => {
                self.go_back(&sent);
                self.slot.open.get_or_insert(sent);
                self.try_again(None).await
            }
            Repeat::Searchable { settle } => {
                let until = now().plus(settle);
                self.slot.state = SlotState::Searching { sent, mark, until };
                // Asked at once and again until the vendor must show it.
                self.leave_until(now()).await
            }
            Repeat::Never => self.hold(sent, mark, why).await,
        }
    }

    /// The vendor answered with a job that is another submission's: the slot stands where it stood
    /// when the request left, and what became of that is unknown.
    pub(crate) async fn disbelieve(&mut self) -> Result<Left, Stop> {
        self.slot = self.saved.clone();
        let why = "the vendor named a job that belongs to another submission";
        match self.slot.state.clone() {
            SlotState::Sending { sent, mark } => self.unknown(sent, mark, why).await,
            SlotState::Searching { sent, mark, .. } => self.hold(sent, mark, why).await,
            // Nothing else names a job.
            _ => self.leave().await,
        }
    }

    /// What the policy says: wait for a person, give up, or pay again.
    pub(crate) async fn hold(&mut self, sent: Sent, mark: Mark, why: &str) -> Result<Left, Stop> {
        self.slot.was_unclear = true;
        let rules = &self.run.engine.0.options.hold;
        let policy = match self.slot.doubt {
            // Made in advance for one lost answer; a restore may put a whole day's work in doubt.
            Some(_) => HoldPolicy::Hold,
            None => rules.policy(self.run.claimed.project_id.as_deref()),
        };
        match policy {
            HoldPolicy::Lost => self.fail(lost()).await,
            // Once: a vendor that stays unclear would be paid again and again.
            HoldPolicy::PayAgain if self.slot.round == 0 => {
                self.go_back(&sent);
                self.slot.round += 1;
                self.slot.open = None;
                self.try_again(None).await
            }
            HoldPolicy::Hold | HoldPolicy::PayAgain => {
                let until = now().plus(rules.length);
                let reason = format!(
                    "Nobody can say whether the vendor accepted this request: {}. Sending it again could cost twice.",
                    why.trim_end_matches('.')
                );
                self.slot.state = SlotState::Held { sent, mark, reason, until };
                crash::point!("hold.writing");
                let left = self.leave_until(until).await?;
                crash::point!("hold.written");
                Ok(left)
            }
        }
    }

    /// The hold is over and nobody has decided.
    pub(crate) async fn hold_ran_out(&mut self) -> Result<Left, Stop> {
        let message = "Nobody could say whether the vendor accepted this request, and nobody decided in time. \
                       It was not sent again.";
        self.fail(Error::new(ErrorKind::SubmitOutcomeUnknown, message)).await
    }

    /// Asks the vendor for a lost submission by our reference.
    pub(crate) async fn search(&mut self, sent: Sent, mark: Mark, until: Stamp) -> Result<Left, Stop> {
        let Some(found) = self.look_up(&mark).await else {
            return self.hold(sent, mark, "the vendor cannot be asked").await;
        };
        match found {
            Ok(Some(job)) => {
                self.outcome(&sent, "found", None);
                self.name_job(&job);
                (self.slot.tries, self.slot.polls) = (0, 0);
                self.slot.accepted_at = Some(sent.at);
                self.slot.state = SlotState::Accepted { mark: job };
                self.leave_until(now()).await
            }
            // The other life may still be sending: the time to become visible begins with the resume.
            Ok(None) if self.slot.doubt.is_some() && self.run.engine.pause().is_some() => {
                let settle = match sent.repeat {
                    Repeat::Searchable { settle } => settle,
                    _ => Duration::ZERO,
                };
                self.slot.state = SlotState::Searching { sent, mark, until: now().plus(settle) };
                self.leave_until(now().plus(pause::WAIT)).await
            }
            // Visible by now if it had been accepted: it was not.
            Ok(None) if now() >= until => {
                self.slot.doubt = None;
                self.outcome(&sent, "lost", None);
                self.go_back(&sent);
                self.leave_until(now()).await
            }
            Ok(None) => {
                let pause = until.since(now()).min(Duration::from_secs(2)).max(Duration::from_millis(50));
                self.slot.state = SlotState::Searching { sent, mark, until };
                self.leave_until(now().plus(pause)).await
            }
            Err(why) if self.slot.tries >= SEARCH_TRIES => self.hold(sent, mark, &why).await,
            Err(_) => {
                self.slot.state = SlotState::Searching { sent, mark, until };
                self.try_again(None).await
            }
        }
    }

    /// `None`: the vendor has no look-up. `Err`: it could not be asked.
    async fn look_up(&mut self, mark: &Mark) -> Option<Result<Option<Mark>, String>> {
        let reference = self.run.reference(&self.slot);
        let run = self.run;
        let lane = run.lane().ok()?;
        let vendor = &lane.options.vendor;
        vendor.search(&run.job(&self.slot, &reference, &self.issued).ok()?, mark)?;
        let keys = match run.search_keys(&self.slot) {
            Ok(keys) => keys,
            Err(error) => return Some(Err(error.message)),
        };
        for at in keys {
            let issued = lane.issued(at).unwrap_or_default();
            let job = run.job(&self.slot, &reference, &issued).ok()?;
            let call = vendor.search(&job, mark)?;
            crash::point!("search.sending");
            let sent = run.engine.0.door.send(&call).await;
            crash::point!("search.answered");
            let found = match sent {
                door::Sent::Answer(answer) => vendor.found(&job, mark, &answer).map_err(|error| error.message),
                door::Sent::Unsent { why } | door::Sent::Unclear { why } => Err(why),
            };
            match found {
                Ok(None) => {}
                Ok(Some(mark)) => {
                    let name = lane.key(at).map(|(_, key)| key.name.clone());
                    self.slot.key = name.filter(|name| !name.is_empty());
                    return Some(Ok(Some(mark)));
                }
                Err(why) => return Some(Err(why)),
            }
        }
        Some(Ok(None))
    }
}

/// Look-ups in a row that may fail before a person is asked.
const SEARCH_TRIES: u32 = 6;

pub(crate) fn lost() -> Error {
    let message = "Nobody could say whether the vendor accepted this request; it was given up and not sent again.";
    Error::new(ErrorKind::SubmitLost, message)
}
