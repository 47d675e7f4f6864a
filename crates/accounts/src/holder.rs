//! One account: its token, how it stands, and the one piece of work at a time that changes that.

mod work;

use crate::{
    seal::Sealer,
    sign_in::{Login, Page, SignIn},
    trial::Trial,
};
use futures_util::future::BoxFuture;
use pixel_core::{
    SessionTrouble,
    vendor::{Credential, Secret},
};
use pixel_engine::{Issued, KeySource, Standing, Verdict};
use pixel_store::{SignInLimits, Store, now};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How soon a slot looks again while the session is renewed.
const LOOK: Duration = Duration::from_secs(1);
/// How soon it looks again at a parked one: its holder is a person.
const PARKED_LOOK: Duration = Duration::from_secs(5);
/// How long a check waits for a sign-in that it began.
const CHECK_MAX: Duration = Duration::from_secs(25);
/// Contents that the vendor's safety system refused in a day, before the account is spared.
const MODERATED_MAX: u32 = 3;
const DAY_US: i64 = 86_400_000_000;

/// What all accounts share.
#[derive(Clone)]
pub struct Office {
    pub store: Store,
    pub sealer: Arc<Sealer>,
    pub sign_in: Arc<dyn SignIn>,
    pub trial: Arc<dyn Trial>,
    pub limits: SignInLimits,
    pub stopping: CancellationToken,
}

/// Which account it is, and what its holder has told us.
#[derive(Clone, Debug)]
pub struct Order {
    /// Of its row: says nothing of the holder to who reads it.
    pub id: String,
    pub vendor: String,
    /// Its first variable, by which people know it.
    pub name: String,
    pub login: Login,
    pub page: Page,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Holder(Arc<Inner>);

struct Inner {
    office: Office,
    order: Order,
    state: Mutex<State>,
    /// Whether somebody works on the session.
    busy: watch::Sender<bool>,
}

struct State {
    issued: Option<Issued>,
    standing: Standing,
    /// The day since 1970, and how often the vendor's safety system refused something in it.
    moderated: (i64, u32),
    spared_until: Option<Instant>,
}

/// What there is to do about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Begin,
    Renew,
    /// Its holder has agreed to a sign-in.
    Agreed,
    Evicted,
    Blocked,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({})", self.0.order.name)
    }
}

impl Holder {
    /// Takes the account up: whatever is known of it is tried, and signed in to if need be.
    pub fn start(office: Office, order: Order) -> Self {
        let standing = Standing::Renewing(LOOK);
        let state = State { issued: None, standing, moderated: (0, 0), spared_until: None };
        let holder = Self(Arc::new(Inner { office, order, state: Mutex::new(state), busy: watch::Sender::new(false) }));
        holder.begin(Work::Begin, "");
        if holder.0.office.store.is_shared() {
            let (watcher, stopping) = (holder.clone(), holder.0.office.stopping.clone());
            tokio::spawn(async move { stopping.run_until_cancelled(watcher.watch()).await });
        }
        holder
    }

    /// A person may lift the account at another server.
    async fn watch(&self) {
        loop {
            tokio::time::sleep(PARKED_LOOK).await;
            if !*self.0.busy.borrow() && matches!(self.state().standing, Standing::Parked { .. }) {
                self.look_again().await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves it whole.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issue(&self, token: &Secret, serial: i64) {
        let credential = Credential(vec![token.clone()]);
        self.state().issued = Some(Issued { credential, serial: serial.unsigned_abs() });
    }

    fn token(&self) -> Option<(Secret, i64)> {
        let state = self.state();
        let issued = state.issued.as_ref()?;
        Some((issued.credential.0.first()?.clone(), i64::try_from(issued.serial).unwrap_or(i64::MAX)))
    }

    /// Begins a piece of work, unless one is under way.
    fn begin(&self, work: Work, why: &str) {
        if self.0.busy.send_replace(true) {
            return;
        }
        self.state().standing = Standing::Renewing(LOOK);
        let (holder, why) = (self.clone(), why.to_owned());
        tokio::spawn(async move {
            let _done = Done(&holder);
            tokio::select! {
                () = holder.carry_out(work, &why) => {}
                () = holder.0.office.stopping.cancelled() => {}
            }
        });
    }

    /// Waits until nobody works on the session; `false` when that takes too long, or the work itself
    /// waits while the account is parked.
    async fn settled(&self) -> bool {
        let mut busy = self.0.busy.subscribe();
        let settled = async {
            // One that has just been parked is worked on for a moment more.
            while tokio::time::timeout(LOOK, busy.wait_for(|busy| !busy)).await.is_err() {
                if matches!(self.standing(), Standing::Parked { .. }) {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(CHECK_MAX, settled).await.unwrap_or(false)
    }

    fn spared(&self) -> Option<Duration> {
        let until = self.state().spared_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }
}

/// Ends a piece of work, whatever became of it.
struct Done<'a>(&'a Holder);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.0.busy.send_replace(false);
    }
}

impl KeySource for Holder {
    fn issued(&self) -> Option<Issued> {
        self.state().issued.clone()
    }

    fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    fn standing_to_pay(&self) -> Standing {
        if let Some(wait) = self.spared() {
            let why = format!(
                "The safety system refused {MODERATED_MAX} of its requests today, and more can cost the account: \
                 nothing new is sent with it until tomorrow."
            );
            // A person's check may end it sooner.
            return Standing::Parked { why, wait: wait.min(PARKED_LOOK) };
        }
        self.standing()
    }

    fn refused(&self, serial: u64, trouble: SessionTrouble, why: &str) {
        let is_current = self.state().issued.as_ref().is_some_and(|issued| issued.serial == serial);
        if !is_current || self.state().standing != Standing::Ready {
            return;
        }
        let work = match trouble {
            SessionTrouble::Expired => Work::Renew,
            SessionTrouble::Evicted => Work::Evicted,
            SessionTrouble::Blocked => Work::Blocked,
        };
        self.begin(work, why);
    }

    fn moderated(&self) {
        let mut state = self.state();
        let moment = now().0;
        let count = if state.moderated.0 == moment / DAY_US { state.moderated.1 + 1 } else { 1 };
        state.moderated = (moment / DAY_US, count);
        if count == MODERATED_MAX {
            let left = Duration::from_micros((DAY_US - moment % DAY_US).unsigned_abs());
            state.spared_until = Some(Instant::now() + left);
            let account = self.0.order.name.as_str();
            tracing::error!(account, "ACCOUNT SPARED until tomorrow: the safety system refused {count} requests");
        }
    }

    fn check(&self) -> BoxFuture<'_, (Verdict, String)> {
        Box::pin(self.checked())
    }
}

impl Holder {
    async fn checked(&self) -> (Verdict, String) {
        if !self.settled().await {
            return match self.standing() {
                Standing::Parked { why, .. } => (Verdict::Refused, why),
                _ => (Verdict::Unreachable, "A sign-in is under way. Ask again in a minute.".to_owned()),
            };
        }
        {
            // A person looks at it now.
            let mut state = self.state();
            (state.moderated, state.spared_until) = ((0, 0), None);
        }
        if let Some(verdict) = self.tried().await {
            return verdict;
        }
        if !self.0.order.login.can_sign_in() {
            self.park("token_refused", work::PASTE).await;
            return (Verdict::Refused, work::PASTE.to_owned());
        }
        self.begin(Work::Agreed, "");
        match (self.settled().await, self.standing()) {
            (true, Standing::Ready) => (Verdict::Good, "Signed in anew; the vendor accepts the session.".to_owned()),
            (_, Standing::Parked { why, .. }) => (Verdict::Refused, why),
            _ => (Verdict::Unreachable, "The sign-in has not ended. Ask again in a minute.".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
