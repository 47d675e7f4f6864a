//! What only a bucket has: other servers, outages, uploads that break off.

use super::*;
use crate::blobs::{
    check_bucket,
    objects::{Objects, PART_BYTES},
};

/// A staged file that needs three parts.
const LARGE: u64 = 2 * PART_BYTES + 12_345;

fn outage(home: &mut Home) -> &mut S3 {
    Arc::get_mut(home.s3.as_mut().unwrap()).expect("nobody else has it")
}

#[tokio::test]
async fn another_server_finds_what_was_secured() {
    let first = Home::bucket();
    let second = Home::sharing(first.s3.clone().unwrap());
    for size in [20_000, LARGE] {
        let staged = first.blobs.stage_bytes(&bytes_of(size)).unwrap();
        let missing = second.blobs.bring(&staged.handle).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        first.blobs.secure(std::slice::from_ref(&staged.handle)).await.unwrap();
        // The first server's disk is lost here.
        second.blobs.bring(&staged.handle).await.unwrap();
        assert_eq!(second.blobs.staged(&staged.handle).unwrap(), staged);
        second.publish(&staged, true).await.unwrap();
        second.blobs.discard(staged.handle.clone()).await.unwrap();
        assert!(first.read(&staged.sha256).await.unwrap() == bytes_of(size));
    }
    assert_eq!((second.staging().len(), first.s3().objects("staging").len()), (0, 0));
    assert_eq!((first.s3().objects("uploads").len(), first.s3().uploads()), (0, 0));
}

#[tokio::test]
async fn what_an_outage_kept_here_is_taken_along_later() {
    let mut home = Home::bucket();
    let staged = home.blobs.stage_bytes(b"picture").unwrap();
    outage(&mut home).kill9();
    home.blobs.secure(std::slice::from_ref(&staged.handle)).await.unwrap();
    assert_eq!(home.publish(&staged, true).await.unwrap_err().kind(), io::ErrorKind::Other);
    assert!(home.blobs.settle().await.is_err());
    // However long it lasts, a restart included, the only copy is not swept.
    home.blobs = Blobs::open_bucket(&home.data.path().join("data"), options(&home.s3().endpoint())).unwrap();
    assert!(home.blobs.sweep(Duration::ZERO, Duration::ZERO).await.is_err());
    assert_eq!(home.blobs.staged(&staged.handle).unwrap(), staged);

    outage(&mut home).restart();
    assert_eq!(home.blobs.settle().await.unwrap(), 1);
    assert_eq!((home.blobs.settle().await.unwrap(), home.s3().objects("staging").len()), (0, 1));
    let other = Home::sharing(home.s3.clone().unwrap());
    other.blobs.bring(&staged.handle).await.unwrap();
    other.publish(&staged, true).await.unwrap();
    other.blobs.discard(staged.handle.clone()).await.unwrap();
    assert_eq!(home.read(&staged.sha256).await.unwrap(), b"picture");
    // Now it is a staged file like any other.
    assert_eq!(home.blobs.sweep(Duration::ZERO, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(home.staging().len(), 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_shows_nothing_and_is_swept() {
    let home = Home::bucket();
    let staged = home.blobs.stage_bytes(&bytes_of(LARGE)).unwrap();
    let objects = Objects::new(options(&home.s3().endpoint())).unwrap();
    let key = objects.blob_key(&staged.sha256);
    // As after a crash behind the second part: nobody completes it, nobody aborts it.
    let (begun, _note) = objects.begin(&key).await.unwrap();
    for at in 0..2 {
        let file = home.blobs.staged_path(&staged.handle);
        objects.send_part(&key, &begun.upload, &file, at, staged.bytes).await.unwrap();
    }
    assert_eq!(home.read(&staged.sha256).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!((home.s3().objects("").len(), home.s3().objects("uploads").len()), (1, 1));
    assert_eq!(home.s3().uploads(), 3, "the upload and two parts");

    assert_eq!(
        home.blobs.sweep(Duration::from_secs(3600), Duration::from_secs(3600)).await.unwrap(),
        0,
        "it may still be under way"
    );
    home.publish(&staged, true).await.unwrap();
    assert_eq!((home.stored(), home.s3().uploads()), (1, 3));
    assert!(home.read(&staged.sha256).await.unwrap() == bytes_of(LARGE));
    home.blobs.discard(staged.handle).await.unwrap();
    assert_eq!(home.blobs.sweep(Duration::ZERO, Duration::ZERO).await.unwrap(), 1);
    assert_eq!((home.s3().objects("").len(), home.s3().uploads(), home.stored()), (1, 0, 1));
}

#[tokio::test]
async fn the_note_of_an_upload_that_was_completed_goes_too() {
    let home = Home::bucket();
    let staged = home.blobs.stage_bytes(&bytes_of(LARGE)).unwrap();
    let objects = Objects::new(options(&home.s3().endpoint())).unwrap();
    let key = objects.blob_key(&staged.sha256);
    let (begun, _note) = objects.begin(&key).await.unwrap();
    let file = home.blobs.staged_path(&staged.handle);
    // A crash behind the completion: only the note is left.
    objects.send(&key, &begun.upload, &file, staged.bytes).await.unwrap();
    home.blobs.discard(staged.handle).await.unwrap();
    assert_eq!((home.s3().objects("uploads").len(), home.s3().uploads()), (1, 0));
    assert_eq!(home.blobs.sweep(Duration::ZERO, Duration::ZERO).await.unwrap(), 1);
    assert_eq!((home.s3().objects("uploads").len(), home.stored()), (0, 1));
}

#[tokio::test]
async fn a_failed_upload_is_aborted_at_once() {
    let home = Home::bucket();
    let staged = home.blobs.stage_bytes(&bytes_of(LARGE)).unwrap();
    let longer = StagedBlob { bytes: LARGE + PART_BYTES, ..staged.clone() };
    assert!(home.publish(&longer, true).await.is_err(), "the file has fewer bytes than it should");
    assert_eq!((home.s3().objects("").len(), home.s3().uploads()), (0, 0));
}

#[tokio::test]
async fn staged_objects_are_swept_when_they_are_old() {
    let home = Home::bucket();
    let handles = [b"old", b"new"].map(|text| home.blobs.stage_bytes(text).unwrap().handle);
    home.blobs.secure(&handles).await.unwrap();
    let is_old = |file: &&PathBuf| file.ends_with(&handles[0].0);
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    let files = home.s3().objects("staging");
    let old = fs::OpenOptions::new().write(true).open(files.iter().find(is_old).unwrap()).unwrap();
    old.set_modified(hour_ago).unwrap();
    let (half_an_hour, two_hours) = (Duration::from_secs(1800), Duration::from_secs(7200));
    assert_eq!(home.blobs.sweep(half_an_hour, two_hours).await.unwrap(), 0, "a row may name it still");
    assert_eq!(home.blobs.sweep(half_an_hour, half_an_hour).await.unwrap(), 1);
    let left = home.s3().objects("staging");
    assert!(left.len() == 1 && left[0].ends_with(&handles[1].0));
}

#[tokio::test]
async fn servers_may_publish_the_same_at_the_same_time() {
    let first = Home::bucket();
    let second = Home::sharing(first.s3.clone().unwrap());
    for size in [30_000, LARGE] {
        let bytes = bytes_of(size);
        let staged = [&first, &second].map(|home| home.blobs.stage_bytes(&bytes).unwrap());
        let both = tokio::join!(first.publish(&staged[0], false), second.publish(&staged[1], false));
        both.0.unwrap();
        both.1.unwrap();
        assert!(first.read(&staged[0].sha256).await.unwrap() == bytes);
    }
    assert_eq!((first.stored(), first.s3().uploads()), (2, 0));
}

#[tokio::test]
async fn a_start_is_refused_with_the_reason() {
    let mut home = Home::bucket();
    check_bucket(options(&home.s3().endpoint())).await.unwrap();
    assert_eq!(home.s3().objects("").len(), 0, "the probe stays");
    let endpoint = home.s3().endpoint();
    let refused = async |change: fn(&mut ObjectOptions)| {
        let mut options = options(&endpoint);
        change(&mut options);
        check_bucket(options).await.unwrap_err().to_string()
    };
    let wrong_secret = refused(|options| options.secret = Secret::new("hunter2")).await;
    assert_eq!(wrong_secret, "the object store answers SignatureDoesNotMatch");
    let wrong_key = refused(|options| options.key_id = Secret::new("hunter2")).await;
    assert!(wrong_key.starts_with("the object store answers ") && !wrong_key.contains("hunter2"), "{wrong_key}");
    let no_bucket = refused(|options| "nowhere".clone_into(&mut options.bucket)).await;
    assert_eq!(no_bucket, "the object store answers NoSuchBucket");
    outage(&mut home).kill9();
    let away = refused(|_| {}).await;
    assert!(away.contains("cannot be used"), "{away}");
}
