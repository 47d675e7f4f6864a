//! Blobs on a real folder and in a bucket of a real server: the same trials on both.

mod bucket;
mod disk;

use super::{Blobs, ObjectOptions, StagedBlob};
use pixel_core::vendor::{Secret, Staged};
use pixel_testkit::{S3, s3};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

/// One server's blobs.
struct Home {
    blobs: Blobs,
    data: TempDir,
    /// Absent: the blobs are in the data folder.
    s3: Option<Arc<S3>>,
}

impl Home {
    fn disk() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self { blobs: Blobs::open(&data.path().join("data")).unwrap(), data, s3: None }
    }

    fn bucket() -> Self {
        Self::sharing(Arc::new(S3::start()))
    }

    /// Another server with a disk of its own, over the same bucket.
    fn sharing(s3: Arc<S3>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let blobs = Blobs::open_bucket(&data.path().join("data"), options(&s3.endpoint())).unwrap();
        Self { blobs, data, s3: Some(s3) }
    }

    fn both() -> [Self; 2] {
        [Self::disk(), Self::bucket()]
    }

    fn s3(&self) -> &S3 {
        self.s3.as_ref().unwrap()
    }

    /// Stores bytes: staged, and published at once.
    async fn put(&self, bytes: &[u8]) -> StagedBlob {
        let staged = self.blobs.stage_bytes(bytes).unwrap();
        self.publish(&staged, false).await.unwrap();
        staged
    }

    async fn publish(&self, staged: &StagedBlob, stays: bool) -> io::Result<()> {
        self.blobs.complete(self.blobs.publish(staged, stays)?).await
    }

    async fn read(&self, sha256: &str) -> io::Result<Vec<u8>> {
        let (mut reader, length) = self.blobs.open_read(sha256).await?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await?;
        assert_eq!(bytes.len() as u64, length);
        Ok(bytes)
    }

    fn staging(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data.path().join("data/staging")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// How many blobs there are; each equals its name.
    fn stored(&self) -> usize {
        if let Some(s3) = &self.s3 {
            return s3.check_blobs();
        }
        let folders = fs::read_dir(self.data.path().join("data/blobs")).unwrap();
        folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
    }
}

fn options(endpoint: &str) -> ObjectOptions {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    ObjectOptions {
        bucket: s3::BUCKET.to_owned(),
        prefix: s3::PREFIX.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        path_style: true,
        key_id: Secret::new(s3::KEY_ID),
        secret: Secret::new(s3::SECRET),
        token: None,
        tls,
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(size: u64) -> Vec<u8> {
    (0..size as u32).map(|i| (i % 251) as u8).collect()
}

#[tokio::test]
async fn a_blob_is_staged_published_and_read() {
    for home in Home::both() {
        for size in [0, 1, 20_000, 262_143, 262_144, 262_145, 1_000_000, 8 << 20, (8 << 20) + 1, 20_000_000] {
            let bytes = bytes_of(size);
            let mut writer = home.blobs.stage(size);
            for chunk in bytes.chunks(70_001) {
                writer.write(chunk).await.unwrap();
            }
            let staged = writer.finish().await.unwrap();
            assert_eq!((staged.bytes, &staged.sha256), (size, &sha256(&bytes)));
            let early = home.read(&staged.sha256).await.unwrap_err().kind();
            assert_eq!(early, io::ErrorKind::NotFound, "visible before it is published");
            assert_eq!(home.blobs.staged(&staged.handle).unwrap(), staged);

            let publication = home.blobs.publish(&staged, false).unwrap();
            assert_eq!(fs::read(home.blobs.path_of(&publication)).unwrap(), bytes);
            home.blobs.complete(publication).await.unwrap();
            assert!(home.read(&staged.sha256).await.unwrap() == bytes, "{size} bytes differ");
            // Who publishes again stages again: the content is there.
            home.put(&bytes).await;
        }
        assert_eq!((home.staging().len(), home.stored()), (0, 10));
    }
}

#[tokio::test]
async fn parts_are_read() {
    for home in Home::both() {
        let bytes = bytes_of(9_000_000);
        let staged = home.put(&bytes).await;
        for range in [0..1, 0..100, 8_999_999..9_000_000, 4_000_000..8_400_000, 0..9_000_000, 5..5] {
            let mut reader = home.blobs.open_range(&staged.sha256, range.clone()).await.unwrap();
            let mut part = Vec::new();
            reader.read_to_end(&mut part).await.unwrap();
            assert!(part == bytes[range.start as usize..range.end as usize], "{range:?} differs");
        }
        for range in [0..1, 5..5] {
            let missing = home.blobs.open_range(&sha256(b"never stored"), range).await.err().unwrap();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
        let (blobs, sha256) = (home.blobs.clone(), staged.sha256.clone());
        let whole = tokio::task::spawn_blocking(move || (blobs.read(&sha256, 1 << 30), blobs.read(&sha256, 10)));
        let (whole, start) = whole.await.unwrap();
        assert!(whole.unwrap() == bytes && start.unwrap() == bytes[..10]);
    }
}

#[tokio::test]
async fn equal_bytes_are_stored_once() {
    for home in Home::both() {
        let first = home.put(b"picture").await;
        let mut writer = home.blobs.stage_blocking(100);
        writer.write_all(b"pic").unwrap();
        writer.write_all(b"ture").unwrap();
        let second = writer.finish().unwrap();
        assert_eq!((&second.sha256, second.handle == first.handle), (&first.sha256, false));
        home.publish(&second, false).await.unwrap();
        assert_eq!((home.staging().len(), home.stored()), (0, 1));
        assert_eq!(home.read(&first.sha256).await.unwrap(), b"picture");
    }
}

#[tokio::test]
async fn what_a_row_names_stays_in_staging_until_it_is_discarded() {
    for home in Home::both() {
        let staged = home.blobs.stage_bytes(b"picture").unwrap();
        for _ in 0..2 {
            home.blobs.secure(std::slice::from_ref(&staged.handle)).await.unwrap();
            home.publish(&staged, true).await.unwrap();
            home.blobs.bring(&staged.handle).await.unwrap();
            assert_eq!(home.blobs.staged(&staged.handle).unwrap(), staged, "a restart finds it again");
            assert_eq!(home.read(&staged.sha256).await.unwrap(), b"picture");
        }
        home.blobs.discard(staged.handle.clone()).await.unwrap();
        home.blobs.discard(staged.handle.clone()).await.unwrap();
        assert_eq!((home.staging().len(), home.stored()), (0, 1));
        assert!(home.s3.as_ref().is_none_or(|s3| s3.objects("staging").is_empty()));
    }
}

#[tokio::test]
async fn the_sweep_takes_only_what_is_old() {
    for home in Home::both() {
        let handles = [b"old", b"new"].map(|text| home.blobs.stage_bytes(text).unwrap().handle);
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let old = fs::OpenOptions::new().write(true).open(home.blobs.staged_path(&handles[0])).unwrap();
        old.set_modified(hour_ago).unwrap();
        assert_eq!(home.blobs.sweep(Duration::from_secs(7200), Duration::from_secs(7200)).await.unwrap(), 0);
        assert_eq!(home.blobs.sweep(Duration::from_secs(1800), Duration::from_secs(1800)).await.unwrap(), 1);
        assert!(!home.blobs.staged_path(&handles[0]).exists() && home.blobs.staged_path(&handles[1]).exists());
        assert_eq!(home.staging().len(), 1);
        // Who asks for it still needs it, however old it is.
        let old = fs::OpenOptions::new().write(true).open(home.blobs.staged_path(&handles[1])).unwrap();
        old.set_modified(hour_ago).unwrap();
        home.blobs.staged(&handles[1]).unwrap();
        assert_eq!(home.blobs.sweep(Duration::from_secs(1800), Duration::from_secs(1800)).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn names_from_outside_reach_no_other_file() {
    for home in Home::both() {
        let inside = home.data.path().join("data");
        for name in
            ["", "../../secret", "/etc/passwd", &"A".repeat(64), &"z".repeat(64), &format!("{}/..", "a".repeat(61))]
        {
            assert_eq!(home.read(name).await.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
            let part = home.blobs.open_range(name, 0..1).await.err().unwrap();
            assert_eq!(part.kind(), io::ErrorKind::InvalidInput, "{name}");
            let handle = Staged(name.to_owned());
            assert_eq!(home.blobs.staged_path(&handle).parent(), Some(inside.join("staging").as_path()));
            let blob = StagedBlob { handle: handle.clone(), sha256: sha256(b"x"), bytes: 1 };
            assert_eq!(home.publish(&blob, false).await.unwrap_err().kind(), io::ErrorKind::NotFound);
            let named = StagedBlob { sha256: name.to_owned(), ..home.blobs.stage_bytes(b"x").unwrap() };
            assert_eq!(home.publish(&named, false).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(home.blobs.staged(&handle).unwrap_err().kind(), io::ErrorKind::NotFound);
            let brought = home.blobs.bring(&handle).await;
            assert_eq!(brought.is_err(), home.blobs.is_shared());
        }
        assert_eq!(home.stored(), 0);
    }
}
