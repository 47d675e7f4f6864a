//! Media of a backup into a store: each file is hashed on its way, and published only if it is
//! still what it was.

use super::{
    BackupError, Say, at,
    manifest::{Manifest, MediaLine, MediaMode, hash_of},
    media_out::mode_of,
    rows_in::Lines,
};
use crate::blobs::{Blobs, sync_folder};
use pixel_core::vendor::Staged;
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often a long copy says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

pub(super) fn read_media(from: &Path, manifest: &Manifest, blobs: &Blobs, say: Say<'_>) -> Result<(), BackupError> {
    match (manifest.media.mode, mode_of(blobs)) {
        (MediaMode::Copied, _) => {}
        (MediaMode::Referenced, MediaMode::Referenced) => return Ok(()),
        (MediaMode::Referenced, MediaMode::Copied) => return Err(BackupError::Referenced),
    }
    let mut list = Lines::open(from, &manifest.media.list.path)?;
    let (mut files, mut bytes, mut said) = (0_u64, 0, Instant::now());
    while let Some(line) = list.next::<MediaLine>()? {
        if line.sha256.len() != 64 || !is_hex(&line.sha256) {
            return Err(list.damaged("has a line without a hash"));
        }
        match &line.staged {
            Some(handle) if handle.len() == 32 && is_hex(handle) => read_staged(from, &line, handle, blobs)?,
            Some(_) => return Err(list.damaged("has a line without a handle")),
            None => read_blob(from, &line, blobs)?,
        }
        files += 1;
        bytes += line.bytes;
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            say(format!("media: {files} files, {} MB so far", bytes >> 20));
        }
    }
    say(format!("media: {files} files, {} MB", bytes >> 20));
    Ok(())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn read_blob(from: &Path, line: &MediaLine, blobs: &Blobs) -> Result<(), BackupError> {
    let path = from.join("blobs").join(&line.sha256[..2]).join(&line.sha256);
    let there = blobs.path(&line.sha256);
    if let Ok(file) = File::open(&there) {
        // From a restore that was cut short, or a folder of media that survived.
        return match hash_of(file, |_| Ok(())).map_err(at(&there))? == (line.sha256.clone(), line.bytes) {
            true => Ok(()),
            false => {
                let error = io::Error::new(ErrorKind::AlreadyExists, "its bytes are not what its name says; remove it");
                Err(BackupError::File { path: there, error })
            }
        };
    }
    let file = open(&path)?;
    let mut stage = blobs.stage_blocking(line.bytes).map_err(at(&there))?;
    check(hash_of(file, |chunk| stage.write_all(chunk)), line, &path)?;
    let staged = stage.finish().map_err(at(&there))?;
    blobs.publish(&staged.handle, &staged.sha256).map_err(at(&there))
}

/// A staged file keeps its handle, by which a live row names it.
fn read_staged(from: &Path, line: &MediaLine, handle: &str, blobs: &Blobs) -> Result<(), BackupError> {
    let path = from.join("staging").join(handle);
    let to = blobs.staged_path(&Staged(handle.to_owned()));
    let draft = to.with_extension("restoring");
    let mut out = File::create(&draft).map_err(at(&draft))?;
    check(hash_of(open(&path)?, |chunk| out.write_all(chunk)), line, &path)?;
    out.sync_data().and_then(|()| fs::rename(&draft, &to)).map_err(at(&to))?;
    to.parent().map_or(Ok(()), sync_folder).map_err(at(&to))
}

fn open(path: &PathBuf) -> Result<File, BackupError> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(BackupError::Damaged(path.clone(), "is missing".to_owned()))
        }
        other => other.map_err(at(path)),
    }
}

fn check(read: io::Result<(String, u64)>, line: &MediaLine, path: &Path) -> Result<(), BackupError> {
    let damaged = || BackupError::Damaged(path.to_owned(), "is not the file that was written".to_owned());
    match read {
        Ok((sha256, bytes)) if sha256 == line.sha256 && bytes == line.bytes => Ok(()),
        Ok(_) => Err(damaged()),
        // Longer than it was.
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(damaged()),
        Err(error) => Err(at(path)(error)),
    }
}
