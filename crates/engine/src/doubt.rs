//! After a restore, what looks unsent may have been sent: by the server that went on after the
//! backup was taken. A slot in doubt therefore sends no paid call as if it were the first.
//!
//! With a key, the same one goes out again: it is made of the task, the slot and the round, so it
//! is the one that the other life used; but if the vendor has several keys of ours, that life may
//! have used another of them, which does not know this one's idempotency keys. Where lost submissions can be searched, this one is
//! searched first. With neither, a person decides, and no policy does: it was made for one lost
//! answer, not for a day's work of them.

use crate::{
    run::Stop,
    step::{Cursor, Left},
    submit::is_key_forgotten,
};
use pixel_core::{
    Stamp,
    task::{Sent, SlotState},
    vendor::{HttpCall, Mark, Repeat},
};
use pixel_store::{Budget, now};

impl Cursor<'_> {
    /// Decides about a paid call of a slot in doubt. `None`: it may leave.
    pub(crate) async fn settle_doubt(
        &mut self,
        since: Stamp,
        call: &HttpCall,
        mark: &Mark,
    ) -> Result<Option<Left>, Stop> {
        match call.repeat {
            Repeat::Safe => Ok(None),
            Repeat::Keyed { .. } => {
                // The other life may have sent it as early as the task was there.
                let first = Sent { at: self.run.claimed.created_at, ..self.supposed(call, mark) };
                let may_be_another = self.run.account().is_ok_and(|(lane, account)| lane.has_several_keys(account));
                if may_be_another || is_key_forgotten(&first, call) {
                    return self.hold_in_doubt(since, call, mark).await.map(Some);
                }
                self.slot.open = Some(first);
                Ok(None)
            }
            Repeat::Searchable { settle } => {
                let sent = self.suppose(call, mark);
                self.slot.state = SlotState::Searching { sent, mark: mark.clone(), until: now().plus(settle) };
                self.leave_until(now()).await.map(Some)
            }
            Repeat::Never => self.hold_in_doubt(since, call, mark).await.map(Some),
        }
    }

    async fn hold_in_doubt(&mut self, since: Stamp, call: &HttpCall, mark: &Mark) -> Result<Left, Stop> {
        let sent = self.suppose(call, mark);
        self.hold(sent, mark.clone(), &why(since)).await
    }

    /// No call could be made in time, so that nobody knows how often it may be repeated.
    pub(crate) async fn hold_unasked(&mut self, since: Stamp) -> Result<Left, Stop> {
        let mark = match &self.slot.state {
            SlotState::Ready { mark } => mark.clone(),
            _ => None,
        };
        let attempt = pixel_store::new_attempt_id().as_str().to_owned();
        let sent = Sent { attempt, at: now(), repeat: Repeat::Never, back: mark.clone() };
        self.hold(sent, mark.unwrap_or_default(), &why(since)).await
    }

    /// The submission that the other life may have made.
    fn supposed(&self, call: &HttpCall, mark: &Mark) -> Sent {
        let attempt = pixel_store::new_attempt_id().as_str().to_owned();
        Sent { attempt, at: now(), repeat: call.repeat, back: self.back(mark) }
    }

    /// The same, with a row of the ledger: what is found or decided later is written there.
    fn suppose(&mut self, call: &HttpCall, mark: &Mark) -> Sent {
        let sent = self.supposed(call, mark);
        // It takes no place in the vendor's budget: nothing leaves now.
        self.note_attempt(&sent, Budget::default());
        self.outcome(&sent, "unknown", Some("it may have been sent after the backup".to_owned()));
        sent
    }
}

pub(crate) fn why(since: Stamp) -> String {
    format!(
        "the database was restored from a backup at {}, and the request may have been sent after that backup was taken",
        since.to_iso()
    )
}
