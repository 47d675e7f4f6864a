//! `backup.json`, and files that are hashed while they are written or read.

use super::{BackupError, at};
use crate::blobs::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

pub(super) const NAME: &str = "backup.json";
/// The form that this version writes, and the only one it reads.
pub(super) const FORMAT: u32 = 1;

/// What a backup says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The version of Pixel that took it.
    pub pixel: String,
    /// The schema of its rows.
    pub schema: i64,
    /// `sqlite` or `postgres`; either database can take it in.
    pub database: String,
    /// ISO 8601: the moment that the rows are of.
    pub taken_at: String,
    pub epoch: i64,
    pub tables: Vec<Table>,
    pub media: MediaPart,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    pub rows: u64,
    #[serde(flatten)]
    pub file: FileFacts,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MediaPart {
    pub mode: MediaMode,
    /// The list of every file, a line each.
    #[serde(flatten)]
    pub list: FileFacts,
    pub blobs: u64,
    /// Results that were stored and not yet announced.
    pub staged: u64,
    pub total_bytes: u64,
    /// Named by a row, and not there, or not whole, when the backup was taken.
    pub missing: Vec<String>,
}

/// How the backup keeps the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaMode {
    /// The files are part of it.
    Copied,
    /// They stay where they are; the list names them.
    Referenced,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// From the backup's folder.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// One line of the list of media.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MediaLine {
    pub sha256: String,
    pub bytes: u64,
    /// Set for a staged file: its handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<String>,
}

impl Manifest {
    pub fn rows_of(&self, table: &str) -> u64 {
        self.tables.iter().find(|one| one.name == table).map_or(0, |one| one.rows)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(NAME);
        let mut file = Tally::create(folder, NAME)?;
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other).map_err(at(&path))?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(at(&path))?;
        file.finish().map(drop)
    }

    pub(super) fn read(folder: &Path) -> Result<Self, BackupError> {
        let no = |why: String| BackupError::NotABackup(folder.to_owned(), why);
        let text = match fs::read_to_string(folder.join(NAME)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(no(format!("it has no {NAME}"))),
            other => other.map_err(at(&folder.join(NAME)))?,
        };
        // The form decides how the rest is to be read, so it is looked at alone first.
        let any: serde_json::Value = serde_json::from_str(&text).map_err(|error| no(format!("{NAME}: {error}")))?;
        match any["format"].as_u64() {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(BackupError::Format(u32::try_from(format).unwrap_or(u32::MAX))),
            None => return Err(no(format!("{NAME} names no format"))),
        }
        serde_json::from_value(any).map_err(|error| no(format!("{NAME}: {error}")))
    }
}

/// A new file that is hashed while it is written.
pub(super) struct Tally {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Tally {
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, BackupError> {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(at(&path))?;
        Ok(Self { name: name.to_owned(), path, file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes it to stable storage.
    pub(super) fn finish(self) -> Result<FileFacts, BackupError> {
        let file = self.file.into_inner().map_err(|error| at(&self.path)(error.into_error()))?;
        file.sync_all().map_err(at(&self.path))?;
        Ok(FileFacts { path: self.name, bytes: self.bytes, sha256: hex(&self.hash.finalize()) })
    }
}

impl Write for Tally {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.file.write_all(chunk)?;
        self.hash.update(chunk);
        self.bytes += chunk.len() as u64;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads a file to its end: its hash and length.
pub(super) fn hash_of(mut file: impl Read, mut also: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(String, u64)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 128 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hash.finalize()), bytes)),
            Ok(n) => {
                hash.update(&buffer[..n]);
                also(&buffer[..n])?;
                bytes += n as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl FileFacts {
    /// Whether the file is still what it was.
    pub(super) fn verify(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(&self.path);
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(BackupError::Damaged(path, "is missing".to_owned()));
            }
            other => other.map_err(at(&path))?,
        };
        let (sha256, bytes) = hash_of(BufReader::new(file), |_| Ok(())).map_err(at(&path))?;
        match (sha256 == self.sha256, bytes == self.bytes) {
            (true, true) => Ok(()),
            _ => Err(BackupError::Damaged(path, "is not the file that was written".to_owned())),
        }
    }
}
