//! Retention on both databases: what goes, what stays, and that nothing goes under a publisher.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{new_task, on_both};
use pixel_core::{
    Stamp,
    id::{MediaId, TaskId},
    request::Kind,
    task::{Facts, Status},
};
use pixel_store::{blobs::Blobs, *};
use pixel_testkit::postgres::Cluster;
use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

struct Rig {
    folder: tempfile::TempDir,
    cluster: Option<Cluster>,
    url: Option<String>,
}

impl Rig {
    fn new(on_postgres: bool) -> Self {
        let cluster = on_postgres.then(Cluster::start);
        let url = cluster.as_ref().map(Cluster::database);
        Self { folder: tempfile::tempdir().unwrap(), cluster, url }
    }

    async fn open(&self) -> Store {
        let (data, database_url) = (self.folder.path().to_owned(), self.url.clone());
        Store::open(&Options { data, database_url, pool_size: 4, lease: Duration::from_secs(30) }).await.unwrap()
    }
}

on_both!(
    a_short_row_stays_and_shared_files_stay_with_it,
    a_file_that_is_going_cannot_be_named,
    one_sweeps_at_a_time_and_a_successor_takes_up,
    no_file_goes_under_its_publisher,
    a_live_task_is_left_alone,
);

fn sha(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn media(store: &Store, task: &TaskId, sha256: &str) -> MediaRow {
    let facts = Facts {
        sha256: sha256.to_owned(),
        bytes: 1,
        content_type: "image/png".to_owned(),
        ext: "png".to_owned(),
        size: None,
        duration_ms: None,
    };
    let task = Some(task.clone());
    MediaRow { id: new_media_id(), task, facts, created_at: now(), seen: store.blob_generation() }
}

fn task() -> NewTask {
    NewTask { leased: true, ..new_task(Kind::Image, "acme/paint", "a cat") }
}

fn face(status: Status, at: Stamp) -> Face {
    Face {
        status,
        served_by: None,
        warnings: Vec::new(),
        made: Vec::new(),
        failure: None,
        attention: None,
        cost: None,
        progress: 0,
        at,
    }
}

/// Ends a task with these media.
async fn end(store: &Store, lease: &Lease, at: Stamp, media: Vec<MediaRow>) -> Saved {
    let face = Some(face(Status::Completed, at));
    store
        .save(&Save { lease: lease.clone(), then: Then::End, face, attempt: None, outcome: None, media })
        .await
        .unwrap()
}

/// A task that ended at a moment with media of these hashes.
async fn ended(store: &Store, at: Stamp, hashes: &[String]) -> (TaskId, Vec<MediaId>) {
    let new = task();
    let claimed = store.create(new.clone()).await.unwrap().unwrap();
    let rows: Vec<MediaRow> = hashes.iter().map(|hash| media(store, &new.id, hash)).collect();
    let ids = rows.iter().map(|row| row.id.clone()).collect();
    assert_eq!(end(store, &claimed.lease, at, rows).await, Saved::Done);
    (new.id, ids)
}

async fn step(sweep: &mut Sweep, removed: Vec<Doomed>, before: Stamp) -> Swept {
    sweep.step(removed, before, KEPT, 100).await.unwrap().unwrap()
}

fn hashes(swept: &Swept) -> Vec<&str> {
    let mut all: Vec<&str> = swept.doomed.iter().map(|one| one.sha256.as_str()).collect();
    all.sort_unstable();
    all
}

async fn a_short_row_stays_and_shared_files_stay_with_it(rig: &Rig) {
    let store = rig.open().await;
    let (old, old_media) = ended(&store, Stamp(100), &[sha('a'), sha('b'), sha('b')]).await;
    let (young, young_media) = ended(&store, Stamp(200), &[sha('a')]).await;
    let mut sweep = store.begin_sweep().await.unwrap().unwrap();
    let swept = step(&mut sweep, Vec::new(), Stamp(150)).await;
    assert_eq!((swept.tasks, hashes(&swept)), (1, vec![&*sha('b')]), "the younger task names the other file");
    let row = store.task(&old).await.unwrap().unwrap();
    assert_eq!((row.kept, row.status, row.params.get()), (Some(KEPT), Status::Completed, "{}"));
    assert!(row.made.is_empty() && row.completed_at == Some(Stamp(100)) && row.model == "acme/paint");
    for id in &old_media {
        assert_eq!(store.media(id).await.unwrap(), Some(Stored::Removed));
    }
    let done = step(&mut sweep, swept.doomed, Stamp(150)).await;
    assert_eq!((done.tasks, done.doomed.len()), (0, 0), "what is removed is not handed out again");
    assert_eq!(store.task(&young).await.unwrap().unwrap().kept, None);
    assert!(matches!(store.media(&young_media[0]).await.unwrap(), Some(Stored::Here(_))));
    let last = step(&mut sweep, Vec::new(), Stamp(250)).await;
    assert_eq!((last.tasks, hashes(&last)), (1, vec![&*sha('a')]));
    assert_eq!(store.media(&new_media_id()).await.unwrap(), None, "an id that never was is not one that is gone");
}

async fn a_file_that_is_going_cannot_be_named(rig: &Rig) {
    let store = rig.open().await;
    ended(&store, Stamp(100), &[sha('a')]).await;
    let new = task();
    let lease = store.create(new.clone()).await.unwrap().unwrap().lease;
    let before = media(&store, &new.id, &sha('a'));
    let mut sweep = store.begin_sweep().await.unwrap().unwrap();
    let doomed = step(&mut sweep, Vec::new(), Stamp(150)).await.doomed;
    assert_eq!(end(&store, &lease, now(), vec![before.clone()]).await, Saved::Removed);
    let meanwhile = media(&store, &new.id, &sha('a'));
    assert_eq!(end(&store, &lease, now(), vec![meanwhile.clone()]).await, Saved::Removed, "it may go at any moment");
    let born = NewTask { media: vec![meanwhile.clone()], ..task() };
    assert!(matches!(store.create(born.clone()).await, Err(StoreError::Removed)));
    assert!(store.task(&born.id).await.unwrap().is_none(), "nothing of it was written");
    step(&mut sweep, doomed, Stamp(150)).await;
    for late in [before, meanwhile] {
        assert_eq!(end(&store, &lease, now(), vec![late]).await, Saved::Removed, "it was seen before it went");
    }
    let other = media(&store, &new.id, &sha('c'));
    let again = MediaRow { seen: store.blob_generation(), ..media(&store, &new.id, &sha('a')) };
    assert_eq!(store.task(&new.id).await.unwrap().unwrap().status, Status::Pending);
    assert_eq!(end(&store, &lease, now(), vec![again, other]).await, Saved::Done, "published anew, it may be named");
}

async fn one_sweeps_at_a_time_and_a_successor_takes_up(rig: &Rig) {
    let store = rig.open().await;
    ended(&store, Stamp(100), &[sha('a')]).await;
    let mut sweep = store.begin_sweep().await.unwrap().unwrap();
    assert!(store.begin_sweep().await.unwrap().is_none());
    assert_eq!(step(&mut sweep, Vec::new(), Stamp(150)).await.doomed.len(), 1);
    // As a crash: the file may be there or not, and nobody has recorded either.
    store.close().await;
    drop((store, sweep));
    if let (Some(cluster), Some(url)) = (&rig.cluster, &rig.url) {
        // What the other database does at its start, time does here.
        cluster.query(url, "UPDATE meta SET value = value - 300000000 WHERE name = 'retention_lease'");
    }
    let store = rig.open().await;
    let mut next = store.begin_sweep().await.unwrap().unwrap();
    let swept = step(&mut next, Vec::new(), Stamp(150)).await;
    assert_eq!((swept.tasks, hashes(&swept)), (0, vec![&*sha('a')]), "what was doomed is handed out again");
    next.end().await.unwrap();
    assert!(store.begin_sweep().await.unwrap().is_some());
}

async fn a_live_task_is_left_alone(rig: &Rig) {
    let store = rig.open().await;
    let new = task();
    let input = media(&store, &new.id, &sha('a'));
    let lease = store.create(NewTask { media: vec![input.clone()], ..new.clone() }).await.unwrap().unwrap().lease;
    ended(&store, Stamp(100), &[sha('a')]).await;
    let mut sweep = store.begin_sweep().await.unwrap().unwrap();
    let swept = step(&mut sweep, Vec::new(), Stamp(i64::MAX)).await;
    assert_eq!((swept.tasks, swept.doomed.len()), (1, 0), "a live task's input stays");
    assert_eq!(store.task(&new.id).await.unwrap().unwrap().kept, None);
    assert_eq!(end(&store, &lease, Stamp(100), Vec::new()).await, Saved::Done);
    let swept = step(&mut sweep, Vec::new(), Stamp(150)).await;
    assert_eq!((swept.tasks, hashes(&swept)), (1, vec![&*sha('a')]), "and goes with it");
}

/// Publishers of a few equal files race with a sweep that takes everything as soon as it has
/// ended: whenever a row says that a file is here, it is.
async fn no_file_goes_under_its_publisher(rig: &Rig) {
    const LENGTH: Duration = Duration::from_secs(4);
    let stores = match rig.url {
        // Two replicas: the sweeper's, and one that learns of removals by being refused.
        Some(_) => [rig.open().await, rig.open().await],
        None => {
            let store = rig.open().await;
            [store.clone(), store]
        }
    };
    let blobs = Blobs::open(rig.folder.path()).unwrap();
    let (stop, refusals, rounds) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let publish = async |store: &Store, at: u8| {
        while !stop.load(Ordering::Relaxed) {
            let new = task();
            let lease = store.create(new.clone()).await.unwrap().unwrap().lease;
            let named = loop {
                let seen = store.blob_generation();
                let staged = blobs.stage_bytes(&[at % 3; 100]).unwrap();
                let _ = blobs.publish(&staged, false).unwrap();
                tokio::task::yield_now().await;
                let row = MediaRow { seen, ..media(store, &new.id, &staged.sha256) };
                match end(store, &lease, now(), vec![row.clone()]).await {
                    Saved::Done => break row,
                    Saved::Removed => refusals.fetch_add(1, Ordering::Relaxed),
                    other => panic!("{other:?}"),
                };
            };
            let sha256 = &named.facts.sha256;
            let is_here = rig.folder.path().join("blobs").join(&sha256[..2]).join(sha256).exists();
            let row = store.media(&named.id).await.unwrap();
            assert!(is_here || row == Some(Stored::Removed), "a file that is named is gone");
        }
    };
    let sweep = async |store: &Store| {
        let until = Instant::now() + LENGTH;
        let mut sweep = store.begin_sweep().await.unwrap().unwrap();
        let mut removed = Vec::new();
        loop {
            let swept = sweep.step(removed, now(), KEPT, 8).await.unwrap().unwrap();
            rounds.fetch_add(u32::try_from(swept.doomed.len()).unwrap(), Ordering::Relaxed);
            for one in &swept.doomed {
                blobs.remove(&one.sha256).await.unwrap();
            }
            removed = swept.doomed;
            let is_over = Instant::now() >= until;
            stop.store(is_over, Ordering::Relaxed);
            if is_over && removed.is_empty() {
                break;
            }
        }
    };
    let publishers = (0..12).map(|at| publish(&stores[usize::from(at % 2)], at));
    tokio::join!(sweep(&stores[0]), futures_util::future::join_all(publishers));
    let (refusals, rounds) = (refusals.into_inner(), rounds.into_inner());
    assert!(rounds > 20 && refusals > 0, "too little happened: {rounds} files removed, {refusals} publishers refused");
}
