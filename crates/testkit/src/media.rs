//! Small valid files, made here, and the facts that can be read from a file without our own code.

use sha2::{Digest, Sha256};
use std::{path::Path, process::Command};

pub use pixel_simulator::media::{png, wav};

/// Every stored object below a folder is what its name says; returns how many there are.
pub fn check_objects(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.map(|path| if path.is_dir() { check_objects(&path) } else { check_object(&path) }).sum()
}

fn check_object(path: &Path) -> usize {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    assert_eq!(name.len(), 64, "I6: {} is a half-written object", path.display());
    let bytes = std::fs::read(path).expect("a stored object can be read");
    assert_eq!(sha256_hex(&bytes), name, "I6: {} is not what its name says", path.display());
    1
}

/// Width and height from a PNG's header.
pub fn png_size(file: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(file.get(at..at + 4)?.try_into().ok()?));
    file.starts_with(b"\x89PNG\r\n\x1a\n").then_some(())?;
    Some((number(16)?, number(20)?))
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `ffprobe` says of a file: streams and format.
pub fn probe(file: &Path) -> serde_json::Value {
    let answer = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_streams", "-show_format", "-count_frames"])
        .arg(file)
        .output()
        .expect("install ffprobe (Debian: ffmpeg): it judges media independently of our own code");
    let complaints = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success() && complaints.is_empty(), "ffprobe does not like {}: {complaints}", file.display());
    serde_json::from_slice(&answer.stdout).expect("ffprobe writes JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_have_their_size_and_differ_by_note() {
        let (one, two) = (png(1328, 30, "one"), png(1328, 30, "two"));
        assert_eq!(png_size(&one), Some((1328, 30)));
        assert_ne!(sha256_hex(&one), sha256_hex(&two));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("one.png");
        std::fs::write(&file, one).expect("written");
        assert_eq!(probe(&file)["streams"][0]["width"], 1328);
    }

    #[test]
    fn sounds_have_their_length() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("one.wav");
        std::fs::write(&file, wav(24_000, 1_500)).expect("written");
        let facts = probe(&file);
        assert_eq!(facts["streams"][0]["sample_rate"], "24000");
        assert_eq!(facts["streams"][0]["duration"], "1.500000");
    }
}
