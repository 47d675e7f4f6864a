//! Small valid files, made here.

use bytes::Bytes;
use png::EncodingError;
use std::{io::Write, sync::OnceLock};

/// A striped PNG of exactly this size. The note is written into the file, so that two notes make
/// two different files; one bit a pixel keeps even a large one quick to make.
pub fn png(width: u32, height: u32, note: &str) -> Vec<u8> {
    // Memory takes everything, and a side of 0 is the only size that is none.
    encode(width.max(1), height.max(1), note).unwrap_or_default()
}

fn encode(width: u32, height: u32, note: &str) -> Result<Vec<u8>, EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.add_itxt_chunk("Comment".to_owned(), note.to_owned())?;
    let stripes = 0xF0;
    let pixels = vec![stripes; width.div_ceil(8) as usize * height as usize];
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
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

/// A picture of 30000 by 30000 in about 100 kB: whoever decodes it whole needs 900 MB.
pub(crate) fn bomb() -> Bytes {
    static BOMB: OnceLock<Bytes> = OnceLock::new();
    BOMB.get_or_init(|| encode_bomb().map(Bytes::from).unwrap_or_default()).clone()
}

fn encode_bomb() -> Result<Vec<u8>, EncodingError> {
    const SIDE: u32 = 30_000;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    let mut rows = writer.stream_writer()?;
    let row = vec![0; SIDE.div_ceil(8) as usize];
    for _ in 0..SIDE {
        rows.write_all(&row)?;
    }
    rows.finish()?;
    writer.finish()?;
    Ok(file)
}

/// The file with a few bytes of what it shows changed, its length kept.
pub(crate) fn damaged(file: &Bytes) -> Bytes {
    const DATA: &[u8] = b"IDAT";
    let data = file.windows(DATA.len()).position(|window| window == DATA);
    let at = data.map_or(file.len() / 2, |at| at + DATA.len() + 6);
    let mut copy = file.to_vec();
    copy.iter_mut().skip(at).take(4).for_each(|byte| *byte ^= 0x5A);
    copy.into()
}

/// Reads `1024x1024` or `1328*1328`; anything else is the vendor's own choice.
pub(crate) fn size_of(text: Option<&str>, separator: char, otherwise: (u32, u32)) -> (u32, u32) {
    let read = |text: &str| {
        let (width, height) = text.split_once(separator)?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    text.and_then(read).unwrap_or(otherwise)
}
