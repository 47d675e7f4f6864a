//! The keys of one account: which one a submission leaves with, and which are set aside. In memory:
//! after a restart each is found out anew.

use crate::Account;
use pixel_core::Stamp;
use std::time::{Duration, Instant};

/// A refused key is tried again after this long: its owner may have mended it.
const PARK: Duration = Duration::from_secs(300);
/// Then one submission finds out, and others wait for it this long.
const PROBE: Duration = Duration::from_secs(30);
/// How soon a slot whose account has no key here looks again.
pub(crate) const KEYLESS_WAIT: Duration = Duration::from_secs(30);

/// One key of a lane, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAt {
    pub(crate) account: usize,
    pub(crate) key: usize,
}

/// How a key is doing, as anyone may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    Ready,
    /// The vendor refused it; the sentence says how.
    Parked {
        why: String,
        until: Stamp,
    },
    /// The vendor asked to slow down, and other keys take over.
    Limited {
        until: Stamp,
    },
}

/// How the keys of one account are doing.
pub(crate) struct Ring(Vec<Health>);

#[derive(Clone, Default)]
struct Health {
    weight: i64,
    /// The vendor refused it; tried again then.
    parked: Option<(Instant, String)>,
    limited: Option<Instant>,
    /// Grows by the weight at each choice; whoever has most is chosen and pays for it.
    credit: i64,
}

impl Health {
    /// How long it may not be used.
    fn wait(&self, now: Instant) -> Duration {
        let parked = self.parked.as_ref().map(|(until, _)| *until);
        parked.max(self.limited).map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn is_parked(&self, now: Instant) -> bool {
        self.parked.as_ref().is_some_and(|(until, _)| *until > now)
    }

    /// It leaves with a submission: after a parking, as the one that finds out.
    fn use_at(&mut self, now: Instant) {
        if let Some((until, _)) = &mut self.parked {
            *until = now + PROBE;
        }
    }
}

impl Ring {
    pub fn new(account: &Account) -> Self {
        let health = |weight: u32| Health { weight: weight.into(), ..Health::default() };
        Self(account.keys.iter().map(|key| health(key.weight)).collect())
    }

    fn submitters(&self) -> impl Iterator<Item = &Health> {
        self.0.iter().filter(|key| key.weight > 0)
    }

    pub fn has_key(&self) -> bool {
        self.submitters().next().is_some()
    }

    pub fn has_several(&self) -> bool {
        self.submitters().nth(1).is_some()
    }

    /// How long no key may submit.
    pub fn wait(&self, now: Instant) -> Duration {
        self.submitters().map(|key| key.wait(now)).min().unwrap_or(KEYLESS_WAIT)
    }

    /// The next key, each as often as its weight says; or how long there is none.
    pub fn pick(&mut self, now: Instant) -> Result<usize, Duration> {
        let fits = |key: &Health| key.weight > 0 && key.wait(now).is_zero();
        let mut total = 0;
        for key in self.0.iter_mut().filter(|key| fits(key)) {
            key.credit += key.weight;
            total += key.weight;
        }
        let fitting = self.0.iter_mut().enumerate().filter(|(_, key)| fits(key));
        // The first of equals.
        let best = fitting.reduce(|best, other| if other.1.credit > best.1.credit { other } else { best });
        let Some((at, key)) = best else { return Err(self.wait(now)) };
        key.credit -= total;
        key.use_at(now);
        Ok(at)
    }

    /// Takes this very key, or says how long it may not be used.
    pub fn take(&mut self, at: usize, now: Instant) -> Result<(), Duration> {
        let Some(key) = self.0.get_mut(at) else { return Err(KEYLESS_WAIT) };
        match key.wait(now) {
            Duration::ZERO => {
                key.use_at(now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    pub fn park(&mut self, at: usize, why: &str, now: Instant) {
        if let Some(key) = self.0.get_mut(at) {
            key.parked = Some((now + PARK, why.to_owned()));
        }
    }

    pub fn limit(&mut self, at: usize, wait: Duration, now: Instant) {
        if let Some(key) = self.0.get_mut(at) {
            key.limited = Some(now + wait);
        }
    }

    /// The vendor knew it.
    pub fn admit(&mut self, at: usize) {
        if let Some(key) = self.0.get_mut(at) {
            key.parked = None;
        }
    }

    /// Why no key may submit, when every one was refused.
    pub fn why_parked(&self, now: Instant) -> Option<&str> {
        let why = self.submitters().find_map(|key| key.parked.as_ref().map(|(_, why)| why.as_str()));
        why.filter(|_| self.submitters().all(|key| key.is_parked(now)))
    }

    /// Every key was refused, and none has been found to be good again.
    pub fn is_on_trial(&self) -> bool {
        self.has_key() && self.submitters().all(|key| key.parked.is_some())
    }

    pub fn states(&self, now: Instant) -> Vec<KeyState> {
        let state = |key: &Health| {
            let until = pixel_store::now().plus(key.wait(now));
            match &key.parked {
                Some((at, why)) if *at > now => KeyState::Parked { why: why.clone(), until },
                _ if key.limited.is_some_and(|at| at > now) => KeyState::Limited { until },
                _ => KeyState::Ready,
            }
        };
        self.0.iter().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn ring(weights: &[u32]) -> Ring {
        let key = |weight: &u32| Key {
            name: format!("KEY_{weight}"),
            variables: Vec::new(),
            weight: *weight,
            credential: Default::default(),
        };
        let keys = weights.iter().map(key).collect();
        Ring::new(&Account { service: None, base_url: String::new(), primary: String::new(), keys })
    }

    fn picks(ring: &mut Ring, count: usize, now: Instant) -> Vec<usize> {
        (0..count).filter_map(|_| ring.pick(now).ok()).collect()
    }

    #[test]
    fn keys_take_turns_by_their_weights() {
        let now = Instant::now();
        let mut ring = ring(&[3, 1, 0]);
        let picked = picks(&mut ring, 8, now);
        let of = |key: usize| picked.iter().filter(|at| **at == key).count();
        assert_eq!((of(0), of(1), of(2)), (6, 2, 0), "{picked:?}");
        assert!(ring.take(2, now).is_ok(), "one without weight still goes on with its own");
    }

    #[test]
    fn what_is_set_aside_is_left_alone_until_its_time() {
        let now = Instant::now();
        let mut ring = ring(&[1, 1]);
        ring.park(0, "refused", now);
        assert_eq!(picks(&mut ring, 3, now), [1, 1, 1]);
        assert_eq!(ring.take(0, now), Err(PARK));
        assert_eq!(ring.why_parked(now), None);
        ring.limit(1, Duration::from_secs(7), now);
        assert_eq!(ring.pick(now), Err(Duration::from_secs(7)));
        assert_eq!(ring.why_parked(now), None);
        ring.park(1, "empty", now);
        assert_eq!((ring.why_parked(now), ring.is_on_trial()), (Some("refused"), true));
        ring.admit(1);
        assert_eq!(picks(&mut ring, 2, now + Duration::from_secs(7)), [1, 1]);
    }

    #[test]
    fn one_submission_finds_out_whether_a_refused_key_works_again() {
        let now = Instant::now();
        let mut ring = ring(&[1]);
        ring.park(0, "refused", now);
        let later = now + PARK;
        assert_eq!(ring.why_parked(later), None);
        assert_eq!(ring.pick(later), Ok(0));
        assert_eq!(ring.pick(later), Err(PROBE), "others wait for what the first finds out");
        ring.admit(0);
        assert_eq!(ring.pick(later), Ok(0));
    }

    #[test]
    fn without_a_key_there_is_nothing_to_pick() {
        assert_eq!(ring(&[]).pick(Instant::now()), Err(KEYLESS_WAIT));
        assert!(!ring(&[0]).has_key());
    }
}
