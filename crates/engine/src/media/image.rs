//! Pictures: their size from the header, and their structure to the end.
//!
//! What follows behind the end of a picture is ignored, as every decoder does: cameras put
//! things there.

use super::{
    Survey,
    source::{Source, Walk, bad, truncated},
};
use crc32fast::Hasher;
use pixel_core::size::Size;

/// Chunk after chunk to `IEND`. A decoder refuses a chunk that it needs when the checksum is wrong.
pub(super) fn png(source: &mut Source, survey: &mut Survey) -> Walk {
    source.skip(8)?;
    let mut has_data = false;
    loop {
        let (length, kind) = (source.u32_be()?, source.read::<4>()?);
        if length > 0x7fff_ffff || !kind.iter().all(u8::is_ascii_alphabetic) {
            return bad("a chunk has no valid head");
        }
        let mut sum = Hasher::new();
        sum.update(&kind);
        let mut rest = u64::from(length);
        match &kind {
            b"IHDR" if survey.size.is_none() && length == 13 => {
                let sides = source.read::<8>()?;
                sum.update(&sides);
                let [a, b, c, d, e, f, g, h] = sides;
                survey.size = Some(Size::new(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
                rest -= 8;
            }
            _ if survey.size.is_none() => return bad("it does not begin with its header"),
            b"acTL" if length == 8 => {
                survey.frames = source.u32_be()?;
                rest -= 4;
            }
            b"IDAT" => has_data = true,
            b"IEND" if !has_data => return bad("it has no picture data"),
            _ => {}
        }
        let is_needed = kind[0].is_ascii_uppercase();
        if is_needed {
            source.sum(rest, &mut sum)?;
            if source.u32_be()? != sum.finalize() {
                return bad("a chunk does not match its checksum");
            }
        } else {
            source.skip(rest + 4)?;
        }
        if &kind == b"IEND" {
            return Ok(());
        }
    }
}

/// Segment after segment, and through each scan, to the end-of-image marker.
pub(super) fn jpeg(source: &mut Source, survey: &mut Survey) -> Walk {
    source.skip(2)?;
    let mut has_scan = false;
    let mut marker = next_marker(source)?;
    loop {
        match marker {
            0xd9 if has_scan && survey.size.is_some() => return Ok(()),
            0xd9 => return bad("it has no picture data"),
            0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = source.u16_be()?;
                let Some(mut rest) = length.checked_sub(2) else { return bad("a segment has no valid length") };
                if is_frame_header(marker) && rest >= 5 {
                    source.skip(1)?;
                    let (height, width) = (source.u16_be()?, source.u16_be()?);
                    survey.size = Some(Size::new(u32::from(width), u32::from(height)));
                    rest -= 5;
                }
                source.skip(u64::from(rest))?;
            }
        }
        if marker == 0xda {
            has_scan = true;
            marker = end_of_scan(source)?;
        } else {
            marker = next_marker(source)?;
        }
    }
}

fn next_marker(source: &mut Source) -> Walk<u8> {
    if source.byte()? != 0xff {
        return bad("a segment does not begin with a marker");
    }
    loop {
        match source.byte()? {
            0xff => {}
            marker => return Ok(marker),
        }
    }
}

/// In a scan, 0xff is followed by 0 where it is data, and by a restart marker between intervals.
fn end_of_scan(source: &mut Source) -> Walk<u8> {
    loop {
        source.find(0xff)?;
        let mut marker = source.byte()?;
        while marker == 0xff {
            marker = source.byte()?;
        }
        if !matches!(marker, 0x00 | 0xd0..=0xd7) {
            return Ok(marker);
        }
    }
}

fn is_frame_header(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Block after block to the trailer.
pub(super) fn gif(source: &mut Source, survey: &mut Survey) -> Walk {
    source.skip(6)?;
    survey.size = Some(Size::new(u32::from(source.u16_le()?), u32::from(source.u16_le()?)));
    let flags = source.byte()?;
    source.skip(2 + color_table_bytes(flags))?;
    survey.frames = 0;
    loop {
        match source.byte()? {
            0x21 => source.skip(1)?,
            0x2c => {
                survey.frames = survey.frames.saturating_add(1);
                source.skip(8)?;
                let flags = source.byte()?;
                source.skip(color_table_bytes(flags) + 1)?;
            }
            0x3b if survey.frames > 0 => return Ok(()),
            0x3b => return bad("it has no picture data"),
            _ => return bad("a block has no valid head"),
        }
        loop {
            match source.byte()? {
                0 => break,
                length => source.skip(u64::from(length))?,
            }
        }
    }
}

fn color_table_bytes(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The length of the container, and each chunk in it.
pub(super) fn webp(source: &mut Source, survey: &mut Survey) -> Walk {
    source.skip(4)?;
    let end = u64::from(source.u32_le()?) + 8;
    source.skip(4)?;
    let (mut has_data, mut frames) = (false, 0_u32);
    while source.at() + 8 <= end {
        let (kind, length) = (source.read::<4>()?, u64::from(source.u32_le()?));
        let from = source.at();
        match (&kind, length) {
            (b"VP8X", 10..) => {
                source.skip(4)?;
                survey.size = Some(Size::new(u24_le(source)? + 1, u24_le(source)? + 1));
            }
            (b"VP8 ", 10..) => {
                let head = source.read::<10>()?;
                let side = |at: usize| u32::from(u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff);
                survey.size.get_or_insert(Size::new(side(6), side(8)));
                has_data = true;
            }
            (b"VP8L", 5..) => {
                source.skip(1)?;
                let bits = source.u32_le()?;
                survey.size.get_or_insert(Size::new((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1));
                has_data = true;
            }
            (b"ANMF", _) => frames = frames.saturating_add(1),
            _ => {}
        }
        // A chunk of odd length is followed by a byte of padding.
        let to = from + length + length % 2;
        if to > end {
            return bad("a chunk is longer than the file says it is");
        }
        source.go(to)?;
    }
    survey.frames = frames.max(1);
    match (has_data || frames > 0, end > source.length()) {
        (_, true) => truncated("it is shorter than it says"),
        (false, _) => bad("it has no picture data"),
        (true, false) => Ok(()),
    }
}

fn u24_le(source: &mut Source) -> Walk<u32> {
    let [a, b, c] = source.read()?;
    Ok(u32::from_le_bytes([a, b, c, 0]))
}
