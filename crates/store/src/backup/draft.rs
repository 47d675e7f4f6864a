//! A backup in the making: a folder with `.partial` behind its name, renamed when it is whole.

use super::{BackupError, at};
use crate::blobs::sync_folder;
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

const LOCK: &str = "lock";

pub(super) struct Draft {
    to: PathBuf,
    folder: PathBuf,
    /// Held until the end, so that two backups cannot mix.
    _lock: File,
}

impl Draft {
    /// Makes the folder, or takes over what an interrupted backup has left.
    pub(super) fn begin(to: &Path) -> Result<Self, BackupError> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let Some(name) = to.file_name() else {
            return Err(at(to)(io::Error::new(ErrorKind::InvalidInput, "this is no name for a new folder")));
        };
        let mut partial = name.to_owned();
        partial.push(".partial");
        let folder = to.with_file_name(partial);
        make(&folder)?;
        let lock = File::create(folder.join(LOCK)).map_err(at(&folder))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(to.to_owned())),
            Err(TryLockError::Error(error)) => return Err(at(&folder)(error)),
        }
        empty(&folder, LOCK).map_err(at(&folder))?;
        for part in ["rows", "blobs", "staging"] {
            make(&folder.join(part))?;
        }
        Ok(Self { to: to.to_owned(), folder, _lock: lock })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Flushes the folders and gives the backup its name.
    pub(super) fn finish(self) -> Result<(), BackupError> {
        let (folder, to) = (&self.folder, &self.to);
        for part in ["rows", "blobs", "staging"] {
            flush(&folder.join(part))?;
        }
        for entry in fs::read_dir(folder.join("blobs")).map_err(at(folder))? {
            flush(&entry.map_err(at(folder))?.path())?;
        }
        flush(folder)?;
        // Never onto a folder that came up meanwhile: renaming replaces an empty one.
        if fs::symlink_metadata(to).is_ok() {
            return Err(BackupError::Exists(to.clone()));
        }
        fs::rename(folder, to).map_err(at(to))?;
        flush(above(to))?;
        // Last, for as long as it stands in the unfinished folder nobody else begins there.
        fs::remove_file(to.join(LOCK)).map_err(at(to))
    }
}

/// The folder that holds a path.
pub(super) fn above(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn flush(folder: &Path) -> Result<(), BackupError> {
    sync_folder(folder).map_err(at(folder))
}

/// Makes a folder for the owner only; one that is there is no error.
pub(super) fn make(folder: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))
}

/// Removes whatever is in a folder, but for one file.
fn empty(folder: &Path, but: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false if entry.file_name() == but => {}
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}
