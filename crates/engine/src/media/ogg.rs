//! Ogg: page after page; the last one is marked as the last.

use super::{
    Survey, milliseconds,
    source::{Source, Walk, bad, truncated},
};

const LAST_PAGE: u8 = 4;
const OPUS_RATE: u64 = 48_000;

pub(super) fn walk(source: &mut Source, survey: &mut Survey) -> Walk {
    let mut stream = None;
    loop {
        let head = source.read::<27>()?;
        if &head[..4] != b"OggS" {
            return bad("a page has no valid head");
        }
        let mut table = [0; 255];
        let table = &mut table[..usize::from(head[26])];
        source.fill(table)?;
        let length: u64 = table.iter().map(|bytes| u64::from(*bytes)).sum();
        let from = source.at();
        let (rate, lead) = match stream {
            Some(stream) => stream,
            None => *stream.insert(codec(source, length)?),
        };
        let mut position = [0; 8];
        position.copy_from_slice(&head[6..14]);
        // All ones: no packet ends on this page.
        let position = u64::from_le_bytes(position);
        if position != u64::MAX && rate > 0 {
            survey.duration_ms = milliseconds(position.saturating_sub(lead), rate);
        }
        source.go(from + length)?;
        if source.left() == 0 {
            return if head[5] & LAST_PAGE == 0 { truncated("its last page is missing") } else { Ok(()) };
        }
    }
}

/// Samples per second, and samples at the start that are not played.
fn codec(source: &mut Source, length: u64) -> Walk<(u64, u64)> {
    if length < 16 {
        return bad("its first page is too short");
    }
    let head = source.read::<16>()?;
    if head.starts_with(b"OpusHead") {
        return Ok((OPUS_RATE, u64::from(u16::from_le_bytes([head[10], head[11]]))));
    }
    if head.starts_with(b"\x01vorbis") {
        return Ok((u64::from(u32::from_le_bytes([head[12], head[13], head[14], head[15]])), 0));
    }
    // Its rate stands elsewhere; without it the duration stays unknown.
    if head.starts_with(b"\x7fFLAC") || head.starts_with(b"Speex   ") {
        return Ok((0, 0));
    }
    bad("its sound is of an unknown kind")
}
