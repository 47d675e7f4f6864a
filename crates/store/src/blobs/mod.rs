//! Media bytes, kept under the hash of their content: in a folder, or in a bucket of any
//! S3-compatible server.
//!
//! A blob is born in the local folder `staging/` under a random handle: hashed while it is written,
//! flushed, and not yet anyone's. There it is examined, for which a file is needed. Publishing puts
//! it under `blobs/ab/<sha256>`, where it never changes again, so equal bytes are stored once and
//! publishing twice is harmless. A half-written blob is never visible under a hash: on a disk it is
//! renamed when it is whole, and an object appears when its last part is confirmed.
//!
//! **Who may lose a disk.** A stored row may name a staged file: media that came inside an answer
//! that was paid for, and that will never come again. With a folder, the staged file is as safe as
//! its blob. With a bucket, servers have disks of their own, and another server may have to finish
//! the task. So [`Blobs::secure`] copies such files to `staging/<handle>` of the bucket before
//! the row is written, and [`Blobs::bring`] fetches one that is not here. While the bucket cannot be
//! reached, the row is written all the same, because the local disk is better than nothing: the
//! file is noted as owed, in a note that outlives a restart, the sweep leaves it alone, and
//! [`Blobs::settle`] copies it as soon as the bucket is back. Only a disk that is lost within that time loses it.
//!
//! What crashes leave behind (staged files, staged objects, uploads that nobody will complete) is
//! removed by [`Blobs::sweep`].

mod disk;
mod objects;
mod stage;
#[cfg(test)]
mod tests;

pub use objects::ObjectOptions;
pub use stage::{BlockingStage, StageWriter};
pub(crate) use stage::{hex, sync_folder};

use disk::Disk;
use futures_util::future::try_join_all;
use objects::Objects;
use pixel_core::vendor::Staged;
use stage::blocking;
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    ops::Range,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};

/// Whether the disk takes nothing more for now: it is full or read-only, and may be mended.
pub fn is_disk_unwilling(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

/// A finished file in `staging/`, with the facts that were taken while it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedBlob {
    pub handle: Staged,
    /// Lower-case hex.
    pub sha256: String,
    pub bytes: u64,
}

/// Staged bytes on their way to their hash. On a disk they have arrived; for a bucket there is
/// something left to do, which [`Blobs::complete`] does.
#[derive(Clone, Debug)]
#[must_use = "nothing is in a bucket before the publication is completed"]
pub struct Publication {
    blob: StagedBlob,
    /// A stored row names the staged file: it stays until it is discarded.
    stays: bool,
}

/// Whether a bucket can be listed, written, read and cleaned.
pub async fn check_bucket(options: ObjectOptions) -> io::Result<()> {
    Objects::new(options)?.probe().await
}

/// Bytes of a blob, as they come.
pub type BlobReader = Pin<Box<dyn AsyncRead + Send>>;

/// The blobs of one server; clones share them.
#[derive(Clone, Debug)]
pub struct Blobs {
    disk: Arc<Disk>,
    /// Absent: the blobs are on the disk too.
    objects: Option<Objects>,
}

impl Blobs {
    /// Everything in this folder, which is made when it is missing.
    pub fn open(data: &Path) -> io::Result<Self> {
        Ok(Self { disk: Arc::new(Disk::open(data, true)?), objects: None })
    }

    /// The blobs in a bucket, which is not asked yet; this folder for staging.
    pub fn open_bucket(data: &Path, options: ObjectOptions) -> io::Result<Self> {
        Ok(Self { objects: Some(Objects::new(options)?), disk: Arc::new(Disk::open(data, false)?) })
    }

    /// Begins a staged file that may hold `cap_bytes`.
    pub fn stage(&self, cap_bytes: u64) -> StageWriter {
        self.disk.stage(cap_bytes)
    }

    /// The same for code that runs on a blocking thread.
    pub fn stage_blocking(&self, cap_bytes: u64) -> BlockingStage {
        self.disk.stage_blocking(cap_bytes)
    }

    /// Stages a small blob: a preview, a data URI. Blocking.
    pub fn stage_bytes(&self, bytes: &[u8]) -> io::Result<StagedBlob> {
        let mut stage = self.stage_blocking(bytes.len() as u64);
        stage.write_all(bytes)?;
        stage.finish()
    }

    /// Where a staged file lies. A handle that we did not make leads to a file that never exists.
    pub fn staged_path(&self, handle: &Staged) -> PathBuf {
        self.disk.staged_path(handle)
    }

    /// Takes the facts of a staged file again: of one that came out of an answer, or as after a
    /// restart. Blocking.
    pub fn staged(&self, handle: &Staged) -> io::Result<StagedBlob> {
        let (sha256, bytes) = self.disk.hash(handle)?;
        Ok(StagedBlob { handle: handle.clone(), sha256, bytes })
    }

    /// Publishes a staged file; doing so again is harmless, and so is publishing what is stored
    /// already. One that `stays` is named by a stored row: it is still there for a restart, until
    /// it is [discarded](Self::discard). On a disk this is all; see [`Publication`]. Blocking.
    pub fn publish(&self, blob: &StagedBlob, stays: bool) -> io::Result<Publication> {
        match (&self.objects, stays) {
            (Some(_), _) => disk::check_hash(&blob.sha256)?,
            (None, true) => self.disk.publish_keeping(&blob.handle, &blob.sha256)?,
            (None, false) => self.disk.publish(&blob.handle, &blob.sha256)?,
        }
        Ok(Publication { blob: blob.clone(), stays })
    }

    /// Uploads what a publication left to do. A staged file that no row names goes in any case: who
    /// tries again stages again, and a long outage must not fill the disk.
    pub async fn complete(&self, publication: Publication) -> io::Result<()> {
        let Some(objects) = &self.objects else { return Ok(()) };
        let Publication { blob, stays } = publication;
        let file = self.disk.staged_path(&blob.handle);
        let put = objects.put_file(&objects.blob_key(&blob.sha256), &file, blob.bytes).await;
        if stays {
            return put;
        }
        let disk = Arc::clone(&self.disk);
        put.and(blocking(move || disk.discard(&blob.handle)).await)
    }

    /// A file with a published blob's bytes, while its publication is not completed.
    pub fn path_of(&self, publication: &Publication) -> PathBuf {
        match &self.objects {
            Some(_) => self.disk.staged_path(&publication.blob.handle),
            None => self.disk.path(&publication.blob.sha256),
        }
    }

    /// Makes staged files outlive this disk, before a row names them. What the bucket does not take
    /// now is noted, and taken to it later.
    pub async fn secure(&self, handles: &[Staged]) -> io::Result<()> {
        let Some(objects) = &self.objects else { return Ok(()) };
        let secure = |handle: &Staged| {
            let handle = handle.clone();
            async move {
                let Err(error) = objects.keep(&handle, &self.disk.staged_path(&handle)).await else { return Ok(()) };
                tracing::warn!(%error, "a result is on this server's disk alone until the object store takes it");
                let disk = Arc::clone(&self.disk);
                blocking(move || disk.owe(&handle)).await
            }
        };
        try_join_all(handles.iter().map(secure)).await.map(drop)
    }

    /// Takes to the bucket what [`secure`](Self::secure) could not; says how much.
    pub async fn settle(&self) -> io::Result<u32> {
        let Some(objects) = &self.objects else { return Ok(0) };
        let disk = Arc::clone(&self.disk);
        let mut settled = 0;
        for handle in blocking(move || disk.owed()).await? {
            match objects.keep(&handle, &self.disk.staged_path(&handle)).await {
                // It was published and discarded meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
            let disk = Arc::clone(&self.disk);
            blocking(move || disk.settle(&handle)).await?;
            settled += 1;
        }
        Ok(settled)
    }

    /// Sees to it that a staged file which a row names is on this disk. One that is nowhere is an
    /// error of kind `NotFound`; see [`is_shared`](Self::is_shared).
    pub async fn bring(&self, handle: &Staged) -> io::Result<()> {
        let (Some(objects), path) = (&self.objects, self.disk.staged_path(handle)) else { return Ok(()) };
        if tokio::fs::try_exists(&path).await? {
            return Ok(());
        }
        if !disk::is_ours(handle) {
            return Err(ErrorKind::NotFound.into());
        }
        objects.fetch(handle, &path, self.disk.draft_path()).await
    }

    /// Whether other servers may hold staged files that this one lacks.
    pub fn is_shared(&self) -> bool {
        self.objects.is_some()
    }

    /// Drops a staged file that no row names and no bucket has. Blocking.
    pub fn discard_fresh(&self, handle: &Staged) -> io::Result<()> {
        self.disk.discard(handle)
    }

    /// Drops a staged file. One that has gone already is no error.
    pub async fn discard(&self, handle: Staged) -> io::Result<()> {
        if let Some(objects) = &self.objects {
            objects.forget(&handle).await?;
        }
        let disk = Arc::clone(&self.disk);
        let is_shared = self.is_shared();
        blocking(move || {
            disk.discard(&handle)?;
            if is_shared { disk.settle(&handle) } else { Ok(()) }
        })
        .await
    }

    /// The blob's file, where blobs are files.
    pub(crate) fn file_path(&self, sha256: &str) -> Option<PathBuf> {
        self.objects.is_none().then(|| self.disk.path(sha256))
    }

    /// Whether a whole blob of this length is there.
    pub(crate) async fn holds(&self, sha256: &str, bytes: u64) -> io::Result<bool> {
        match &self.objects {
            Some(objects) => objects.is_stored(&objects.blob_key(sha256), bytes).await,
            None => {
                let path = self.disk.checked_path(sha256)?;
                blocking(move || Ok(std::fs::metadata(path).is_ok_and(|meta| meta.len() == bytes))).await
            }
        }
    }

    /// Removes a blob. One that has gone already is no error. When this is right, says the store's
    /// `retire.rs`.
    pub async fn remove(&self, sha256: &str) -> io::Result<()> {
        let name = sha256.to_owned();
        match &self.objects {
            Some(objects) => {
                disk::check_hash(&name)?;
                objects.remove(&name).await
            }
            None => {
                let disk = Arc::clone(&self.disk);
                blocking(move || disk.remove(&name)).await
            }
        }
    }

    /// Opens a blob; the second value is its length.
    pub async fn open_read(&self, sha256: &str) -> io::Result<(BlobReader, u64)> {
        if let Some(objects) = &self.objects {
            disk::check_hash(sha256)?;
            return objects.open(&objects.blob_key(sha256), None).await;
        }
        let (file, bytes) = self.open_file(sha256).await?;
        Ok((Box::pin(file), bytes))
    }

    /// The same, from this server's disk: a blob of a bucket is brought here first, whole, so that
    /// what reads it cannot break off halfway.
    pub async fn open_here(&self, sha256: &str) -> io::Result<(BlobReader, u64)> {
        let Some(objects) = &self.objects else { return self.open_read(sha256).await };
        disk::check_hash(sha256)?;
        let (file, bytes) = objects.download(&objects.blob_key(sha256), self.disk.draft_path()).await?;
        Ok((Box::pin(file), bytes))
    }

    /// Opens a part of a blob, which must have these bytes.
    pub async fn open_range(&self, sha256: &str, range: Range<u64>) -> io::Result<BlobReader> {
        if let Some(objects) = &self.objects {
            disk::check_hash(sha256)?;
            return objects.open(&objects.blob_key(sha256), Some(range)).await.map(|(reader, _)| reader);
        }
        let (mut file, _) = self.open_file(sha256).await?;
        if range.start > 0 {
            file.seek(io::SeekFrom::Start(range.start)).await?;
        }
        Ok(Box::pin(file.take(range.end.saturating_sub(range.start))))
    }

    async fn open_file(&self, sha256: &str) -> io::Result<(tokio::fs::File, u64)> {
        let path = self.disk.checked_path(sha256)?;
        let (file, bytes) = blocking(move || {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        })
        .await?;
        Ok((tokio::fs::File::from_std(file), bytes))
    }

    /// Reads a blob whole, or this much of it. Blocking, on a thread of the runtime.
    pub fn read(&self, sha256: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.objects.is_none() {
            File::open(self.disk.checked_path(sha256)?)?.take(bytes_max).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        tokio::runtime::Handle::current().block_on(async {
            let (reader, _) = self.open_read(sha256).await?;
            reader.take(bytes_max).read_to_end(&mut bytes).await?;
            Ok(bytes)
        })
    }

    /// Removes what nobody has touched for so long: staged files, uploads that were never completed.
    /// Staged objects cannot be touched, so they stay for as long as a row may name them. Says how
    /// many went.
    pub async fn sweep(&self, older_than: Duration, named_for: Duration) -> io::Result<u32> {
        let disk = Arc::clone(&self.disk);
        let mut removed = blocking(move || disk.sweep(older_than)).await?;
        if let Some(objects) = &self.objects {
            removed += objects.sweep(older_than, named_for).await?;
        }
        Ok(removed)
    }
}
