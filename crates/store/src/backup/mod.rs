//! Backups: every row of one moment, and the media that those rows name.
//!
//! A backup is a folder. Its rows are text, a file for each table, so that either database can take
//! one in; its media lies as it does in the store. `backup.json` is written last and says of every
//! file how long it is and what it hashes to; without it there is no backup.
//!
//! - [`take`] copies beside a running server and keeps no writer waiting.
//! - [`restore`] checks everything, fills an empty place, and leaves it *paused*, with every live
//!   task in doubt: the server that went on after the backup may have submitted it.

mod draft;
mod manifest;
mod media_in;
mod media_out;
mod restore;
mod rows_in;
mod rows_out;
mod take;

pub use manifest::{Manifest, MediaMode};
pub use restore::{Restored, restore};
pub use take::take;

use crate::StoreError;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Told what is being done, now and then.
pub type Say<'a> = &'a mut (dyn FnMut(String) + Send);

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{} is there already. A backup is written to a new folder: choose another name with --to.", .0.display())]
    Exists(PathBuf),
    #[error("Another `pixel backup` is writing to {}. Wait for it, or choose another name with --to.", .0.display())]
    Busy(PathBuf),
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("The disk is full: {} could not be written. Free some space and run the same command again.", .0.display())]
    Full(PathBuf),
    #[error("{} is not a whole backup: {}", .0.display(), .1)]
    NotABackup(PathBuf, String),
    #[error("This backup has the form {0}, which this version of Pixel does not know. Use a newer one.")]
    Format(u32),
    #[error("The backup is damaged: {} {}. Use another backup: nothing was restored.", .0.display(), .1)]
    Damaged(PathBuf, String),
    #[error("{} is not empty. A restore needs a new or empty folder: name one with --data.", .0.display())]
    FolderInUse(PathBuf),
    #[error(
        "{0} holds tasks or media already. A restore needs an empty database: make one and name it in DATABASE_URL."
    )]
    DatabaseInUse(String),
    #[error(
        "{name} has the schema {there}, and the backup {wanted}. Make a fresh, empty database and name it in DATABASE_URL."
    )]
    OtherSchema { name: String, there: i64, wanted: i64 },
    #[error("The media of this backup stays in an object store. Name that store in PIXEL_BLOBS.")]
    Referenced,
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Names the file in an error of the disk.
fn at(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackupError::Full(path.to_owned()),
        _ => BackupError::File { path: path.to_owned(), error },
    }
}
