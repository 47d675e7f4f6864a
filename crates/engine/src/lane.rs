//! One vendor's lane: its adapter, its pause after trouble, its keys. In memory: after a restart
//! each is found out anew.

use crate::{
    Account, Issued, Key, LaneOptions,
    keys::{KeyAt, KeyState, Ring},
};
use pixel_core::{Error, ErrorKind, Stamp, catalog::Model, error::Advice, request::Checked, vendor::Plan};
use pixel_store::now;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Polls and other free calls to one vendor at the same time.
const FREE_CALLS: usize = 128;
/// Failures in a row after which nothing is sent for a while.
const BREAKER_AFTER: u32 = 5;
const BREAKER_PAUSE: Duration = Duration::from_secs(30);

pub struct Lane {
    pub(crate) options: LaneOptions,
    /// Whether the queue may hold something; a claim that comes back short clears it.
    pub(crate) pending: AtomicBool,
    pub(crate) running: AtomicUsize,
    /// Turns for calls that cost nothing.
    pub(crate) free_calls: Semaphore,
    health: Mutex<Health>,
}

struct Health {
    failures: u32,
    paused_until: Option<Instant>,
    /// The part of the pause that is due to failures.
    broken_until: Option<Instant>,
    /// Of each account.
    rings: Vec<Ring>,
    checked: Option<Instant>,
    last_error: Option<(Stamp, String)>,
}

/// How a vendor is doing, as anyone may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneState {
    Open,
    /// Nothing is sent for this long.
    Paused(Duration),
    /// Every key was refused; the sentence says how.
    Parked(String),
}

impl Lane {
    pub(crate) fn new(options: LaneOptions) -> Self {
        let health = Health {
            failures: 0,
            paused_until: None,
            broken_until: None,
            rings: options.accounts.iter().map(Ring::new).collect(),
            checked: None,
            last_error: None,
        };
        Self {
            options,
            pending: AtomicBool::new(true),
            running: AtomicUsize::new(0),
            free_calls: Semaphore::new(FREE_CALLS),
            health: Mutex::new(health),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Every change leaves the state whole, so it is so even after a panic.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> LaneState {
        let now = Instant::now();
        let health = self.health();
        let mut with_key = health.rings.iter().filter(|ring| ring.has_key());
        if let Some(why) = with_key.clone().find_map(|ring| ring.why_parked(now))
            && with_key.all(|ring| ring.why_parked(now).is_some())
        {
            return LaneState::Parked(why);
        }
        match health.paused_until.filter(|until| *until > now) {
            Some(until) => LaneState::Paused(until - now),
            None => LaneState::Open,
        }
    }

    /// It works inside this process, and so costs nothing.
    pub fn is_free(&self) -> bool {
        self.options.accounts.iter().all(|account| account.base_url.is_empty())
    }

    /// How many more runs may start now.
    pub(crate) fn capacity(&self) -> usize {
        let most = match self.state() {
            LaneState::Paused(_) | LaneState::Parked(_) => 0,
            LaneState::Open => {
                let health = self.health();
                let mut with_key = health.rings.iter().filter(|ring| ring.has_key());
                match (with_key.clone().next().is_some(), with_key.all(Ring::is_on_trial)) {
                    (false, _) => 0,
                    // After a parking one task finds out whether a key works again.
                    (true, true) => 1,
                    (true, false) => self.options.runs_max,
                }
            }
        };
        most.saturating_sub(self.running.load(Ordering::Relaxed))
    }

    pub(crate) fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut health = self.health();
        if health.paused_until.is_none_or(|old| old < until) {
            health.paused_until = Some(until);
        }
    }

    /// The account of a service; without one, the vendor's own.
    pub(crate) fn account(&self, service: Option<&str>) -> Option<usize> {
        self.options.accounts.iter().position(|account| account.service.as_deref() == service)
    }

    /// The key of that name; the error is its variable.
    pub(crate) fn find(&self, account: usize, name: Option<&str>) -> Result<KeyAt, String> {
        let Some(Account { keys, primary, .. }) = self.options.accounts.get(account) else { return Err(String::new()) };
        let name = name.unwrap_or(primary);
        let key = keys.iter().position(|key| key.name == name).ok_or_else(|| name.to_owned())?;
        Ok(KeyAt { account, key })
    }

    pub(crate) fn key(&self, at: KeyAt) -> Option<(&Account, &Key)> {
        let account = self.options.accounts.get(at.account)?;
        Some((account, account.keys.get(at.key)?))
    }

    /// Chooses a key for a submission, each as often as its weight says; or says how long there is none.
    pub(crate) fn pick(&self, account: usize, slot: &str) -> Result<KeyAt, Duration> {
        let picked = self.ring(account, |ring| ring.pick(slot, Instant::now()));
        picked.unwrap_or(Err(crate::keys::KEYLESS_WAIT)).map(|key| KeyAt { account, key })
    }

    /// Takes this very key for a submission, or says how long it may not be used.
    pub(crate) fn take(&self, at: KeyAt, slot: &str) -> Result<(), Duration> {
        self.ring(at.account, |ring| ring.take(at.key, slot, Instant::now())).unwrap_or(Err(crate::keys::KEYLESS_WAIT))
    }

    pub(crate) fn keep_place(&self, at: KeyAt, slot: &str) {
        self.ring(at.account, |ring| ring.keep_place(at.key, slot, Instant::now()));
    }

    pub(crate) fn leave_place(&self, account: usize, slot: &str) {
        self.ring(account, |ring| ring.leave_place(slot));
    }

    /// The credential of a key at this moment.
    pub(crate) fn issued(&self, at: KeyAt) -> Option<Issued> {
        let (_, key) = self.key(at)?;
        match &key.source {
            Some(source) => source.issued(),
            None => Some(Issued { credential: key.credential.clone(), serial: 0 }),
        }
    }

    /// How long no key of the account may submit.
    pub(crate) fn keys_wait(&self, account: usize) -> Duration {
        self.ring(account, |ring| ring.wait(Instant::now())).unwrap_or(crate::keys::KEYLESS_WAIT)
    }

    /// Whether anything can be submitted to the account at all.
    pub(crate) fn has_key(&self, account: usize) -> bool {
        self.ring(account, |ring| ring.has_key()).unwrap_or(false)
    }

    /// Whether submissions to the account may leave with more than one key.
    pub(crate) fn has_several_keys(&self, account: usize) -> bool {
        self.ring(account, |ring| ring.has_several()).unwrap_or(false)
    }

    /// Whether what is true of one key is true of the whole queue.
    pub(crate) fn has_one_key(&self) -> bool {
        self.options.accounts.len() == 1 && !self.has_several_keys(0)
    }

    fn ring<T>(&self, account: usize, read: impl FnOnce(&mut Ring) -> T) -> Option<T> {
        self.health().rings.get_mut(account).map(read)
    }

    /// The vendor answered, whatever it said.
    pub(crate) fn answered(&self) {
        self.health().failures = 0;
    }

    /// The vendor knew the key.
    pub(crate) fn admitted(&self, at: KeyAt) {
        self.ring(at.account, |ring| ring.admit(at.key));
    }

    /// The vendor asks to slow down with this key.
    pub(crate) fn limit(&self, at: KeyAt, wait: Duration) {
        self.ring(at.account, |ring| ring.limit(at.key, wait, Instant::now()));
    }

    /// The vendor could not be reached.
    pub(crate) fn unreachable(&self, why: &str) {
        let mut health = self.health();
        health.failures += 1;
        health.last_error = Some((now(), format!("The vendor gave no clear answer: {why}")));
        if health.failures >= BREAKER_AFTER {
            let until = Some(Instant::now() + BREAKER_PAUSE);
            (health.paused_until, health.broken_until) = (until, until);
            // One failure of the probe after the pause opens it again.
            health.failures = BREAKER_AFTER - 1;
            tracing::warn!(vendor = self.options.id, why, "the vendor does not answer; pausing 30 s");
        }
    }

    /// Takes note of an answer that is an error: it may say something about the key.
    pub(crate) fn note(&self, at: KeyAt, error: &Error) {
        self.health().last_error = Some((now(), error.message.clone()));
        if is_about_the_key(error) {
            let key = self.key(at).map(|(_, key)| key.name.as_str()).unwrap_or_default();
            let vendor = self.options.id.as_str();
            tracing::warn!(vendor, key, why = error.message, "the key is parked for 5 min");
            self.ring(at.account, |ring| ring.park(at.key, &error.message, Instant::now()));
        } else if error.kind.advice() != Advice::Unclear {
            self.admitted(at);
        }
    }

    /// What a request becomes at this vendor.
    pub fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        self.options.vendor.plan(request, card)
    }

    /// Why no key of the service may submit, when each was refused.
    pub fn why_parked(&self, service: Option<&str>) -> Option<String> {
        let account = self.account(service)?;
        self.ring(account, |ring| ring.why_parked(Instant::now()))?
    }

    /// The keys of a service and how each is doing.
    pub fn keys(&self, service: Option<&str>) -> Vec<(&Key, KeyState)> {
        let Some(account) = self.account(service) else { return Vec::new() };
        let states = self.ring(account, |ring| ring.states(Instant::now())).unwrap_or_default();
        self.options.accounts[account].keys.iter().zip(states).collect()
    }

    /// For how long the vendor is left alone because it did not answer.
    pub fn broken_for(&self) -> Option<Duration> {
        let now = Instant::now();
        self.health().broken_until.filter(|until| *until > now).map(|until| until - now)
    }

    /// The last thing that went wrong, as a public sentence, and when.
    pub fn last_error(&self) -> Option<(Stamp, String)> {
        self.health().last_error.clone()
    }

    /// Whether a check may begin now; the error is how long it must wait.
    pub(crate) fn begin_check(&self, every: Duration) -> Result<(), Duration> {
        let now = Instant::now();
        let mut health = self.health();
        match health.checked.map(|last| (last + every).saturating_duration_since(now)) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                health.checked = Some(now);
                Ok(())
            }
        }
    }
}

/// The vendor refused the key, or its account is empty: nothing was accepted, and another key may do.
pub(crate) fn is_about_the_key(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::VendorAuth | ErrorKind::VendorBalance)
}
