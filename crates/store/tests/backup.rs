//! What a backup carries that a caller of the API cannot see: staged results, the lists of files,
//! fences.

mod common;

use common::{new_task, on_both};
use pixel_core::{
    request::{Kind, Role},
    task::{Facts, Slot, SlotState, Stage, StoredInput, Work},
    vendor::{Output, Source, Staged},
};
use pixel_store::{
    backup::{self, BackupError, MediaMode},
    blobs::Blobs,
    *,
};
use pixel_testkit::postgres::Cluster;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

struct Rig {
    folder: tempfile::TempDir,
    cluster: Option<Cluster>,
}

impl Rig {
    fn new(on_postgres: bool) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), cluster: on_postgres.then(Cluster::start) }
    }

    fn place(&self, name: &str) -> Options {
        Options {
            data: self.folder.path().join(name),
            database_url: self.cluster.as_ref().map(Cluster::database),
            pool_size: 2,
            lease: Duration::from_secs(3),
        }
    }
}

on_both!(
    a_staged_result_survives,
    a_lease_of_the_other_life_writes_nothing,
    what_is_lost_already_is_named_and_does_not_stop_a_backup,
    a_pause_admits_no_attempt,
);

fn task(work: Work) -> NewTask {
    NewTask { work, ..new_task(Kind::Image, "acme/paint", "a cat 猫") }
}

fn facts(sha256: &str, bytes: u64) -> Facts {
    let (content_type, ext) = ("image/png".to_owned(), "png".to_owned());
    Facts { sha256: sha256.to_owned(), bytes, content_type, ext, size: None, duration_ms: None }
}

/// Where a published blob lies.
fn file_of(data: &Path, sha256: &str) -> PathBuf {
    data.join("blobs").join(&sha256[..2]).join(sha256)
}

/// A task whose result is staged, and whose input is stored without a row of its own.
fn fetching(blobs: &Blobs) -> (Work, Staged, String) {
    let staged = blobs.stage_bytes(b"a result that was paid for").unwrap();
    let input = blobs.stage_bytes(b"an input").unwrap();
    let _ = blobs.publish(&input, false).unwrap();
    let output = Output { index: 0, media: Source::Staged(staged.handle.clone()), poster: None, failed: None };
    // The vendor may have kept the handle in its mark as well.
    let mark = serde_json::json!({ "answers": [staged.handle.to_json()] });
    let state = SlotState::Fetching { mark, outputs: vec![output] };
    let inputs = vec![StoredInput { role: Role::Reference, facts: facts(&input.sha256, input.bytes) }];
    let work = Work { inputs: Some(inputs), slots: vec![Slot { state, ..Slot::new(0, 1) }], ..Work::default() };
    (work, staged.handle, input.sha256)
}

async fn take(from: &Options, to: &Path) -> Result<backup::Manifest, BackupError> {
    backup::take(from, || Blobs::open(&from.data), to, &mut |_| {}).await
}

async fn restore(from: &Path, to: &Options) -> Result<backup::Restored, BackupError> {
    backup::restore(from, to, || Blobs::open(&to.data), &mut |_| {}).await
}

async fn a_staged_result_survives(rig: &Rig) {
    let (first, second) = (rig.place("first"), rig.place("second"));
    let store = Store::open(&first).await.unwrap();
    let blobs = Blobs::open(&first.data).unwrap();
    let (work, handle, input) = fetching(&blobs);
    let task = task(work);
    let id = task.id.clone();
    store.create(task).await.unwrap();
    // On this file system a backup links, on that of shared memory it has to copy.
    let near = rig.folder.path().join("backup");
    let far = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    assert_ne!(device(far.path()), device(rig.folder.path()), "this test needs two file systems");
    for (at, to) in [near, far.path().join("backup")].into_iter().enumerate() {
        let manifest = take(&first, &to).await.unwrap();
        let media = &manifest.media;
        assert_eq!((media.mode, media.blobs, media.staged), (MediaMode::Copied, 1, 1), "{media:?}");
        assert_eq!(media.missing, Vec::<String>::new());
        let own = fs::read(blobs.staged_path(&handle)).unwrap();
        assert_eq!(own, b"a result that was paid for", "the store's own file is untouched");
        let there = if at == 0 { second.clone() } else { rig.place("third") };
        let restored = restore(&to, &there).await.unwrap();
        assert_eq!((restored.backlog.under_way, restored.backlog.in_doubt), (1, 0), "it is paid for");
        let blobs = Blobs::open(&there.data).unwrap();
        assert_eq!(fs::read(blobs.staged_path(&handle)).unwrap(), b"a result that was paid for");
        assert_eq!(fs::read(file_of(&there.data, &input)).unwrap(), b"an input");
        let again = Store::open(&there).await.unwrap();
        let claimed = again.claim_queued("acme", Budget::default(), 9).await.unwrap().tasks;
        assert_eq!(claimed.iter().map(|one| &one.lease.task).collect::<Vec<_>>(), [&id]);
        assert!(claimed[0].work.in_doubt.is_some());
        again.close().await;
    }
    store.close().await;
}

async fn a_lease_of_the_other_life_writes_nothing(rig: &Rig) {
    let (first, second) = (rig.place("first"), rig.place("second"));
    let store = Store::open(&first).await.unwrap();
    store.create(task(Work::planned(&[1]))).await.unwrap();
    let held = store.claim_queued("acme", Budget::default(), 1).await.unwrap().tasks.remove(0);
    let to = rig.folder.path().join("backup");
    take(&first, &to).await.unwrap();
    store.close().await;
    restore(&to, &second).await.unwrap();
    let again = Store::open(&second).await.unwrap();
    let mine = again.claim_due(9).await.unwrap().remove(0);
    assert!(mine.lease.fence > held.lease.fence + 1_000_000, "{:?} {:?}", mine.lease, held.lease);
    // The other life goes on counting, and reaches the restored database by its address.
    for beyond in 0..3 {
        let lease = Lease { fence: held.lease.fence + beyond, ..held.lease.clone() };
        let then = Then::Go { stage: Stage::Waiting, due: now(), work: Box::new(Work::planned(&[1])) };
        let save = Save { lease, then, face: None, attempt: None, outcome: None, media: Vec::new() };
        assert_eq!(again.save(&save).await.unwrap(), Saved::Fenced);
    }
    // A backup of what was restored is a backup like any other, and the tasks stay in doubt.
    let (to, third) = (rig.folder.path().join("again"), rig.place("third"));
    take(&second, &to).await.unwrap();
    let restored = restore(&to, &third).await.unwrap();
    assert_eq!(restored.backlog.in_doubt, 1);
    again.close().await;
}

async fn what_is_lost_already_is_named_and_does_not_stop_a_backup(rig: &Rig) {
    let (first, second) = (rig.place("first"), rig.place("second"));
    let store = Store::open(&first).await.unwrap();
    let blobs = Blobs::open(&first.data).unwrap();
    let (work, handle, input) = fetching(&blobs);
    store.create(task(work)).await.unwrap();
    blobs.discard_fresh(&handle).unwrap();
    fs::remove_file(file_of(&first.data, &input)).unwrap();
    let to = rig.folder.path().join("backup");
    let manifest = take(&first, &to).await.unwrap();
    assert_eq!(manifest.media.missing, [format!("staged {}", handle.0), input]);
    restore(&to, &second).await.unwrap();
    store.close().await;
}

async fn a_pause_admits_no_attempt(rig: &Rig) {
    let place = rig.place("first");
    let store = Store::open(&place).await.unwrap();
    store.create(task(Work::planned(&[1]))).await.unwrap();
    let held = store.claim_queued("acme", Budget::default(), 1).await.unwrap().tasks.remove(0);
    let attempt = || NewAttempt {
        id: new_attempt_id(),
        slot: 0,
        round: 0,
        vendor: "acme".to_owned(),
        estimate_micros: None,
        currency: None,
        sent_at: now(),
        budget: Budget::default(),
    };
    let save = |attempt| Save {
        lease: held.lease.clone(),
        then: Then::Go { stage: Stage::Leased, due: now(), work: Box::new(Work::planned(&[1])) },
        face: None,
        attempt,
        outcome: None,
        media: Vec::new(),
    };
    set_pause(&place, false).await.unwrap();
    assert!(matches!(store.save(&save(Some(attempt()))).await.unwrap(), Saved::Later(_)));
    assert_eq!(store.save(&save(None)).await.unwrap(), Saved::Done, "what is free goes on");
    lift_pause(&place).await.unwrap();
    assert_eq!(store.save(&save(Some(attempt()))).await.unwrap(), Saved::Done);
    assert_eq!(store.attempts(&held.lease.task).await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_do_not_mix() {
    let rig = Rig::new(false);
    let first = rig.place("first");
    Store::open(&first).await.unwrap().close().await;
    let to = rig.folder.path().join("backup");
    let partial: PathBuf = rig.folder.path().join("backup.partial");
    fs::create_dir(&partial).unwrap();
    let lock = fs::File::create(partial.join("lock")).unwrap();
    lock.try_lock().unwrap();
    assert!(matches!(take(&first, &to).await, Err(BackupError::Busy(_))));
    drop(lock);
    fs::write(partial.join("left behind"), "by a crash").unwrap();
    let manifest = take(&first, &to).await.unwrap();
    assert!(!partial.exists() && !to.join("left behind").exists() && !to.join("lock").exists());
    // Every table that a migration makes is part of it.
    let names: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    for name in ["tasks", "work", "attempts", "media", "budgets", "meta"] {
        assert!(names.contains(&name), "{names:?}");
    }
}
