//! The room in which equal calls wait for one answer: twenty tasks of an account ask for its list
//! once. It holds answers for seconds, and no more of them than fit.

use crate::door::Sent;
use pixel_core::Stamp;
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// Calls in the room at the same time; what comes beyond is sent for itself.
const CALLS: usize = 256;

#[derive(Default)]
pub(crate) struct Room(Mutex<HashMap<String, Entry>>);

struct Entry {
    /// By the clock that slots' times are of.
    began: Stamp,
    until: Instant,
    answer: Arc<OnceCell<Sent>>,
}

impl Entry {
    /// Whether it serves somebody who must see what was so at `since`.
    fn serves(&self, since: Stamp, moment: Instant) -> bool {
        self.began >= since && (!self.answer.initialized() || self.until > moment)
    }
}

impl Room {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // Entries go in and out whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers with a call that is under way, or with one that is younger than `fresh` and began
    /// no earlier than `since`; else sends. Whoever sends may be dropped: then the next one does.
    pub(crate) async fn ask(
        &self,
        key: String,
        fresh: Duration,
        since: Stamp,
        send: impl Future<Output = Sent>,
    ) -> Sent {
        let Some(answer) = self.enter(&key, fresh, since) else { return send.await };
        let sent = answer.get_or_init(|| send).await.clone();
        if !matches!(sent, Sent::Answer(_)) {
            // Those who wait have heard it; whoever comes later asks anew.
            self.entries().retain(|_, entry| !Arc::ptr_eq(&entry.answer, &answer));
        }
        sent
    }

    /// What was answered is of no use to whoever asks next.
    pub(crate) fn forget(&self, key: &str) {
        self.entries().retain(|other, entry| other != key || !entry.answer.initialized());
    }

    fn enter(&self, key: &str, fresh: Duration, since: Stamp) -> Option<Arc<OnceCell<Sent>>> {
        let moment = Instant::now();
        let mut entries = self.entries();
        if let Some(entry) = entries.get(key).filter(|entry| entry.serves(since, moment)) {
            return Some(Arc::clone(&entry.answer));
        }
        entries.retain(|_, entry| entry.serves(Stamp(0), moment));
        if entries.len() >= CALLS && !entries.contains_key(key) {
            return None;
        }
        let answer = Arc::new(OnceCell::new());
        let entry = Entry { began: pixel_store::now(), until: moment + fresh, answer: Arc::clone(&answer) };
        entries.insert(key.to_owned(), entry);
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::vendor::Answer;
    use std::sync::atomic::{AtomicU16, Ordering};

    const LONG: Duration = Duration::from_secs(600);
    const EVER: Stamp = Stamp(0);

    #[derive(Default)]
    struct Vendor(AtomicU16);

    impl Vendor {
        async fn answer(&self) -> Sent {
            tokio::task::yield_now().await;
            Sent::Answer(Answer { status: 200 + self.0.fetch_add(1, Ordering::Relaxed), ..Answer::default() })
        }

        fn calls(&self) -> u16 {
            self.0.load(Ordering::Relaxed)
        }
    }

    async fn ask(room: &Room, vendor: &Vendor, key: &str, fresh: Duration, since: Stamp) -> u16 {
        match room.ask(key.to_owned(), fresh, since, vendor.answer()).await {
            Sent::Answer(answer) => answer.status,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn equal_calls_at_the_same_time_are_one() {
        let (room, vendor) = (Room::default(), Vendor::default());
        let asks = (0..20).map(|_| ask(&room, &vendor, "list", Duration::ZERO, EVER));
        assert_eq!(futures_util::future::join_all(asks).await, [200; 20]);
        assert_eq!(vendor.calls(), 1);
        assert_eq!(ask(&room, &vendor, "list", Duration::ZERO, EVER).await, 201, "it is not fresh any more");
    }

    #[tokio::test]
    async fn a_young_answer_serves_who_had_submitted_before_it_began() {
        let (room, vendor) = (Room::default(), Vendor::default());
        assert_eq!(ask(&room, &vendor, "list", LONG, EVER).await, 200);
        assert_eq!(ask(&room, &vendor, "list", LONG, EVER).await, 200);
        assert_eq!(ask(&room, &vendor, "other", LONG, EVER).await, 201, "another question");
        let later = pixel_store::now().plus(Duration::from_micros(1));
        while pixel_store::now() < later {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&room, &vendor, "list", LONG, later).await, 202, "it cannot know of that submission");
        assert_eq!(ask(&room, &vendor, "list", LONG, EVER).await, 202, "the younger answer is the one that is kept");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept_and_a_sender_that_goes_is_replaced() {
        let (room, vendor) = (Room::default(), Vendor::default());
        let fails = async { Sent::Unclear { why: "cut".to_owned() } };
        assert!(matches!(room.ask("list".to_owned(), LONG, EVER, fails).await, Sent::Unclear { .. }));
        assert_eq!(ask(&room, &vendor, "list", LONG, EVER).await, 200);
        let never = room.ask("slow".to_owned(), LONG, EVER, std::future::pending());
        let (dropped, next) = tokio::join!(
            tokio::time::timeout(Duration::from_millis(20), never),
            ask(&room, &vendor, "slow", LONG, EVER)
        );
        assert!(dropped.is_err());
        assert_eq!(next, 201);
    }

    #[tokio::test]
    async fn what_is_forgotten_is_asked_anew_and_a_call_under_way_goes_on() {
        let (room, vendor) = (Room::default(), Vendor::default());
        assert_eq!(ask(&room, &vendor, "list", LONG, EVER).await, 200);
        assert_eq!(ask(&room, &vendor, "other", LONG, EVER).await, 201);
        room.forget("list");
        let (first, (), second) = tokio::join!(
            ask(&room, &vendor, "list", LONG, EVER),
            async { room.forget("list") },
            ask(&room, &vendor, "list", LONG, EVER)
        );
        assert_eq!((first, second), (202, 202));
        assert_eq!(ask(&room, &vendor, "other", LONG, EVER).await, 201);
    }

    #[tokio::test]
    async fn the_room_is_bounded() {
        let (room, vendor) = (Room::default(), Vendor::default());
        for at in 0..CALLS + 10 {
            ask(&room, &vendor, &at.to_string(), LONG, EVER).await;
        }
        assert_eq!(room.entries().len(), CALLS);
        ask(&room, &vendor, "0", LONG, EVER).await;
        assert_eq!(usize::from(vendor.calls()), CALLS + 10, "what is in the room still serves");
    }
}
