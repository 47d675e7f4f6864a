//! Media into a backup: linked where the file system allows it, for a blob never changes; copied
//! elsewhere.

use super::{
    BackupError, Say, at,
    draft::make,
    manifest::{MediaLine, MediaMode, MediaPart, Table, Tally, hash_of},
    rows_in::{Reader, text},
    rows_out::write_line,
};
use crate::{blobs::Blobs, read::parse};
use pixel_core::{
    task::{Facts, SlotState, Work},
    vendor::Staged,
};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
    time::{Duration, Instant},
};

/// How often a long copy says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// What came of taking hold of a file.
enum Brought {
    Linked,
    /// Another file system: opened, so that nobody can take it away.
    Open(File),
    Gone,
}

fn link(from: &Path, to: &Path) -> Result<Brought, BackupError> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(Brought::Linked),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Brought::Gone),
        Err(_) => match File::open(from) {
            Ok(file) => Ok(Brought::Open(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Brought::Gone),
            Err(error) => Err(at(from)(error)),
        },
    }
}

fn copy(from: File, to: &Path) -> Result<(String, u64), BackupError> {
    // Never over a file that is there: it may be a link, and the store's own.
    let mut file = File::create_new(to).map_err(at(to))?;
    let facts = hash_of(from, |chunk| file.write_all(chunk)).map_err(at(to))?;
    file.sync_data().map_err(at(to))?;
    Ok(facts)
}

/// Takes hold of the staged files of live rows before the server, which goes on, publishes and
/// drops them; says which had gone already. An object store has copies of its own.
pub(super) fn hold_staged(blobs: &Blobs, folder: &Path, handles: &[Staged]) -> Result<Vec<String>, BackupError> {
    let (mut open, mut gone) = (Vec::new(), Vec::new());
    if mode_of(blobs) == MediaMode::Referenced {
        return Ok(gone);
    }
    for handle in handles {
        let to = folder.join("staging").join(&handle.0);
        match link(&blobs.staged_path(handle), &to)? {
            Brought::Linked => {}
            Brought::Open(file) => open.push((file, to)),
            Brought::Gone => gone.push(format!("staged {}", handle.0)),
        }
    }
    for (file, to) in open {
        copy(file, &to)?;
    }
    Ok(gone)
}

/// Lists what is in `staging` and brings in every blob that the rows name.
pub(super) fn write_media(
    blobs: &Blobs,
    folder: &Path,
    tables: &[Table],
    lost: Vec<String>,
    say: Say<'_>,
) -> Result<MediaPart, BackupError> {
    let list = Tally::create(folder, "media.jsonl")?;
    let mut out =
        MediaOut { blobs, folder, list, mode: mode_of(blobs), said: Instant::now(), say, part: Count::default() };
    out.part.missing = lost;
    out.staged()?;
    for table in tables {
        let mut rows = Reader::open(folder, &table.file.path)?;
        let column = match table.name.as_str() {
            "media" => "facts",
            "work" => "state",
            _ => continue,
        };
        let column = rows.column(column)?;
        let gone = if table.name == "media" { Some(rows.column("gone")?) } else { None };
        while let Some(row) = rows.next_row()? {
            // What retention has removed, or is about to, is missed by nobody.
            if gone.is_some_and(|at| row.get(at).and_then(Value::as_i64) != Some(0)) {
                continue;
            }
            match table.name.as_str() {
                "media" => out.blob(&parse::<Facts>(text(&row, column)?, "facts")?)?,
                _ => out.blobs_of(&parse(text(&row, column)?, "state")?)?,
            }
        }
    }
    let Count { blobs, staged, total_bytes, missing } = out.part;
    Ok(MediaPart { mode: out.mode, list: out.list.finish()?, blobs, staged, total_bytes, missing })
}

/// Media in a folder is part of the backup; an object store keeps its own.
fn mode_of(blobs: &Blobs) -> MediaMode {
    if blobs.is_shared() { MediaMode::Referenced } else { MediaMode::Copied }
}

#[derive(Default)]
struct Count {
    blobs: u64,
    staged: u64,
    total_bytes: u64,
    missing: Vec<String>,
}

struct MediaOut<'a> {
    blobs: &'a Blobs,
    folder: &'a Path,
    list: Tally,
    mode: MediaMode,
    said: Instant,
    say: Say<'a>,
    part: Count,
}

impl MediaOut<'_> {
    fn staged(&mut self) -> Result<(), BackupError> {
        let staging = self.folder.join("staging");
        for entry in fs::read_dir(&staging).map_err(at(&staging))? {
            let entry = entry.map_err(at(&staging))?;
            let file = File::open(entry.path()).map_err(at(&entry.path()))?;
            let (sha256, bytes) = hash_of(file, |_| Ok(())).map_err(at(&entry.path()))?;
            let staged = Some(entry.file_name().to_string_lossy().into_owned());
            self.part.staged += 1;
            self.line(&MediaLine { sha256, bytes, staged })?;
        }
        Ok(())
    }

    /// Inputs that were fetched have no row of their own.
    fn blobs_of(&mut self, work: &Work) -> Result<(), BackupError> {
        work.inputs.iter().flatten().try_for_each(|input| self.blob(&input.facts))?;
        for slot in &work.slots {
            let SlotState::Done { media } = &slot.state else { continue };
            for made in media {
                self.blob(&made.facts)?;
                made.preview.iter().try_for_each(|preview| self.blob(&preview.facts))?;
            }
        }
        Ok(())
    }

    fn blob(&mut self, facts: &Facts) -> Result<(), BackupError> {
        let line = MediaLine { sha256: facts.sha256.clone(), bytes: facts.bytes, staged: None };
        if self.mode == MediaMode::Copied {
            match self.bring(facts)? {
                Some(true) => {}
                Some(false) => {
                    if !self.part.missing.contains(&facts.sha256) {
                        self.part.missing.push(facts.sha256.clone());
                    }
                    return Ok(());
                }
                // Named by an earlier row already.
                None => return Ok(()),
            }
        }
        self.part.blobs += 1;
        self.line(&line)
    }

    /// `None`: it is in the backup already. `Some(false)`: it is not there, or not whole.
    fn bring(&mut self, facts: &Facts) -> Result<Option<bool>, BackupError> {
        let Some(from) = self.blobs.file_path(&facts.sha256) else { return Ok(Some(true)) };
        let near = self.folder.join("blobs").join(facts.sha256.get(..2).unwrap_or("none"));
        let to = near.join(&facts.sha256);
        if to.exists() {
            return Ok(None);
        }
        make(&near)?;
        let is_whole = match link(&from, &to)? {
            Brought::Gone => return Ok(Some(false)),
            Brought::Linked => fs::metadata(&to).map_err(at(&to))?.len() == facts.bytes,
            Brought::Open(file) => copy(file, &to)? == (facts.sha256.clone(), facts.bytes),
        };
        if !is_whole {
            fs::remove_file(&to).map_err(at(&to))?;
        }
        Ok(Some(is_whole))
    }

    fn line(&mut self, line: &MediaLine) -> Result<(), BackupError> {
        let path = self.list.path().to_owned();
        write_line(&mut self.list, line).map_err(at(&path))?;
        self.part.total_bytes += line.bytes;
        if self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            let Count { blobs, total_bytes, .. } = &self.part;
            (self.say)(format!("media: {blobs} files, {} MB so far", total_bytes >> 20));
        }
        Ok(())
    }
}
