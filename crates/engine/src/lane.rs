//! One vendor's lane: its adapter, its pause after trouble, its parking after a refusal of the
//! credential. In memory: after a restart each is found out anew.

use crate::LaneOptions;
use pixel_core::{Error, ErrorKind, catalog::Model, error::Advice, request::Checked, vendor::Plan};
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
/// A refused credential is tried again after this long: its owner may have mended it.
const PARK: Duration = Duration::from_secs(300);

pub struct Lane {
    pub(crate) options: LaneOptions,
    /// Whether the queue may hold something; a claim that comes back short clears it.
    pub(crate) pending: AtomicBool,
    pub(crate) running: AtomicUsize,
    /// Turns for calls that cost nothing.
    pub(crate) free_calls: Semaphore,
    health: Mutex<Health>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    paused_until: Option<Instant>,
    parked: Option<(Instant, String)>,
    last_error: Option<String>,
}

/// How a vendor is doing, as anyone may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneState {
    Open,
    /// Nothing is sent for this long.
    Paused(Duration),
    /// The credential was refused; the sentence says how.
    Parked(String),
}

impl Lane {
    pub(crate) fn new(options: LaneOptions) -> Self {
        Self {
            options,
            pending: AtomicBool::new(true),
            running: AtomicUsize::new(0),
            free_calls: Semaphore::new(FREE_CALLS),
            health: Mutex::default(),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Every change is one assignment, so the state is whole even after a panic.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> LaneState {
        let now = Instant::now();
        let health = self.health();
        if let Some((until, why)) = &health.parked
            && *until > now
        {
            return LaneState::Parked(why.clone());
        }
        match health.paused_until.filter(|until| *until > now) {
            Some(until) => LaneState::Paused(until - now),
            None => LaneState::Open,
        }
    }

    /// It works inside this process, and so costs nothing.
    pub fn is_free(&self) -> bool {
        self.options.base_url.is_empty()
    }

    pub(crate) fn has_credential(&self) -> bool {
        self.options.credential.is_some()
    }

    /// How many more runs may start now.
    pub(crate) fn capacity(&self) -> usize {
        let most = match self.state() {
            _ if !self.has_credential() => 0,
            LaneState::Paused(_) | LaneState::Parked(_) => 0,
            // After a parking one task finds out whether the credential works again.
            LaneState::Open if self.health().parked.is_some() => 1,
            LaneState::Open => self.options.runs_max,
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

    /// The vendor answered, whatever it said.
    pub(crate) fn answered(&self) {
        self.health().failures = 0;
    }

    /// The vendor knew our credential.
    pub(crate) fn admitted(&self) {
        self.health().parked = None;
    }

    /// The vendor could not be reached.
    pub(crate) fn unreachable(&self, why: &str) {
        let mut health = self.health();
        health.failures += 1;
        health.last_error = Some(why.to_owned());
        if health.failures >= BREAKER_AFTER {
            health.paused_until = Some(Instant::now() + BREAKER_PAUSE);
            // One failure of the probe after the pause opens it again.
            health.failures = BREAKER_AFTER - 1;
            tracing::warn!(vendor = self.options.id, why, "the vendor does not answer; pausing 30 s");
        }
    }

    /// Takes note of an answer that is an error: it may say something about the credential.
    pub(crate) fn note(&self, error: &Error) {
        let mut health = self.health();
        health.last_error = Some(error.message.clone());
        if matches!(error.kind, ErrorKind::VendorAuth | ErrorKind::VendorBalance) {
            tracing::warn!(vendor = self.options.id, why = error.message, "the credential is parked for 5 min");
            health.parked = Some((Instant::now() + PARK, error.message.clone()));
        } else if error.kind.advice() != Advice::Unclear {
            health.parked = None;
        }
    }

    /// What a request becomes at this vendor.
    pub fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        self.options.vendor.plan(request, card)
    }

    pub fn last_error(&self) -> Option<String> {
        self.health().last_error.clone()
    }
}
