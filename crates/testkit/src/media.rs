//! Small valid files, made here, and the facts that can be read from a file without our own code.

use sha2::{Digest, Sha256};
use std::{path::Path, process::Command};

/// A striped PNG of exactly this size. The note is written into the file, so that two notes make
/// two different files; one bit a pixel keeps even a large one quick to make.
pub fn png(width: u32, height: u32, note: &str) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.add_itxt_chunk("Comment".to_owned(), note.to_owned()).expect("a note is text");
    let stripes = 0xF0;
    let pixels = vec![stripes; width.div_ceil(8) as usize * height as usize];
    let mut writer = encoder.write_header().expect("a picture has a size");
    writer.write_image_data(&pixels).expect("memory takes it");
    writer.finish().expect("memory takes it");
    file
}

/// A PNG of about so many bytes, whose pixels are noise: nothing makes it smaller.
pub fn noise(bytes: usize) -> Vec<u8> {
    let width = 2048_u32;
    let height = u32::try_from(bytes / (width as usize * 3)).expect("a file of a few gigabytes").max(1);
    let mut file = Vec::with_capacity(bytes + (1 << 20));
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::NoCompression);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = (0..(width as usize * height as usize * 3).div_ceil(8)).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let mut pixels: Vec<u8> = words.flatten().collect();
    pixels.truncate(width as usize * height as usize * 3);
    let mut writer = encoder.write_header().expect("a picture has a size");
    writer.write_image_data(&pixels).expect("memory takes it");
    writer.finish().expect("memory takes it");
    file
}

/// A WAV of silence: 16 bits, mono.
pub fn wav(rate_hz: u32, millis: u32) -> Vec<u8> {
    let samples = (u64::from(rate_hz) * u64::from(millis) / 1000) as u32;
    let bytes = samples * 2;
    let mut file = Vec::with_capacity(44 + bytes as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&rate_hz.to_le_bytes());
    file.extend_from_slice(&(rate_hz * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&bytes.to_le_bytes());
    file.resize(44 + bytes as usize, 0);
    file
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
    fn noise_has_its_bytes() {
        let file = noise(3 << 20);
        assert!((3 << 20..(3 << 20) + 65_536).contains(&file.len()), "{}", file.len());
        assert_eq!(png_size(&file), Some((2048, 512)));
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
