//! Writers of staged files: one for async code, one for blocking threads.

use super::{StagedBlob, is_disk_unwilling};
use crate::crash;
use pixel_core::vendor::Staged;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Bytes that gather before they are worth a trip to a blocking thread.
const BATCH_BYTES: usize = 256 * 1024;
/// Bytes that gather before a blocking writer makes a system call.
const BUFFER_BYTES: usize = 64 * 1024;

/// Between two tries of a writer that waits for the disk.
const DISK_WAIT: Duration = Duration::from_millis(250);

/// A staged file in the making; it removes itself unless it is finished.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    /// Made with the first bytes, so that an unused writer costs nothing.
    file: Option<File>,
    hash: Sha256,
    bytes: u64,
    finished: bool,
}

impl Draft {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, hash: Sha256::new(), bytes: 0, finished: false }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?,
        };
        Ok(self.file.insert(file))
    }

    /// After a failure the same chunk may be tried again: it is put where it belongs.
    fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        let at = self.bytes;
        self.file()?.write_all_at(chunk, at)?;
        self.hash.update(chunk);
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    /// Flushes the bytes. The name is made durable by the publishing that follows at once.
    fn finish(mut self, handle: Staged) -> io::Result<StagedBlob> {
        crash::point!("stage.written");
        self.file()?.sync_data()?;
        crash::point!("stage.flushed");
        self.finished = true;
        let hash = mem::take(&mut self.hash);
        Ok(StagedBlob { handle, sha256: hex(&hash.finalize()), bytes: self.bytes })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished && self.file.take().is_some() {
            // Nothing more can be done about a failure here: the sweep finds what stays.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Counts against a cap before anything is written.
#[derive(Debug)]
struct Cap {
    left: u64,
    bytes_max: u64,
}

impl Cap {
    fn new(bytes_max: u64) -> Self {
        Self { left: bytes_max, bytes_max }
    }

    fn take(&mut self, bytes: usize) -> io::Result<()> {
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {} bytes", self.bytes_max))
        })?;
        Ok(())
    }
}

/// Writes a staged file from async code. The disk is touched once per 256 KiB and at the end,
/// each time on a blocking thread, so that a small file costs one trip in all.
#[derive(Debug)]
pub struct StageWriter {
    handle: Staged,
    /// Absent while a blocking thread has it, and after a failed write.
    draft: Option<Draft>,
    buffer: Vec<u8>,
    cap: Cap,
    is_patient: bool,
}

impl StageWriter {
    pub(super) fn new(handle: Staged, path: PathBuf, cap_bytes: u64) -> Self {
        let (draft, buffer, cap) = (Some(Draft::new(path)), Vec::new(), Cap::new(cap_bytes));
        Self { handle, draft, buffer, cap, is_patient: false }
    }

    /// Waits while the disk is full or read-only, for as long as its caller waits for it: what is
    /// written comes only once.
    pub fn patient(self, is_patient: bool) -> Self {
        Self { is_patient, ..self }
    }

    pub fn handle(&self) -> &Staged {
        &self.handle
    }

    /// Adds bytes. Beyond the cap it is an error of kind `FileTooLarge`.
    pub async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.cap.take(chunk.len())?;
        let mut rest = chunk;
        while self.buffer.len() + rest.len() >= BATCH_BYTES {
            let (now, later) = rest.split_at(BATCH_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(now);
            rest = later;
            self.write_batch().await?;
        }
        self.buffer.extend_from_slice(rest);
        Ok(())
    }

    async fn write_batch(&mut self) -> io::Result<()> {
        let (draft, batch) = (self.draft.take().ok_or_else(broken)?, mem::take(&mut self.buffer));
        let (draft, mut batch) = self.put(draft, batch, |draft, batch| Ok((draft, batch))).await?;
        batch.clear();
        (self.draft, self.buffer) = (Some(draft), batch);
        Ok(())
    }

    /// Flushes the file.
    pub async fn finish(mut self) -> io::Result<StagedBlob> {
        let (draft, batch) = (self.draft.take().ok_or_else(broken)?, mem::take(&mut self.buffer));
        let handle = self.handle.clone();
        self.put(draft, batch, move |draft, _| draft.finish(handle)).await
    }

    /// Writes a batch, and does what follows on the same trip to a blocking thread.
    async fn put<T: Send + 'static>(
        &self,
        mut draft: Draft,
        mut batch: Vec<u8>,
        then: impl FnOnce(Draft, Vec<u8>) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let mut then = Some(then);
        loop {
            let mut next = then.take();
            // The draft travels with the work: if this future is dropped meanwhile, the file goes too.
            let work = move || match (draft.append(&batch), next.take()) {
                (Ok(()), Some(then)) => then(draft, batch).map(Put::Done),
                (Err(error), Some(then)) => Ok(Put::Refused { draft, batch, error, then }),
                (_, None) => Err(broken()),
            };
            match blocking(work).await? {
                Put::Done(done) => return Ok(done),
                Put::Refused { draft: back, batch: kept, error, then: later }
                    if self.is_patient && is_disk_unwilling(&error) =>
                {
                    tracing::warn!(%error, "a paid result waits for the disk");
                    (draft, batch, then) = (back, kept, Some(later));
                    tokio::time::sleep(DISK_WAIT).await;
                }
                Put::Refused { error, .. } => return Err(error),
            }
        }
    }
}

/// How a trip to the disk went; one that was refused brings everything back.
enum Put<T, F> {
    Done(T),
    Refused { draft: Draft, batch: Vec<u8>, error: io::Error, then: F },
}

/// Writes a staged file from a blocking thread.
#[derive(Debug)]
pub struct BlockingStage {
    handle: Staged,
    draft: Draft,
    buffer: Vec<u8>,
    cap: Cap,
}

impl BlockingStage {
    pub(super) fn new(handle: Staged, path: PathBuf, cap_bytes: u64) -> Self {
        Self { handle, draft: Draft::new(path), buffer: Vec::new(), cap: Cap::new(cap_bytes) }
    }

    /// Flushes the file.
    pub fn finish(mut self) -> io::Result<StagedBlob> {
        self.draft.append(&self.buffer)?;
        self.draft.finish(self.handle)
    }
}

impl Write for BlockingStage {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.cap.take(chunk.len())?;
        if self.buffer.len() + chunk.len() > BUFFER_BYTES {
            self.flush()?;
        }
        match chunk.len() > BUFFER_BYTES {
            true => self.draft.append(chunk)?,
            false => self.buffer.extend_from_slice(chunk),
        }
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("an earlier write of this file failed")
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
