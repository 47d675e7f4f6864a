//! MP3: frame after frame. There is no end mark, so the last frame has to be whole, and where the
//! encoder noted the number of frames, all of them have to be there.

use super::{
    Survey, milliseconds,
    source::{Source, Stop, Walk, bad, truncated},
};

/// Bytes between frames that are skipped: padding, tags of kinds that we do not know.
const GAP_MAX: u64 = 64 * 1024;

const KBPS_1: [u64; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KBPS_2: [u64; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const RATES: [u64; 3] = [44_100, 48_000, 32_000];

/// What the head of a frame says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    bytes: u64,
    samples: u64,
    rate: u64,
    /// Where an encoder puts its note into the first frame, counted from the frame's start.
    note_at: usize,
}

impl Frame {
    pub fn read(head: [u8; 4]) -> Option<Self> {
        let (version, layer) = (head[1] >> 3 & 3, head[1] >> 1 & 3);
        if head[0] != 0xff || head[1] < 0xe0 || version == 1 || layer != 1 {
            return None;
        }
        let is_first = version == 3;
        let table = if is_first { &KBPS_1 } else { &KBPS_2 };
        let kbps = *table.get(usize::from(head[2] >> 4)).filter(|kbps| **kbps > 0)?;
        let rate = *RATES.get(usize::from(head[2] >> 2 & 3))? >> [2, 0, 1, 0][usize::from(version)];
        let samples = if is_first { 1152 } else { 576 };
        let bytes = samples / 8 * kbps * 1000 / rate + u64::from(head[2] >> 1 & 1);
        let side = match (is_first, head[3] >> 6 == 3) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        Some(Self { bytes, samples, rate, note_at: 4 + side })
    }
}

pub(super) fn walk(source: &mut Source, survey: &mut Survey) -> Walk {
    skip_tags(source)?;
    let (mut frames, mut noted, mut samples, mut rate) = (0_u64, None, 0_u64, 0_u64);
    while let Some(frame) = next_frame(source)? {
        if frames == 0 {
            noted = encoder_note(source, frame)?;
        } else {
            source.skip(frame.bytes - 4)?;
        }
        frames += 1;
        // The frame with the note holds no sound.
        samples += if frames == 1 && noted.is_some() { 0 } else { frame.samples };
        rate = frame.rate;
        survey.duration_ms = milliseconds(samples, rate);
    }
    match noted {
        _ if rate == 0 => bad("it has no sound"),
        // Some encoders count the frame with the note, others do not.
        Some(noted) if frames < noted => truncated(format!("it has {frames} of {noted} frames")),
        _ => Ok(()),
    }
}

/// Tags before the sound, each with its length in sevens of bits.
fn skip_tags(source: &mut Source) -> Walk {
    loop {
        let from = source.at();
        if source.left() < 10 {
            return Ok(());
        }
        let head = source.read::<10>()?;
        if !head.starts_with(b"ID3") {
            return source.go(from);
        }
        let length = head[6..].iter().fold(0, |length, byte| length << 7 | u64::from(byte & 0x7f));
        let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
        source.skip(length + footer)?;
    }
}

/// Moves behind the head of the next frame; `None` at the end of the file, or of its sound.
fn next_frame(source: &mut Source) -> Walk<Option<Frame>> {
    let from = source.at();
    while source.left() >= 4 && source.at() - from < GAP_MAX {
        let at = source.at();
        let head = source.read::<4>()?;
        if let Some(frame) = Frame::read(head) {
            return Ok(Some(frame));
        }
        if head.starts_with(b"TAG") || &head == b"APET" {
            return source.skip(source.left()).map(|()| None);
        }
        source.go(at + 1)?;
    }
    match source.left() {
        4.. => bad("sound is missing in its midst"),
        left => source.skip(left).map(|()| None),
    }
}

/// Reads the first frame; the number of frames that follow it, where the encoder noted it.
fn encoder_note(source: &mut Source, frame: Frame) -> Walk<Option<u64>> {
    // A frame of this kind has at most 1441 bytes, and its head has been read.
    let mut body = vec![0; usize::try_from(frame.bytes - 4).map_err(|e| Stop::Bad(e.to_string()))?];
    source.fill(&mut body)?;
    let note = body.get(frame.note_at - 4..frame.note_at + 8);
    let noted = note.filter(|note| (note.starts_with(b"Xing") || note.starts_with(b"Info")) && note[7] & 1 == 1);
    Ok(noted.map(|note| u64::from(u32::from_be_bytes([note[8], note[9], note[10], note[11]]))))
}
