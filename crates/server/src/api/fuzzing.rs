//! Entries for fuzzing: each takes any bytes, and panics only where a promise of ours is broken.

use super::{body, chat, create, inputs, media, pixverse, tasks};
use crate::config::{Environment, Flags, resolve};
use pixel_core::{catalog::Catalog, request::Kind};
use std::{io, path::Path, sync::LazyLock};

/// The catalogue, read once.
pub static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::parse(pixel_vendors::CATALOG).unwrap_or_default());

/// A name and what takes the bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// The entries by name; each has a folder of seeds.
pub const TARGETS: &[Entry] = &[
    ("generation", generation),
    ("chat", chat),
    ("data_uri", data_uri),
    ("range", range),
    ("query", query),
    ("settings", settings),
    ("apps", apps),
];

/// A body for one of the three routes, until it is a checked request or a sentence.
pub fn generation(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    let kind = [Kind::Image, Kind::Video, Kind::Audio][usize::from(which) % 3];
    sentence(body::read(bytes).map(|raw| create::fuzz(&raw, kind).err().map(|error| error.message)));
}

/// A chat's body, and what the writer without a network says to it.
pub fn chat(data: &[u8]) {
    sentence(body::read(data).map(|raw| chat::fuzz(&raw).err().map(|error| error.message)));
}

/// What stands in the place of a link.
pub fn data_uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match inputs::decode("imageInputs[0]", text) {
        Ok(bytes) => assert!(!bytes.is_empty() && bytes.len() < text.len()),
        Err(error) => sentence(Err(error.message)),
    }
}

/// A `Range` header over files of a length that the first bytes give.
pub fn range(data: &[u8]) {
    let Some((length, text)) = data.split_first_chunk::<2>() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    for length in [0, u64::from(u16::from_le_bytes(*length)), u64::MAX] {
        media::fuzz(text, length);
    }
}

/// A request of a mobile app, as a query and a body of any declared type.
pub fn apps(data: &[u8]) {
    let Some((&which, bytes)) = data.split_first() else { return };
    if let Err(error) = pixverse::fuzz(which, bytes, &CATALOG) {
        sentence(Err(error.message));
    }
}

/// The query of a list of tasks.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let asked = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if let Err(error) = tasks::fuzz(&asked) {
        sentence(Err(error.message));
    }
}

/// A settings file; the first line is also the value of a variable.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = |path: &Path| match path.extension() {
        Some(_) => Ok(text.to_owned()),
        None => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let first = text.lines().next().unwrap_or_default();
    let variables: Vec<(&str, &str)> =
        ["PIXEL_LISTEN", "PIXEL_FETCH_ALLOW", "DATABASE_URL", "PIXEL_CALLS_MAX", "PIXEL_PUBLIC_URL"]
            .map(|name| (name, first))
            .to_vec();
    for environment in [Environment::of(&[]), Environment::of(&variables)] {
        if let Err(problems) = resolve(&Flags::default(), &environment, &read, 2, &CATALOG) {
            assert!(!problems.to_string().is_empty());
        }
    }
}

/// A refusal is a sentence of a fit length.
fn sentence(said: Result<Option<String>, String>) {
    let (Ok(Some(text)) | Err(text)) = said else { return };
    assert!(!text.is_empty() && text.chars().count() < 1_500, "{text}");
}

#[cfg(test)]
mod tests {
    /// What a run of the fuzzer began with, and what one found.
    #[test]
    fn seeds_are_survived() {
        for (name, entry) in super::TARGETS {
            let folder = format!("{}/../../fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).collect();
            assert!(!files.is_empty(), "{folder} is empty");
            files.into_iter().for_each(|file| entry(&std::fs::read(file.unwrap().path()).unwrap()));
        }
    }
}
