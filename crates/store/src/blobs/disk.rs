//! Blobs in a folder of the local file system.

use super::{
    BlockingStage, StageWriter, StagedBlob,
    stage::{blocking, hex, sync_folder},
};
use pixel_core::vendor::Staged;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use uuid::Uuid;

/// The blobs of one data folder; clones share it.
#[derive(Clone, Debug)]
pub struct Blobs {
    folders: Arc<Folders>,
}

#[derive(Debug)]
struct Folders {
    blobs: PathBuf,
    staging: PathBuf,
}

impl Blobs {
    /// Makes the folders where they are missing, readable by the owner only.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folders = Folders { blobs: data.join("blobs"), staging: data.join("staging") };
        for folder in [data, &folders.blobs, &folders.staging] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        sync_folder(data)?;
        Ok(Self { folders: Arc::new(folders) })
    }

    /// Begins a staged file that may hold `cap_bytes`.
    #[expect(clippy::unused_async, reason = "an object store has to ask its server here")]
    pub async fn stage(&self, cap_bytes: u64) -> io::Result<StageWriter> {
        let handle = new_handle();
        let path = self.staged_path(&handle);
        Ok(StageWriter::new(handle, path, cap_bytes))
    }

    /// The same for code that runs on a blocking thread.
    pub fn stage_blocking(&self, cap_bytes: u64) -> io::Result<BlockingStage> {
        let handle = new_handle();
        let path = self.staged_path(&handle);
        Ok(BlockingStage::new(handle, path, cap_bytes))
    }

    /// Where a staged file lies. A handle that we did not make leads to a file that never exists.
    pub fn staged_path(&self, handle: &Staged) -> PathBuf {
        let is_ours = handle.0.len() == 32 && is_hex(&handle.0);
        self.folders.staging.join(if is_ours { &handle.0 } else { "no-such-handle" })
    }

    /// Moves a staged file to its hash and flushes the move. Publishing again is harmless, and so
    /// is publishing what is stored already: the staged copy is dropped. Blocking.
    pub fn publish(&self, handle: &Staged, sha256: &str) -> io::Result<()> {
        publish_file(&self.staged_path(handle), &self.checked_path(sha256)?)
    }

    /// Publishes a staged file that a stored row still names: it stays where it is until it is
    /// [discarded](Self::discard), so that a restart finds it again. Blocking.
    pub fn publish_keeping(&self, handle: &Staged, sha256: &str) -> io::Result<()> {
        link_file(&self.staged_path(handle), &self.checked_path(sha256)?)
    }

    /// Drops a staged file. One that has gone already is no error. Blocking.
    pub fn discard(&self, handle: &Staged) -> io::Result<()> {
        match fs::remove_file(self.staged_path(handle)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Stages a small blob: a preview, a data URI. Blocking.
    pub fn stage_bytes(&self, bytes: &[u8]) -> io::Result<StagedBlob> {
        let mut stage = self.stage_blocking(bytes.len() as u64)?;
        stage.write_all(bytes)?;
        stage.finish()
    }

    /// Takes the facts of a staged file again: of one that came out of an answer, or as after a
    /// restart. Blocking.
    pub fn staged(&self, handle: &Staged) -> io::Result<StagedBlob> {
        let (sha256, bytes) = hash_file(&self.staged_path(handle))?;
        Ok(StagedBlob { handle: handle.clone(), sha256, bytes })
    }

    /// Where a blob lies. A name that is no hash leads to a file that never exists.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.checked_path(sha256).unwrap_or_else(|_| self.folders.blobs.join("no-such-blob"))
    }

    fn checked_path(&self, sha256: &str) -> io::Result<PathBuf> {
        if sha256.len() != 64 || !is_hex(sha256) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not the name of a blob"));
        }
        Ok(self.folders.blobs.join(&sha256[..2]).join(sha256))
    }

    /// Removes a blob. One that has gone already is no error. Blocking.
    pub fn remove(&self, sha256: &str) -> io::Result<()> {
        match fs::remove_file(self.checked_path(sha256)?) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Opens a blob; the second value is its length.
    pub async fn open_read(&self, sha256: &str) -> io::Result<(tokio::fs::File, u64)> {
        let path = self.checked_path(sha256)?;
        let (file, bytes) = blocking(move || {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        })
        .await?;
        Ok((tokio::fs::File::from_std(file), bytes))
    }

    /// Removes staged files that nobody has touched for so long; says how many. Blocking.
    pub fn sweep(&self, older_than: Duration) -> io::Result<u32> {
        let Some(limit) = SystemTime::now().checked_sub(older_than) else { return Ok(0) };
        let mut removed = 0;
        for entry in fs::read_dir(&self.folders.staging)? {
            removed += u32::from(remove_if_older(&entry?, limit)?);
        }
        Ok(removed)
    }
}

/// A file that vanishes meanwhile was published or dropped by someone else, which is no error.
fn remove_if_older(entry: &fs::DirEntry, limit: SystemTime) -> io::Result<bool> {
    let removal = entry.metadata().and_then(|meta| match meta.is_file() && meta.modified()? <= limit {
        true => fs::remove_file(entry.path()).map(|()| true),
        false => Ok(false),
    });
    match removal {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        other => other,
    }
}

fn publish_file(staged: &Path, blob: &Path) -> io::Result<()> {
    let folder = blob.parent().ok_or_else(|| io::Error::other("a blob without a folder"))?;
    if blob.try_exists()? {
        // Another publisher may have renamed it and not yet flushed the folder.
        sync_folder(folder)?;
        return match fs::remove_file(staged) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        };
    }
    make_folder(folder)?;
    fs::rename(staged, blob).or_else(|e| match blob.try_exists() {
        // The same handle was published twice at the same time.
        Ok(true) if e.kind() == ErrorKind::NotFound => Ok(()),
        _ => Err(e),
    })?;
    sync_folder(folder)
}

/// Gives a staged file its blob's name as a second one.
fn link_file(staged: &Path, blob: &Path) -> io::Result<()> {
    let folder = blob.parent().ok_or_else(|| io::Error::other("a blob without a folder"))?;
    make_folder(folder)?;
    match fs::hard_link(staged, blob) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        // A file system without second names: the copy must be whole before it has the blob's name.
        Err(e) if e.kind() != ErrorKind::NotFound => {
            let copy = staged.with_extension("copy");
            fs::copy(staged, &copy)?;
            File::open(&copy)?.sync_data()?;
            fs::rename(&copy, blob)?;
        }
        Err(e) => return Err(e),
    }
    sync_folder(folder)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn hash_file(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex(&hash.finalize()), bytes)),
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}

fn new_handle() -> Staged {
    Staged(Uuid::new_v4().simple().to_string())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
