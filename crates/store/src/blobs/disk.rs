//! Files on the local disk: what is staged, and, without an object store, the blobs as well.

use super::{
    BlockingStage, StageWriter,
    stage::{hex, sync_folder},
};
use crate::crash;
use pixel_core::vendor::Staged;
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use uuid::Uuid;

/// Ends the name of the note beside a staged file that an object store has yet to take.
const OWED: &str = "owed";

/// The folders of one server.
#[derive(Debug)]
pub(super) struct Disk {
    blobs: PathBuf,
    staging: PathBuf,
}

impl Disk {
    /// Makes the folders where they are missing, readable by the owner only.
    pub fn open(data: &Path, with_blobs: bool) -> io::Result<Self> {
        let disk = Self { blobs: data.join("blobs"), staging: data.join("staging") };
        let blobs = with_blobs.then_some(disk.blobs.as_path());
        for folder in [Some(data), blobs, Some(&disk.staging)].into_iter().flatten() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        sync_folder(data)?;
        Ok(disk)
    }

    pub fn stage(&self, cap_bytes: u64) -> StageWriter {
        let handle = new_handle();
        let path = self.staged_path(&handle);
        StageWriter::new(handle, path, cap_bytes)
    }

    pub fn stage_blocking(&self, cap_bytes: u64) -> BlockingStage {
        let handle = new_handle();
        let path = self.staged_path(&handle);
        BlockingStage::new(handle, path, cap_bytes)
    }

    pub fn staged_path(&self, handle: &Staged) -> PathBuf {
        self.staging.join(if is_ours(handle) { &handle.0 } else { "no-such-handle" })
    }

    /// For a file that is brought here; the sweep finds it if a crash leaves it.
    pub fn draft_path(&self) -> PathBuf {
        self.staging.join(format!("{}.part", Uuid::new_v4().simple()))
    }

    pub fn publish(&self, handle: &Staged, sha256: &str) -> io::Result<()> {
        publish_file(&self.staged_path(handle), &self.checked_path(sha256)?)
    }

    pub fn publish_keeping(&self, handle: &Staged, sha256: &str) -> io::Result<()> {
        link_file(&self.staged_path(handle), &self.checked_path(sha256)?)
    }

    pub fn discard(&self, handle: &Staged) -> io::Result<()> {
        remove_if_there(&self.staged_path(handle))
    }

    /// Hash and length. Who asks needs the file, so it counts as touched.
    pub fn hash(&self, handle: &Staged) -> io::Result<(String, u64)> {
        let file = File::open(self.staged_path(handle))?;
        // A disk that does not take even this will say so when it matters.
        let _ = file.set_modified(SystemTime::now());
        hash_file(file)
    }

    /// Where a blob lies. A name that is no hash leads to a file that never exists.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.checked_path(sha256).unwrap_or_else(|_| self.blobs.join("no-such-blob"))
    }

    pub fn checked_path(&self, sha256: &str) -> io::Result<PathBuf> {
        check_hash(sha256)?;
        Ok(self.blobs.join(&sha256[..2]).join(sha256))
    }

    /// Notes that a staged file is on this disk alone; the note outlives a restart.
    pub fn owe(&self, handle: &Staged) -> io::Result<()> {
        let note = self.staged_path(handle).with_extension(OWED);
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(note)?;
        sync_folder(&self.staging)
    }

    /// Removes a blob. One that has gone already is no error.
    pub fn remove(&self, sha256: &str) -> io::Result<()> {
        remove_if_there(&self.checked_path(sha256)?)
    }

    pub fn settle(&self, handle: &Staged) -> io::Result<()> {
        remove_if_there(&self.staged_path(handle).with_extension(OWED))
    }

    /// The staged files that are noted as being here alone.
    pub fn owed(&self) -> io::Result<Vec<Staged>> {
        let handle = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let handle = Staged(name.strip_suffix(OWED)?.strip_suffix('.')?.to_owned());
            is_ours(&handle).then_some(handle)
        };
        Ok(fs::read_dir(&self.staging)?.filter_map(handle).collect())
    }

    /// Removes what nobody has touched for so long, except what an object store has yet to take.
    pub fn sweep(&self, older_than: Duration) -> io::Result<u32> {
        let Some(limit) = SystemTime::now().checked_sub(older_than) else { return Ok(0) };
        let owed: HashSet<String> = self.owed()?.into_iter().map(|handle| handle.0).collect();
        let mut removed = 0;
        for entry in fs::read_dir(&self.staging)? {
            let entry = entry?;
            // The file and its note have the same stem.
            let is_owed =
                entry.path().file_stem().is_some_and(|stem| stem.to_str().is_some_and(|stem| owed.contains(stem)));
            removed += u32::from(!is_owed && remove_if_older(&entry, limit)?);
        }
        Ok(removed)
    }
}

/// A handle that we made; any other leads to a file that never exists.
pub(super) fn is_ours(handle: &Staged) -> bool {
    handle.0.len() == 32 && is_hex(&handle.0)
}

pub(super) fn check_hash(sha256: &str) -> io::Result<()> {
    match sha256.len() == 64 && is_hex(sha256) {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "not the name of a blob")),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
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
        return remove_if_there(staged);
    }
    make_folder(folder)?;
    fs::rename(staged, blob).or_else(|e| match blob.try_exists() {
        // The same handle was published twice at the same time.
        Ok(true) if e.kind() == ErrorKind::NotFound => Ok(()),
        _ => Err(e),
    })?;
    crash::point!("publish.renamed");
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
    crash::point!("publish.linked");
    sync_folder(folder)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn hash_file(mut file: File) -> io::Result<(String, u64)> {
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
