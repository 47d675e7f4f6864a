//! Keys whose credential is a session: it is fetched when a call is made, and renewed or given up
//! when the vendor refuses it. Who does that stands outside the engine.

use crate::{
    Verdict,
    lane::Lane,
    run::{Run, Stop},
    step::{Cursor, Left},
};
use futures_util::future::BoxFuture;
use pixel_core::{
    Error, ErrorKind, SessionTrouble,
    task::{Slot, SlotState},
    vendor::Credential,
};
use pixel_store::now;
use std::{fmt, time::Duration};

/// How soon a slot comes back that met a session which has since been renewed.
const SOON: Duration = Duration::from_millis(250);

/// Gives a key its credential. Everything but the check answers at once, from memory.
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The credential at this moment; without one, nothing leaves.
    fn issued(&self) -> Option<Issued>;

    fn standing(&self) -> Standing;

    /// The same for what is paid for, which may have to wait while polls go on.
    fn standing_to_pay(&self) -> Standing {
        self.standing()
    }

    /// The vendor did not take the credential with this serial number. One that was replaced
    /// meanwhile says nothing; otherwise it is renewed once for all who report it, or parked.
    fn refused(&self, serial: u64, trouble: SessionTrouble, why: &str);

    /// The vendor's safety system refused something that was made with it.
    fn moderated(&self);

    /// A person asks whether it works, and so agrees to what that takes.
    fn check(&self) -> BoxFuture<'_, (Verdict, String)>;
}

/// A credential as it was given out.
#[derive(Clone, Debug, Default)]
pub struct Issued {
    pub credential: Credential,
    /// Grows with each renewal; the credentials of variables have none.
    pub serial: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Ready,
    /// It is being renewed; look again after this.
    Renewing(Duration),
    /// Nothing leaves until its holder has acted, or for so long.
    Parked {
        why: String,
        wait: Duration,
    },
}

impl Standing {
    pub(crate) fn wait(&self) -> Duration {
        match self {
            Self::Ready => Duration::ZERO,
            Self::Renewing(wait) | Self::Parked { wait, .. } => *wait,
        }
    }
}

impl Run {
    /// The credential of the slot's key, as it is now.
    pub(crate) fn issued(&self, slot: &Slot) -> Issued {
        let key = self.key(slot);
        key.and_then(|at| self.lane().ok()?.issued(at)).unwrap_or_default()
    }

    fn source(&self, slot: &Slot) -> Option<&dyn KeySource> {
        let (lane, at): (&Lane, _) = (self.lane().ok()?, self.key(slot)?);
        lane.key(at)?.1.source.as_deref()
    }
}

impl Cursor<'_> {
    /// Looks whether the slot's key has a credential now. `Some`: it has none, and the slot has left.
    pub(crate) async fn await_session(&mut self, is_paid: bool) -> Result<Option<Left>, Stop> {
        let standing = if is_paid { KeySource::standing_to_pay } else { KeySource::standing };
        let standing = self.run.source(&self.slot).map_or(Standing::Ready, standing);
        if standing == Standing::Ready {
            return Ok(None);
        }
        if self.is_waited_out() {
            let why = match standing {
                Standing::Parked { why, .. } => why,
                _ => "The session with the vendor was not renewed in time.".to_owned(),
            };
            return self.fail(Error::new(ErrorKind::DeadlineExceeded, why)).await.map(Some);
        }
        self.leave_until(now().plus(standing.wait())).await.map(Some)
    }

    /// A job that was paid for waits for its holder longer than for its vendor: as long as any task may.
    fn is_waited_out(&self) -> bool {
        let patience = self.run.engine.0.options.patience;
        self.is_past_deadline() && self.slot.accepted_at.is_some_and(|at| now() > at.plus(patience))
    }

    /// Tells the source of the slot's key what an error says of it. `Some`: it does say something,
    /// and the slot may go on after so long.
    pub(crate) fn tell_session(&self, error: &Error) -> Option<Duration> {
        let source = self.run.source(&self.slot)?;
        if error.kind == ErrorKind::ModerationBlocked {
            source.moderated();
        }
        source.refused(self.issued.serial, error.session?, &error.message);
        Some(source.standing().wait().max(SOON))
    }

    /// Whether the slot takes one of the places of its key.
    pub(crate) fn takes_place(&self) -> bool {
        use SlotState::{Accepted, Ready, Searching, Sending};
        let state = &self.slot.state;
        self.slot.key.is_some() && matches!(state, Ready { .. } | Sending { .. } | Searching { .. } | Accepted { .. })
    }
}
