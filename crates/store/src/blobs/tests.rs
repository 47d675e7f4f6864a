//! Blobs on a real folder.

use super::{Blobs, StagedBlob};
use pixel_core::vendor::Staged;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

fn open() -> (TempDir, Blobs) {
    let data = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&data.path().join("data")).unwrap();
    (data, blobs)
}

/// Stores bytes: staged, and published at once.
fn put(blobs: &Blobs, bytes: &[u8]) -> std::io::Result<StagedBlob> {
    let staged = blobs.stage_bytes(bytes)?;
    blobs.publish(&staged.handle, &staged.sha256)?;
    Ok(staged)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn count(data: &TempDir, folder: &str) -> usize {
    fs::read_dir(data.path().join("data").join(folder)).unwrap().count()
}

#[tokio::test]
async fn a_blob_is_staged_published_and_read() {
    let (data, blobs) = open();
    for size in [0, 1, 20_000, 262_143, 262_144, 262_145, 1_000_000] {
        let bytes: Vec<u8> = (0..size as u32).map(|i| (i % 251) as u8).collect();
        let mut writer = blobs.stage(size).await.unwrap();
        for chunk in bytes.chunks(70_001) {
            writer.write(chunk).await.unwrap();
        }
        let staged = writer.finish().await.unwrap();
        assert_eq!((staged.bytes, &staged.sha256), (size, &sha256(&bytes)));
        assert!(!blobs.path(&staged.sha256).exists(), "visible before it is published");
        assert_eq!(blobs.staged(&staged.handle).unwrap(), staged);

        blobs.publish(&staged.handle, &staged.sha256).unwrap();
        let (mut file, length) = blobs.open_read(&staged.sha256).await.unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).await.unwrap();
        assert!(length == size && read == bytes, "{size} bytes differ");
        // After a crash the publishing is done again.
        blobs.publish(&staged.handle, &staged.sha256).unwrap();
    }
    assert_eq!(count(&data, "staging"), 0);
}

#[tokio::test]
async fn equal_bytes_are_stored_once() {
    let (data, blobs) = open();
    let first = put(&blobs, b"picture").unwrap();
    let mut writer = blobs.stage_blocking(100).unwrap();
    writer.write_all(b"pic").unwrap();
    writer.write_all(b"ture").unwrap();
    let second = writer.finish().unwrap();
    assert_eq!((&second.sha256, second.handle == first.handle), (&first.sha256, false));
    blobs.publish(&second.handle, &second.sha256).unwrap();
    assert_eq!((count(&data, "staging"), count(&data, "blobs")), (0, 1));
    assert_eq!(fs::read(blobs.path(&first.sha256)).unwrap(), b"picture");
}

#[tokio::test]
async fn publishing_at_the_same_time_is_harmless() {
    let (_data, blobs) = open();
    for round in 0..20_u8 {
        let mut writer = blobs.stage(9).await.unwrap();
        writer.write(&[round]).await.unwrap();
        let staged = writer.finish().await.unwrap();
        std::thread::scope(|threads| {
            let publish = || blobs.publish(&staged.handle, &staged.sha256);
            let keeping = || blobs.publish_keeping(&staged.handle, &staged.sha256);
            let (a, b) = (threads.spawn(publish), threads.spawn(publish));
            assert!(a.join().unwrap().is_ok() && b.join().unwrap().is_ok());
            // The staged name has gone by now, which a publisher that needs it must hear of.
            let late = keeping();
            assert!(late.is_ok() || late.unwrap_err().kind() == io::ErrorKind::NotFound);
        });
    }
}

#[test]
fn what_a_row_names_stays_in_staging_until_it_is_discarded() {
    let (data, blobs) = open();
    let staged = blobs.stage_bytes(b"picture").unwrap();
    for _ in 0..2 {
        blobs.publish_keeping(&staged.handle, &staged.sha256).unwrap();
        assert_eq!(blobs.staged(&staged.handle).unwrap(), staged, "a restart finds it again");
        assert_eq!(fs::read(blobs.path(&staged.sha256)).unwrap(), b"picture");
    }
    blobs.discard(&staged.handle).unwrap();
    blobs.discard(&staged.handle).unwrap();
    assert_eq!((count(&data, "staging"), fs::read(blobs.path(&staged.sha256)).unwrap().len()), (0, 7));
}

#[tokio::test]
async fn the_cap_holds_and_nothing_stays_of_what_is_too_large() {
    let (data, blobs) = open();
    let mut writer = blobs.stage(300_000).await.unwrap();
    writer.write(&[0; 300_000]).await.unwrap();
    assert_eq!(count(&data, "staging"), 1, "the first batch is on the disk");
    assert_eq!(writer.write(&[0]).await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    drop(writer);
    assert_eq!(count(&data, "staging"), 0);

    let mut writer = blobs.stage_blocking(300_000).unwrap();
    writer.write_all(&[0; 300_000]).unwrap();
    assert_eq!(writer.write_all(&[0]).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    drop(writer);
    assert_eq!(count(&data, "staging"), 0);
}

#[tokio::test]
async fn a_write_that_is_cancelled_leaves_nothing() {
    let (data, blobs) = open();
    for _ in 0..20 {
        let mut writer = blobs.stage(10 << 20).await.unwrap();
        writer.write(&[1; 300_000]).await.unwrap();
        let write = async move { writer.write(&vec![1; 9 << 20]).await };
        tokio::select! {
            biased;
            result = write => panic!("nine batches in one poll: {result:?}"),
            () = std::future::ready(()) => {}
        }
    }
    let gone = async {
        while count(&data, "staging") > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("a cancelled writer's file stays");
}

#[tokio::test]
async fn a_disk_that_refuses_is_reported() {
    let (data, blobs) = open();
    fs::remove_dir(data.path().join("data/staging")).unwrap();
    let mut writer = blobs.stage(10).await.unwrap();
    writer.write(b"x").await.unwrap();
    assert_eq!(writer.finish().await.unwrap_err().kind(), io::ErrorKind::NotFound);
    let mut writer = blobs.stage(1 << 20).await.unwrap();
    assert_eq!(writer.write(&[0; 300_000]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(writer.finish().await.is_err(), "a writer that lost bytes must not finish");
}

#[tokio::test]
async fn names_from_outside_reach_no_other_file() {
    let (data, blobs) = open();
    let inside = data.path().join("data");
    for name in ["", "../../secret", "/etc/passwd", &"A".repeat(64), &"z".repeat(64), &format!("{}/..", "a".repeat(61))]
    {
        assert_eq!(blobs.open_read(name).await.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        let handle = Staged(name.to_owned());
        assert_eq!(blobs.path(name).parent(), Some(inside.join("blobs").as_path()));
        assert_eq!(blobs.staged_path(&handle).parent(), Some(inside.join("staging").as_path()));
        assert_eq!(blobs.publish(&handle, &sha256(b"x")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(blobs.staged(&handle).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn the_sweep_takes_only_what_is_old() {
    let (data, blobs) = open();
    let mut stages = Vec::new();
    for text in [b"old", b"new"] {
        let mut writer = blobs.stage(10).await.unwrap();
        writer.write(text).await.unwrap();
        stages.push(writer.finish().await.unwrap().handle);
    }
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let old = fs::OpenOptions::new().write(true).open(blobs.staged_path(&stages[0])).unwrap();
    old.set_modified(hour_ago).unwrap();
    assert_eq!(blobs.sweep(Duration::from_secs(7200)).unwrap(), 0);
    assert_eq!(blobs.sweep(Duration::from_secs(1800)).unwrap(), 1);
    assert!(!blobs.staged_path(&stages[0]).exists() && blobs.staged_path(&stages[1]).exists());
    assert_eq!(count(&data, "staging"), 1);
}

#[tokio::test]
async fn the_sweep_leaves_what_is_still_wanted() {
    let (_data, blobs) = open();
    let handle = put(&blobs, b"paid for").unwrap().handle;
    let file = fs::OpenOptions::new().write(true).open(blobs.staged_path(&handle)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    // A task whose row names it has looked at it again, and could not publish it yet.
    blobs.staged(&handle).unwrap();
    assert_eq!(blobs.sweep(Duration::from_secs(1800)).unwrap(), 0);
    assert!(blobs.staged_path(&handle).exists());
}

#[test]
fn folders_are_for_the_owner_only() {
    let (data, _blobs) = open();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["data", "data/blobs", "data/staging"] {
        assert_eq!(mode(&data.path().join(folder)), 0o700, "{folder}");
    }
}
