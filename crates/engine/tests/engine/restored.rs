//! A backup that is restored: what looks unsent there may have been sent by the life that went on
//! after it. The vendor of every class is the witness.

use super::*;
use pixel_store::{backup, look_at_pause};

const MODELS: [&str; 3] = ["keyed", "searchable", "neither"];

pub(crate) fn options(data: &std::path::Path) -> Options {
    Options { data: data.to_owned(), database_url: None, pool_size: 4, lease: Duration::from_secs(10) }
}

/// The engine over a restored backup, and the tasks that were unsent when it was taken.
struct SecondLife {
    rig: Rig,
    data: std::path::PathBuf,
    ids: Vec<TaskId>,
}

impl SecondLife {
    /// A task of each model waits unsent while the backup is taken; `sends` says whether the first
    /// life then sends them and sees them end.
    async fn begin(set: Set, age: Duration, sends: bool) -> Self {
        let rig = Rig::new(set.clone()).await;
        let first = options(rig.folder.path());
        set_pause(&first, false).await.unwrap();
        let created = Stamp(now().0 - i64::try_from(age.as_micros()).unwrap());
        let mut ids = Vec::new();
        for model in MODELS {
            ids.push(rig.create_at(created, model, model, 1, None).await);
        }
        let others = tempfile::tempdir().unwrap();
        let (to, data) = (others.path().join("backup"), others.path().join("data"));
        let blobs = || Blobs::open(&first.data);
        let manifest = backup::take(&first, blobs, &to, &mut |_| {}).await.unwrap();
        assert_eq!((manifest.rows_of("tasks"), manifest.rows_of("attempts")), (3, 0));
        if sends {
            lift_pause(&first).await.unwrap();
            for id in &ids {
                assert_eq!(rig.end(id).await.status, Status::Completed);
            }
        }
        rig.engine.stop(LIMIT).await;
        rig.engine.store().close().await;
        let Rig { lab, catalog, .. } = rig;
        let second = options(&data);
        let restored = backup::restore(&to, &second, || Blobs::open(&data), &mut |_| {}).await.unwrap();
        assert_eq!((restored.backlog.in_doubt, restored.backlog.queued), (3, 0));
        let engine = open(&data, &lab, &catalog, set).await;
        engine.start();
        assert!(engine.pause().is_some_and(|pause| pause.restored_at.is_some()), "a restored server starts paused");
        Self { rig: Rig { folder: others, lab, engine, catalog }, data, ids }
    }

    async fn resume(&self) {
        lift_pause(&options(&self.data)).await.unwrap();
    }

    async fn is_held_for_the_restore(&self, at: usize) {
        let attention = self.rig.held(&self.ids[at]).await.attention.unwrap();
        assert!(attention.reason.contains("restored from a backup"), "{}", attention.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_after_the_backup_is_not_paid_again() {
    let life = SecondLife::begin(Set::default(), Duration::ZERO, true).await;
    let submits = |model| life.rig.lab.submits(model);
    assert_eq!(MODELS.map(submits), [1, 1, 1], "each was sent by the first life");
    life.resume().await;
    for (at, model) in MODELS.iter().enumerate().take(2) {
        assert_eq!(life.rig.end(&life.ids[at]).await.status, Status::Completed, "{model}");
    }
    life.is_held_for_the_restore(2).await;
    assert_eq!(MODELS.map(submits), [2, 1, 1], "only the key goes out again");
    for id in &life.ids {
        assert_eq!(life.rig.lab.accepted(id.as_str()), 1, "{id}");
    }
    assert_eq!(life.rig.outcomes(&life.ids[1]).await, ["found"]);
    // Whoever decides to pay again does so once.
    life.rig.engine.resolve(&life.ids[2], Choice::PayAgain).await.unwrap();
    assert_eq!(life.rig.end(&life.ids[2]).await.status, Status::Completed);
    assert_eq!(submits("neither"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_sent_once_it_is_certain() {
    let life = SecondLife::begin(Set::default(), Duration::ZERO, false).await;
    life.resume().await;
    for at in 0..2 {
        assert_eq!(life.rig.end(&life.ids[at]).await.status, Status::Completed);
    }
    life.is_held_for_the_restore(2).await;
    assert_eq!(MODELS.map(|model| life.rig.lab.submits(model)), [1, 1, 0]);
    assert_eq!(life.rig.outcomes(&life.ids[1]).await, ["lost", "accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_be_forgotten_is_not_relied_on() {
    // The lab knows a key for a minute, and the first life may have sent it two minutes ago.
    let life = SecondLife::begin(Set::default(), Duration::from_secs(120), true).await;
    life.resume().await;
    life.is_held_for_the_restore(0).await;
    assert_eq!(life.rig.lab.submits("keyed"), 1);
}

/// Each key is an account of its own, and the first life may have used either.
#[tokio::test(flavor = "multi_thread")]
async fn with_several_keys_no_idempotency_key_is_relied_on() {
    let keys = &["LAB_KEY", "LAB_KEY_2"];
    let life = SecondLife::begin(Set { keys, ..Set::default() }, Duration::ZERO, true).await;
    life.resume().await;
    life.is_held_for_the_restore(0).await;
    assert_eq!(life.rig.end(&life.ids[1]).await.status, Status::Completed);
    assert_eq!(MODELS.map(|model| life.rig.lab.submits(model)), [1, 1, 1]);
    assert_eq!(life.rig.outcomes(&life.ids[1]).await, ["found"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_policy_decides_about_a_whole_backlog() {
    for policy in [HoldPolicy::PayAgain, HoldPolicy::Lost] {
        let life = SecondLife::begin(Set { policy, ..Set::default() }, Duration::ZERO, true).await;
        life.resume().await;
        life.is_held_for_the_restore(2).await;
        assert_eq!(life.rig.lab.submits("neither"), 1, "{policy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_on_to_what_is_paid_and_lets_it_go_again() {
    let rig = Rig::new(Set::default()).await;
    let options = options(rig.folder.path());
    let running = rig.create("neither", "never ends", 1, None).await;
    let accepted = || async { (rig.lab.accepted(running.as_str()) == 1).then_some(()) };
    pixel_testkit::wait::until("the vendor accepts", LIMIT, accepted).await;
    set_pause(&options, false).await.unwrap();
    let waits = rig.create("neither", "fine", 1, None).await;
    // The job that runs is asked for all the while, until its deadline.
    assert_eq!(code(&rig.end(&running).await), "deadline_exceeded");
    let row = rig.engine.store().task(&waits).await.unwrap().unwrap();
    assert_eq!((row.status, rig.lab.submits("fine")), (Status::Pending, 0), "{row:?}");
    let (pause, backlog) = look_at_pause(&options).await.unwrap();
    assert_eq!((pause.is_some(), backlog.queued, backlog.in_doubt), (true, 1, 0));
    lift_pause(&options).await.unwrap();
    assert_eq!((rig.end(&waits).await.status, rig.lab.submits("fine")), (Status::Completed, 1));
}
