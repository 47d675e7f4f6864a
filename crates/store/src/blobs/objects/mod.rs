//! Blobs in a bucket of an S3-compatible server.
//!
//! Keys, under the prefix: `blobs/ab/<sha256>`, `staging/<handle>`, `uploads/<id>` (a note of each
//! upload in parts, so that one which nobody will complete is found on any server, whether or not it
//! can list such uploads) and `probe/<id>`. Every request has a deadline; the engine repeats what fails.

mod client;
mod failure;
mod sweep;
mod upload;

pub use client::ObjectOptions;
#[cfg(test)]
pub(super) use upload::PART_BYTES;

use super::BlobReader;
use client::connect;
use failure::{Failed, failed, within};
use futures_util::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload, aws::AmazonS3, path::Path};
use pixel_core::vendor::Staged;
use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufWriter},
    sync::Semaphore,
};
use tokio_util::io::StreamReader;
use uuid::Uuid;

/// Until a small request is answered.
const ASK_TIME: Duration = Duration::from_secs(20);
/// A put of at most [`upload::PART_BYTES`].
const PUT_TIME: Duration = Duration::from_secs(120);
/// A whole transfer; shorter than the age at which the sweep takes an upload for abandoned.
const TRANSFER_TIME: Duration = Duration::from_secs(1800);
/// How long a paid result's row may wait for the bucket before it is written without it.
const KEEP_TIME: Duration = Duration::from_secs(30);
/// Uploads at the same time; each holds one part in memory.
const TRANSFERS: usize = 8;
/// Content larger than this is sent only when a question has shown that it is not stored yet.
const ASK_FIRST_BYTES: u64 = 256 << 10;
/// Bytes of a download that gather before they are written.
const BATCH_BYTES: usize = 256 << 10;

/// A bucket; clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Objects(Arc<Inner>);

struct Inner {
    store: AmazonS3,
    prefix: String,
    transfers: Semaphore,
    /// The server knows no conditional put; equal content is then written over itself.
    puts_plainly: AtomicBool,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Objects {
    pub fn new(options: ObjectOptions) -> io::Result<Self> {
        let prefix = options.prefix.clone();
        let (transfers, puts_plainly) = (Semaphore::new(TRANSFERS), AtomicBool::new(false));
        Ok(Self(Arc::new(Inner { store: connect(options)?, prefix, transfers, puts_plainly })))
    }

    fn key(&self, kind: &str, name: &str) -> Path {
        Path::from_iter(self.0.prefix.split('/').chain(kind.split('/')).chain([name]).filter(|part| !part.is_empty()))
    }

    /// Where a checked hash lies.
    pub fn blob_key(&self, sha256: &str) -> Path {
        self.key(&format!("blobs/{}", sha256.get(..2).unwrap_or_default()), sha256)
    }

    fn staging_key(&self, handle: &Staged) -> Path {
        self.key("staging", &handle.0)
    }

    /// Stores a file under a key whose content is always the same, unless it is stored already.
    pub async fn put_file(&self, key: &Path, file: &std::path::Path, bytes: u64) -> io::Result<()> {
        let transfer = async {
            let _permit = self.0.transfers.acquire().await.map_err(io::Error::other)?;
            if bytes > ASK_FIRST_BYTES && self.is_stored(key, bytes).await? {
                return Ok(());
            }
            match bytes <= upload::PART_BYTES {
                true => self.put_whole(key, upload::read_part(file, 0, bytes).await?.into()).await,
                false => self.put_in_parts(key, file, bytes).await,
            }
        };
        tokio::time::timeout(TRANSFER_TIME, transfer).await.map_err(|_| failure::silent(TRANSFER_TIME))?
    }

    async fn put_whole(&self, key: &Path, payload: PutPayload) -> io::Result<()> {
        let bytes = payload.content_length() as u64;
        if !self.0.puts_plainly.load(Ordering::Relaxed) {
            let put = self.0.store.put_opts(key, payload.clone(), PutMode::Create.into());
            match within(PUT_TIME, put).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_not_implemented() => self.0.puts_plainly.store(true, Ordering::Relaxed),
                // It was there: a server may say so, or hang up on the body that it does not want.
                Err(_) if self.is_stored(key, bytes).await? => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        within(PUT_TIME, self.0.store.put(key, payload)).await?;
        Ok(())
    }

    /// Whether an object of this length is there.
    pub async fn is_stored(&self, key: &Path, bytes: u64) -> io::Result<bool> {
        match within(ASK_TIME, self.0.store.head(key)).await {
            Ok(meta) => Ok(meta.size == bytes),
            Err(Failed { kind: ErrorKind::NotFound, .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies a staged file to the bucket.
    pub async fn keep(&self, handle: &Staged, file: &std::path::Path) -> io::Result<()> {
        let bytes = tokio::fs::metadata(file).await?.len();
        let key = self.staging_key(handle);
        let keep = self.put_file(&key, file, bytes);
        tokio::time::timeout(KEEP_TIME, keep).await.map_err(|_| failure::silent(KEEP_TIME))?
    }

    /// Brings a staged file here; it is whole before it has its name.
    pub async fn fetch(&self, handle: &Staged, file: &std::path::Path, draft: PathBuf) -> io::Result<()> {
        let draft = Draft(draft);
        self.copy(&self.staging_key(handle), &draft.0).await?;
        tokio::fs::rename(&draft.0, file).await
    }

    /// Brings an object into a file without a name, which goes when it is closed.
    pub async fn download(&self, key: &Path, draft: PathBuf) -> io::Result<(tokio::fs::File, u64)> {
        let draft = Draft(draft);
        let (mut file, bytes) = self.copy(key, &draft.0).await?;
        file.rewind().await?;
        Ok((file, bytes))
    }

    async fn copy(&self, key: &Path, draft: &std::path::Path) -> io::Result<(tokio::fs::File, u64)> {
        let transfer = async {
            let (mut object, bytes) = self.open(key, None).await?;
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(draft)?;
            let mut file = BufWriter::with_capacity(BATCH_BYTES, tokio::fs::File::from_std(file));
            let copied = tokio::io::copy(&mut object, &mut file).await?;
            file.flush().await?;
            match copied == bytes {
                true => Ok((file.into_inner(), bytes)),
                false => Err(io::Error::new(ErrorKind::UnexpectedEof, "the object ended early")),
            }
        };
        tokio::time::timeout(TRANSFER_TIME, transfer).await.map_err(|_| failure::silent(TRANSFER_TIME))?
    }

    /// Removes a staged file's copy from the bucket.
    pub async fn forget(&self, handle: &Staged) -> io::Result<()> {
        self.delete(&self.staging_key(handle)).await
    }

    /// Removes a blob from the bucket.
    pub async fn remove(&self, sha256: &str) -> io::Result<()> {
        self.delete(&self.blob_key(sha256)).await
    }

    async fn delete(&self, key: &Path) -> io::Result<()> {
        match within(ASK_TIME, self.0.store.delete(key)).await {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Opens an object or a part of it; the second value is the length of the whole.
    pub async fn open(&self, key: &Path, range: Option<Range<u64>>) -> io::Result<(BlobReader, u64)> {
        if range.as_ref().is_some_and(Range::is_empty) {
            let meta = within(ASK_TIME, self.0.store.head(key)).await?;
            return Ok((Box::pin(tokio::io::empty()), meta.size));
        }
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let object = within(ASK_TIME, self.0.store.get_opts(key, options)).await?;
        let bytes = object.meta.size;
        let pieces = object.into_stream().map_err(|error| io::Error::from(failed(&error)));
        Ok((Box::pin(StreamReader::new(pieces)), bytes))
    }

    /// Lists, puts, reads and deletes a small object: all that is ever asked of a bucket.
    pub async fn probe(&self) -> io::Result<()> {
        let id = Uuid::new_v4().simple().to_string();
        let key = self.key("probe", &id);
        within(ASK_TIME, self.0.store.list_with_delimiter(Some(&self.key("probe", "")))).await?;
        within(ASK_TIME, self.0.store.put(&key, id.clone().into())).await?;
        let (mut object, _) = self.open(&key, None).await?;
        let mut text = String::new();
        object.read_to_string(&mut text).await?;
        self.delete(&key).await?;
        match text == id {
            true => Ok(()),
            false => Err(io::Error::other("what was just written reads differently")),
        }
    }
}

/// A file in the making; it removes itself unless it was renamed.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // It has its final name by now, or the sweep finds what stays.
        let _ = fs::remove_file(&self.0);
    }
}
