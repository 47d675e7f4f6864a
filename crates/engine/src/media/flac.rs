//! FLAC: the length stands in its head; the end is judged by the last frame, which carries a
//! checksum and its own position.

use super::{
    Survey, milliseconds,
    source::{Source, Stop, Walk, bad, truncated},
};

/// The last frame lies within this; the largest that encoders make is a tenth of it.
const TAIL_BYTES: u64 = 1 << 20;
/// Places that look like a frame's start before we give up. By chance there is none in megabytes.
const STARTS_MAX: usize = 64;

struct Stream {
    samples: u64,
    block_size: u64,
}

pub(super) fn walk(source: &mut Source, survey: &mut Survey) -> Walk {
    source.skip(4)?;
    let mut stream = None;
    loop {
        let [kind, a, b, c] = source.read()?;
        let (length, next) = (u64::from(u32::from_be_bytes([0, a, b, c])), source.at());
        if kind & 0x7f == 0 && length >= 18 {
            let head = source.read::<18>()?;
            let mut packed = [0; 8];
            packed.copy_from_slice(&head[10..18]);
            let packed = u64::from_be_bytes(packed);
            let (rate, samples) = (packed >> 44, packed & ((1 << 36) - 1));
            survey.duration_ms = (samples > 0).then(|| milliseconds(samples, rate)).flatten();
            stream = Some(Stream { samples, block_size: u64::from(u16::from_be_bytes([head[0], head[1]])) });
        }
        source.go(next)?;
        source.skip(length)?;
        if kind & 0x80 != 0 {
            break;
        }
    }
    let Some(stream) = stream else { return bad("it has no format") };
    source.skip(source.left().saturating_sub(TAIL_BYTES))?;
    let mut tail = vec![0; usize::try_from(source.left()).map_err(|e| Stop::Bad(e.to_string()))?];
    source.fill(&mut tail)?;
    match ends_with_last_frame(&tail, &stream) {
        true => Ok(()),
        false => truncated("its last frame is missing or incomplete"),
    }
}

fn ends_with_last_frame(tail: &[u8], stream: &Stream) -> bool {
    let starts = (0..tail.len().saturating_sub(8)).rev().filter_map(|at| Some((at, frame_end(&tail[at..], stream)?)));
    let is_last = |end: u64| stream.samples == 0 || end == stream.samples;
    starts.take(STARTS_MAX).any(|(at, end)| is_last(end) && crc::<16>(&tail[at..], 0x8005) == 0)
}

/// The position behind the frame that starts here, in samples.
fn frame_end(frame: &[u8], stream: &Stream) -> Option<u64> {
    if frame[0] != 0xff || frame[1] & 0xfe != 0xf8 {
        return None;
    }
    let (number, mut at) = coded_number(frame)?;
    let block_size = match frame[2] >> 4 {
        0 => return None,
        1 => 192,
        code @ 2..=5 => 576 << (code - 2),
        6 => {
            at += 1;
            u64::from(*frame.get(at - 1)?) + 1
        }
        7 => {
            at += 2;
            u64::from(u16::from_be_bytes([*frame.get(at - 2)?, *frame.get(at - 1)?])) + 1
        }
        code => 256 << (code - 8),
    };
    at += match frame[2] & 15 {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let is_whole = crc::<8>(frame.get(..=at)?, 0x07) == 0;
    // With blocks of one size the number counts blocks, otherwise samples.
    let start = if frame[1] & 1 == 0 { number.checked_mul(stream.block_size)? } else { number };
    is_whole.then(|| start + block_size)
}

/// A number in the manner of UTF-8, and where it ends.
fn coded_number(frame: &[u8]) -> Option<(u64, usize)> {
    let first = *frame.get(4)?;
    let more = match first.leading_ones() {
        0 => return Some((u64::from(first), 5)),
        ones @ 2..=7 => ones as usize - 1,
        _ => return None,
    };
    let start = u64::from(first) & (0x7f >> (more + 1));
    let rest = frame.get(5..5 + more)?;
    Some((rest.iter().fold(start, |number, byte| number << 6 | u64::from(byte & 0x3f)), 5 + more))
}

/// A checksum of `BITS` bits, which is 0 over data followed by its own checksum.
fn crc<const BITS: u32>(bytes: &[u8], polynomial: u32) -> u32 {
    let top = 1 << (BITS - 1);
    bytes.iter().fold(0, |sum, byte| {
        let mixed = sum ^ u32::from(*byte) << (BITS - 8);
        (0..8).fold(mixed, |sum, _| (sum << 1) ^ if sum & top == 0 { 0 } else { polynomial }) & ((1 << BITS) - 1)
    })
}
