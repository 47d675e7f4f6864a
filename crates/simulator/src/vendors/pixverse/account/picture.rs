//! How large a picture is, by its own head.

/// Width and height of a PNG, a JPEG or a WebP.
pub(super) fn sides(file: &[u8]) -> Option<(u32, u32)> {
    match file {
        [0x89, b'P', b'N', b'G', ..] => Some((number(file, 16, 4, false)?, number(file, 20, 4, false)?)),
        [0xFF, 0xD8, ..] => jpeg(file),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', b'8', kind, ..] => webp(file, *kind),
        _ => None,
    }
}

/// So many bytes as a number.
fn number(file: &[u8], at: usize, count: usize, little: bool) -> Option<u32> {
    let bytes = file.get(at..at + count)?;
    let sum = |sum: u32, byte: &u8| (sum << 8) | u32::from(*byte);
    Some(if little { bytes.iter().rev().fold(0, sum) } else { bytes.iter().fold(0, sum) })
}

/// Goes from segment to segment to the one that begins the frame.
fn jpeg(file: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if *file.get(at)? != 0xFF {
            return None;
        }
        let is_frame = matches!(*file.get(at + 1)?, 0xC0..=0xCF) && !matches!(*file.get(at + 1)?, 0xC4 | 0xC8 | 0xCC);
        if is_frame {
            return Some((number(file, at + 7, 2, false)?, number(file, at + 5, 2, false)?));
        }
        at += 2 + number(file, at + 2, 2, false)? as usize;
    }
}

fn webp(file: &[u8], kind: u8) -> Option<(u32, u32)> {
    match kind {
        b'X' => Some((number(file, 24, 3, true)? + 1, number(file, 27, 3, true)? + 1)),
        b'L' => {
            let both = number(file, 21, 4, true)?;
            Some(((both & 0x3FFF) + 1, ((both >> 14) & 0x3FFF) + 1))
        }
        _ => Some((number(file, 26, 2, true)? & 0x3FFF, number(file, 28, 2, true)? & 0x3FFF)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_tell_the_sides() {
        let jpeg = [
            &[0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2][..],
            &[0xFF, 0xC4, 0, 3, 9, 0xFF, 0xC2, 0, 17, 8, 0x01, 0x02, 0x03, 0x04, 3],
        ]
        .concat();
        assert_eq!(sides(&jpeg), Some((0x0304, 0x0102)));
        let riff = |rest: &[u8]| [b"RIFF\0\0\0\0WEBP", rest].concat();
        let extended = riff(&[b"VP8X\x0A\0\0\0\0\0\0\0", &[0x3F, 0x01, 0, 0xEF, 0, 0][..]].concat());
        assert_eq!(sides(&extended), Some((320, 240)));
        let lossy = riff(&[b"VP8 \0\0\0\0\0\0\0\x9D\x01\x2A", &[0x40, 0x01, 0xF0, 0][..]].concat());
        assert_eq!(sides(&lossy), Some((320, 240)));
        let lossless = riff(&[b"VP8L\0\0\0\0\x2F", &[0x3F, 0xC1, 0x3B, 0][..]].concat());
        assert_eq!(sides(&lossless), Some((320, 240)));
        assert_eq!(sides(&crate::media::png(64, 32, "a")), Some((64, 32)));
        for cut in [&jpeg[..9], &extended[..24], b"GIF89a", b"\xFF\xD8\0\0\0\0"] {
            assert_eq!(sides(cut), None);
        }
    }
}
