//! What only a folder has.

use super::*;
use std::{os::unix::fs::PermissionsExt, path::Path};

fn open() -> (TempDir, Blobs) {
    let Home { blobs, data, .. } = Home::disk();
    (data, blobs)
}

fn count(data: &TempDir, folder: &str) -> usize {
    fs::read_dir(data.path().join("data").join(folder)).unwrap().count()
}

#[tokio::test]
async fn publishing_at_the_same_time_is_harmless() {
    let (_data, blobs) = open();
    for round in 0..20_u8 {
        let mut writer = blobs.stage(9);
        writer.write(&[round]).await.unwrap();
        let staged = writer.finish().await.unwrap();
        std::thread::scope(|threads| {
            let publish = || blobs.publish(&staged, false).map(drop);
            let keeping = || blobs.publish(&staged, true).map(drop);
            let (a, b) = (threads.spawn(publish), threads.spawn(publish));
            assert!(a.join().unwrap().is_ok() && b.join().unwrap().is_ok());
            // The staged name has gone by now, which a publisher that needs it must hear of.
            let late = keeping();
            assert!(late.is_ok() || late.unwrap_err().kind() == io::ErrorKind::NotFound);
        });
    }
}

#[tokio::test]
async fn the_cap_holds_and_nothing_stays_of_what_is_too_large() {
    let (data, blobs) = open();
    let mut writer = blobs.stage(300_000);
    writer.write(&[0; 300_000]).await.unwrap();
    assert_eq!(count(&data, "staging"), 1, "the first batch is on the disk");
    assert_eq!(writer.write(&[0]).await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    drop(writer);
    assert_eq!(count(&data, "staging"), 0);

    let mut writer = blobs.stage_blocking(300_000);
    writer.write_all(&[0; 300_000]).unwrap();
    assert_eq!(writer.write_all(&[0]).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    drop(writer);
    assert_eq!(count(&data, "staging"), 0);
}

#[tokio::test]
async fn a_write_that_is_cancelled_leaves_nothing() {
    let (data, blobs) = open();
    for _ in 0..20 {
        let mut writer = blobs.stage(10 << 20);
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
    let mut writer = blobs.stage(10);
    writer.write(b"x").await.unwrap();
    assert_eq!(writer.finish().await.unwrap_err().kind(), io::ErrorKind::NotFound);
    let mut writer = blobs.stage(1 << 20);
    assert_eq!(writer.write(&[0; 300_000]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(writer.finish().await.is_err(), "a writer that lost bytes must not finish");
}

#[test]
fn folders_are_for_the_owner_only() {
    let (data, _blobs) = open();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["data", "data/blobs", "data/staging"] {
        assert_eq!(mode(&data.path().join(folder)), 0o700, "{folder}");
    }
}

#[tokio::test]
async fn a_published_file_can_be_published_again() {
    let (data, blobs) = open();
    let staged = blobs.stage_bytes(b"picture").unwrap();
    for _ in 0..2 {
        // After a crash the publishing is done again.
        let publication = blobs.publish(&staged, false).unwrap();
        assert_eq!(fs::read(blobs.path_of(&publication)).unwrap(), b"picture");
    }
    assert_eq!((count(&data, "staging"), count(&data, "blobs")), (0, 1));
}
