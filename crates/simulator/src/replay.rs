//! First answers, for vendors that give them again when a request's name comes again.

use crate::answer::Whole;
use std::collections::{HashMap, VecDeque};

/// How many are remembered; a client that works well never asks for one.
const KEPT: usize = 4096;

type Name = (&'static str, String);

#[derive(Default)]
pub(crate) struct Replays {
    answers: HashMap<Name, Whole>,
    order: VecDeque<Name>,
}

impl Replays {
    pub fn of(&self, vendor: &'static str, name: &str) -> Option<Whole> {
        self.answers.get(&(vendor, name.to_owned())).cloned()
    }

    pub fn keep(&mut self, vendor: &'static str, name: &str, answer: &Whole) {
        if self.order.len() >= KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        let name = (vendor, name.to_owned());
        self.order.push_back(name.clone());
        self.answers.insert(name, answer.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut replays = Replays::default();
        let say = |at: usize| Whole::new(200, "text/plain", at.to_string());
        (0..=KEPT).for_each(|at| replays.keep("acme", &at.to_string(), &say(at)));
        let known = |name: &str| replays.of("acme", name).map(|whole| whole.bytes);
        assert_eq!((known("0"), known("1")), (None, Some("1".into())));
        assert!(replays.of("other", "1").is_none());
        assert_eq!((replays.answers.len(), replays.order.len()), (KEPT, KEPT));
    }
}
