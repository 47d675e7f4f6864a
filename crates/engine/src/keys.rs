//! The keys of one account: which one a submission leaves with, and which are set aside. In memory:
//! after a restart each is found out anew.

use crate::{Account, Key, KeySource, Standing};
use pixel_core::Stamp;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A refused key is tried again after this long: its owner may have mended it.
const PARK: Duration = Duration::from_secs(300);
/// Then one submission finds out, and others wait for it this long.
const PROBE: Duration = Duration::from_secs(30);
/// How soon a slot whose account has no key here looks again.
pub(crate) const KEYLESS_WAIT: Duration = Duration::from_secs(30);

/// How soon a slot that found every place of the keys taken looks again.
const PLACE_WAIT: Duration = Duration::from_secs(1);
/// A place is kept by polls; the one of a slot that another server has taken up falls free.
const PLACE_KEPT: Duration = Duration::from_secs(120);

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
    /// Its session is being renewed.
    SigningIn,
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
    /// Where its credential comes from, if that is a session.
    source: Option<Arc<dyn KeySource>>,
    /// The slots that run with it, and until when each is believed to.
    places: HashMap<String, Instant>,
    /// How many of them may; 0 is no limit.
    places_max: usize,
}

impl Health {
    /// How long it may not be used.
    fn wait(&self, now: Instant) -> Duration {
        let parked = self.parked.as_ref().map(|(until, _)| *until);
        let wait = parked.max(self.limited).map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        wait.max(self.standing().wait())
    }

    fn standing(&self) -> Standing {
        self.source.as_ref().map_or(Standing::Ready, |source| source.standing_to_pay())
    }

    /// Why it was refused, and until when it is left alone.
    fn parked(&self, now: Instant) -> Option<(String, Duration)> {
        if let Standing::Parked { why, wait } = self.standing() {
            return Some((why, wait));
        }
        let (until, why) = self.parked.as_ref().filter(|(until, _)| *until > now)?;
        Some((why.clone(), *until - now))
    }

    /// Whether the slot has, or could have, one of its places.
    fn has_place(&self, slot: &str, now: Instant) -> bool {
        let taken = || self.places.iter().filter(|(other, until)| *other != slot && **until > now).count();
        self.places_max == 0 || taken() < self.places_max
    }

    fn take_place(&mut self, slot: &str, now: Instant) {
        if self.places_max > 0 {
            self.places.retain(|_, until| *until > now);
            self.places.insert(slot.to_owned(), now + PLACE_KEPT);
        }
    }

    /// It leaves with a submission: after a parking, as the one that finds out.
    fn use_at(&mut self, slot: &str, now: Instant) {
        self.take_place(slot, now);
        if let Some((until, _)) = &mut self.parked {
            *until = now + PROBE;
        }
    }
}

impl Ring {
    pub fn new(account: &Account) -> Self {
        let health = |key: &Key| Health {
            weight: key.weight.into(),
            source: key.source.clone(),
            places_max: key.parallel as usize,
            ..Health::default()
        };
        Self(account.keys.iter().map(health).collect())
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
        let wait = |key: &Health| match key.has_place("", now) {
            true => key.wait(now),
            false => key.wait(now).max(PLACE_WAIT),
        };
        self.submitters().map(wait).min().unwrap_or(KEYLESS_WAIT)
    }

    /// The next key, each as often as its weight says; or how long there is none.
    pub fn pick(&mut self, slot: &str, now: Instant) -> Result<usize, Duration> {
        let fits = |key: &Health| key.weight > 0 && key.wait(now).is_zero() && key.has_place(slot, now);
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
        key.use_at(slot, now);
        Ok(at)
    }

    /// Takes this very key, or says how long it may not be used.
    pub fn take(&mut self, at: usize, slot: &str, now: Instant) -> Result<(), Duration> {
        let Some(key) = self.0.get_mut(at) else { return Err(KEYLESS_WAIT) };
        match key.wait(now) {
            Duration::ZERO if !key.has_place(slot, now) => Err(PLACE_WAIT),
            Duration::ZERO => {
                key.use_at(slot, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// A slot still runs with the key.
    pub fn keep_place(&mut self, at: usize, slot: &str, now: Instant) {
        if let Some(key) = self.0.get_mut(at) {
            key.take_place(slot, now);
        }
    }

    pub fn leave_place(&mut self, slot: &str) {
        for key in &mut self.0 {
            key.places.remove(slot);
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
    pub fn why_parked(&self, now: Instant) -> Option<String> {
        let mut parked = self.submitters().map(|key| key.parked(now));
        let (why, _) = parked.next()??;
        parked.all(|key| key.is_some()).then_some(why)
    }

    /// Every key was refused, and none has been found to be good again.
    pub fn is_on_trial(&self) -> bool {
        self.has_key() && self.submitters().all(|key| key.parked.is_some())
    }

    pub fn states(&self, now: Instant) -> Vec<KeyState> {
        let state = |key: &Health| {
            let until = pixel_store::now().plus(key.wait(now));
            match key.parked(now) {
                Some((why, wait)) => KeyState::Parked { why, until: pixel_store::now().plus(wait) },
                None if key.standing() != Standing::Ready => KeyState::SigningIn,
                None if key.limited.is_some_and(|at| at > now) => KeyState::Limited { until },
                None => KeyState::Ready,
            }
        };
        self.0.iter().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(weights: &[u32]) -> Ring {
        let key = |weight: &u32| Key {
            name: format!("KEY_{weight}"),
            variables: Vec::new(),
            weight: *weight,
            credential: Default::default(),
            source: None,
            parallel: 0,
        };
        ring_of(weights.iter().map(key).collect())
    }

    fn ring_of(keys: Vec<Key>) -> Ring {
        let (base_url, primary) = (String::new(), String::new());
        Ring::new(&Account { service: None, base_url, primary, urls: Vec::new(), keys })
    }

    fn picks(ring: &mut Ring, count: usize, now: Instant) -> Vec<usize> {
        (0..count).filter_map(|_| ring.pick("s", now).ok()).collect()
    }

    #[test]
    fn keys_take_turns_by_their_weights() {
        let now = Instant::now();
        let mut ring = ring(&[3, 1, 0]);
        let picked = picks(&mut ring, 8, now);
        let of = |key: usize| picked.iter().filter(|at| **at == key).count();
        assert_eq!((of(0), of(1), of(2)), (6, 2, 0), "{picked:?}");
        assert!(ring.take(2, "s", now).is_ok(), "one without weight still goes on with its own");
    }

    #[test]
    fn what_is_set_aside_is_left_alone_until_its_time() {
        let now = Instant::now();
        let mut ring = ring(&[1, 1]);
        ring.park(0, "refused", now);
        assert_eq!(picks(&mut ring, 3, now), [1, 1, 1]);
        assert_eq!(ring.take(0, "s", now), Err(PARK));
        assert_eq!(ring.why_parked(now), None);
        ring.limit(1, Duration::from_secs(7), now);
        assert_eq!(ring.pick("s", now), Err(Duration::from_secs(7)));
        assert_eq!(ring.why_parked(now), None);
        ring.park(1, "empty", now);
        assert_eq!((ring.why_parked(now).as_deref(), ring.is_on_trial()), (Some("refused"), true));
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
        assert_eq!(ring.pick("s", later), Ok(0));
        assert_eq!(ring.pick("s", later), Err(PROBE), "others wait for what the first finds out");
        ring.admit(0);
        assert_eq!(ring.pick("s", later), Ok(0));
    }

    #[test]
    fn a_key_has_as_many_places_as_may_run() {
        let now = Instant::now();
        let key = |name: &str| Key {
            name: name.to_owned(),
            variables: Vec::new(),
            weight: 1,
            credential: Default::default(),
            source: None,
            parallel: 2,
        };
        let mut ring = ring_of(vec![key("A"), key("B")]);
        let picked: Vec<_> = ["1", "2", "3", "4"].map(|slot| ring.pick(slot, now).unwrap()).into();
        assert_eq!((ring.pick("5", now), ring.wait(now)), (Err(PLACE_WAIT), PLACE_WAIT), "{picked:?}");
        assert_eq!(ring.take(picked[0], "1", now), Ok(()), "who has a place goes on");
        assert_eq!(ring.take(picked[0], "5", now), Err(PLACE_WAIT));
        ring.leave_place("1");
        assert_eq!(ring.pick("5", now), Ok(picked[0]));
        let later = now + PLACE_KEPT;
        ring.keep_place(0, "1", later);
        assert_eq!((ring.pick("6", later).is_ok(), ring.wait(later)), (true, Duration::ZERO), "the silent have gone");
    }

    /// Its polls go on, and nothing new is to be paid for with it.
    #[derive(Debug)]
    struct Spared;

    impl KeySource for Spared {
        fn issued(&self) -> Option<crate::Issued> {
            None
        }

        fn standing(&self) -> Standing {
            Standing::Ready
        }

        fn standing_to_pay(&self) -> Standing {
            Standing::Parked { why: "spared".to_owned(), wait: PLACE_WAIT }
        }

        fn refused(&self, _serial: u64, _trouble: pixel_core::SessionTrouble, _why: &str) {}

        fn moderated(&self) {}

        fn check(&self) -> futures_util::future::BoxFuture<'_, (crate::Verdict, String)> {
            Box::pin(async { (crate::Verdict::Good, String::new()) })
        }
    }

    #[test]
    fn a_spared_account_takes_no_submission() {
        let now = Instant::now();
        let mut ring = ring(&[1]);
        ring.0[0].source = Some(Arc::new(Spared));
        assert_eq!((ring.pick("s", now), ring.why_parked(now).as_deref()), (Err(PLACE_WAIT), Some("spared")));
    }

    #[test]
    fn without_a_key_there_is_nothing_to_pick() {
        assert_eq!(ring(&[]).pick("s", Instant::now()), Err(KEYLESS_WAIT));
        assert!(!ring(&[0]).has_key());
    }
}
