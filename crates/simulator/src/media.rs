//! Small valid files, made here.

use bytes::Bytes;
use png::EncodingError;
use std::{
    io::Write,
    sync::{Mutex, OnceLock, PoisonError},
};

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

/// A PNG of a little more than so many bytes, whose pixels are noise: nothing makes it smaller. The
/// note makes two of them different files; all else is made once for each size.
pub(crate) fn large(bytes: usize, note: &str) -> Bytes {
    static LAST: Mutex<Option<(usize, Bytes)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let noise = match last.as_ref().filter(|(size, _)| *size == bytes) {
        Some((_, noise)) => noise.clone(),
        None => last.insert((bytes, noise(bytes).unwrap_or_default().into())).1.clone(),
    };
    drop(last);
    // The closing chunk goes behind one that holds the note.
    const END_BYTES: usize = 12;
    let (body, end) = noise.split_at(noise.len().saturating_sub(END_BYTES));
    let mut chunk = b"tEXtComment\0".to_vec();
    chunk.extend_from_slice(note.as_bytes());
    let mut check = flate2::Crc::new();
    check.update(&chunk);
    let length = u32::try_from(chunk.len() - 4).unwrap_or_default();
    [body, &length.to_be_bytes(), &chunk, &check.sum().to_be_bytes(), end].concat().into()
}

fn noise(bytes: usize) -> Result<Vec<u8>, EncodingError> {
    const WIDTH: usize = 2048;
    let height = bytes.div_ceil(WIDTH * 3).max(1);
    let mut file = Vec::with_capacity(bytes + (1 << 20));
    let mut encoder = png::Encoder::new(&mut file, WIDTH as u32, u32::try_from(height).unwrap_or(u32::MAX));
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::NoCompression);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = (0..(WIDTH * height * 3).div_ceil(8)).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let mut pixels: Vec<u8> = words.flatten().collect();
    pixels.truncate(WIDTH * height * 3);
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

/// A clip of one second, 128 by 72, without sound; the note makes two of them different files.
pub fn mp4(note: &str) -> Vec<u8> {
    // A test pattern, drawn by ffmpeg's `testsrc2`.
    const CLIP: &[u8] = include_bytes!("clip.mp4");
    let length = u32::try_from(8 + note.len()).unwrap_or_default();
    // A box that players skip.
    [CLIP, &length.to_be_bytes(), b"free", note.as_bytes()].concat()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_are_whole_and_differ() {
        const BYTES: usize = 3 << 20;
        let [first, second] = ["one", "two"].map(|note| large(BYTES, note));
        assert!(first != second && (BYTES..BYTES + (1 << 17)).contains(&first.len()), "{} bytes", first.len());
        // The decoder checks every chunk, the note's own too.
        let mut reader = png::Decoder::new(std::io::Cursor::new(&first[..])).read_info().expect("a header");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut pixels).expect("whole pixels");
        reader.finish().expect("whole to its end");
        assert_eq!(reader.info().uncompressed_latin1_text[0].text, "one");
    }
}
