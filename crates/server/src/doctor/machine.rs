//! What this machine offers: folders, space, programs.

use super::{Check, Status};
use crate::{
    config::{Environment, Settings},
    filesystem,
};
use std::path::Path;

/// Below this, media of a busy day may not fit.
const COMFORT_BYTES: u64 = 5 << 30;
/// Below this, not even the database is safe.
const LEAST_BYTES: u64 = 256 << 20;

pub fn folders(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![writable("data folder", &settings.data)];
    if settings.blobs != settings.data {
        checks.push(writable("media folder", &settings.blobs));
    }
    checks.push(space(&settings.blobs));
    if settings.database.url.is_none() {
        checks.push(kind(&settings.data));
    }
    checks
}

fn writable(subject: &str, folder: &Path) -> Check {
    let there = filesystem::existing(folder);
    let shown = folder.display();
    let remedy = "Name another folder with --data, or give this user the right to write there";
    if !there.is_dir() {
        let finding = format!("{} is a file, not a folder", there.display());
        return Check::new(Status::Failure, subject, finding).with_remedy(remedy);
    }
    // A nameless file: nothing is left behind, not even after a crash.
    match tempfile::tempfile_in(there) {
        Err(e) => {
            let finding = format!("{shown} cannot be written: {e}");
            Check::new(Status::Failure, subject, finding).with_remedy(remedy)
        }
        Ok(_) if folder.exists() => Check::fine(subject, format!("{shown} is writable")),
        Ok(_) => Check::fine(subject, format!("{shown} is not there yet and will be made")),
    }
}

fn space(folder: &Path) -> Check {
    let subject = "free space";
    match filesystem::free_bytes(folder) {
        None => Check::new(Status::Note, subject, "this system does not tell"),
        Some(bytes) => {
            let status = match bytes {
                ..LEAST_BYTES => Status::Failure,
                LEAST_BYTES..COMFORT_BYTES => Status::Warning,
                _ => Status::Fine,
            };
            let check = Check::new(status, subject, format!("{} for media", size(bytes)));
            match status {
                Status::Fine => check,
                _ => check.with_remedy("Free some space, or keep media on a larger disk with PIXEL_BLOBS"),
            }
        }
    }
}

fn kind(folder: &Path) -> Check {
    let subject = "file system of the database";
    match filesystem::kind_of(folder) {
        None => Check::new(Status::Note, subject, "this system does not tell; it must not be a network one"),
        Some(kind) if filesystem::is_network(&kind) => {
            let finding = format!("{kind} is a network file system, on which SQLite can lose data");
            Check::new(Status::Failure, subject, finding)
                .with_remedy("Put the data folder on a local disk, or use PostgreSQL (DATABASE_URL=postgres://…)")
        }
        Some(kind) => Check::fine(subject, kind),
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        mebibytes @ 0..1024 => format!("{mebibytes} MiB"),
        mebibytes => format!("{} GiB", mebibytes >> 10),
    }
}

/// Programs that make Pixel better and that it can do without.
pub fn programs(environment: &Environment) -> Vec<Check> {
    let look = |name: &str, without: &str, remedy: &str| match environment.find_program(name) {
        Some(path) => Check::fine(name, path.display().to_string()),
        None => Check::new(Status::Note, name, format!("not on the PATH: {without}")).with_remedy(remedy),
    };
    vec![
        look(
            "espeak-ng",
            "the sandbox answers speech with a pattern of tones",
            "For real speech in the sandbox: apt-get install espeak-ng",
        ),
        look(
            "ffmpeg",
            "clips that come without a poster have none",
            "For posters of every clip: apt-get install ffmpeg",
        ),
    ]
}
