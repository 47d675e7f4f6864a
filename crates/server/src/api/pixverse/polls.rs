//! Counts how often clips are asked after: added up here, and written every few seconds.

use pixel_store::{PollCount, Store, now};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Users that are told apart between two writes; further ones are counted together, without a name.
const USERS_MAX: usize = 10_000;
const DAY_US: i64 = 86_400_000_000;

type Key = (i64, String, String);

/// What was counted and is not written yet.
#[derive(Debug, Default)]
pub struct Polls(Mutex<HashMap<Key, i64>>);

impl Polls {
    pub fn count(&self, app: &str, user: &str) {
        self.add((now().0 / DAY_US, app.to_owned(), user.to_owned()), 1);
    }

    fn add(&self, key: Key, polls: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = counts.len() < USERS_MAX || counts.contains_key(&key);
        let key = if has_room { key } else { (key.0, String::new(), String::new()) };
        *counts.entry(key).or_default() += polls;
    }

    /// Writes what was counted; what cannot be written now is counted on.
    pub async fn write(&self, store: &Store) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return;
        }
        let rows: Vec<PollCount> =
            counts.into_iter().map(|((day, app, caller), polls)| PollCount { day, app, caller, polls }).collect();
        if let Err(error) = store.add_polls(rows.clone()).await {
            tracing::warn!(%error, "polls were counted and are not written yet");
            rows.into_iter().for_each(|one| self.add((one.day, one.app, one.caller), one.polls));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_bound_and_no_poll_is_lost() {
        let polls = Polls::default();
        for at in 0..USERS_MAX + 50 {
            polls.count("app", &at.to_string());
            polls.count("app", "0");
        }
        let counts = polls.0.into_inner().unwrap();
        // Midnight may come in between.
        assert!(counts.len() <= USERS_MAX + 2, "{}", counts.len());
        assert_eq!(counts.values().sum::<i64>(), 2 * (i64::try_from(USERS_MAX).unwrap() + 50));
    }
}
