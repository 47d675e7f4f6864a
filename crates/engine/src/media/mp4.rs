//! MP4, QuickTime and M4A: boxes that must fill the file exactly.

use super::{
    Survey, milliseconds,
    sniff::{Class, Format},
    source::{Source, Walk, bad, truncated},
};
use pixel_core::size::Size;

/// Boxes of a file before we give up; a long clip in fragments has some thousands.
const BOXES_MAX: u32 = 200_000;
/// Samples that are added up where a file does not say how long its data is.
const SAMPLES_MAX: u32 = 4_000_000;

struct BoxHead {
    kind: [u8; 4],
    end: u64,
    /// It says "to the end of the file" in place of a length.
    is_open: bool,
}

#[derive(Default)]
struct Track {
    is_video: bool,
    is_audio: bool,
    size: Option<Size>,
    duration_ms: Option<u64>,
}

/// What the boxes said so far.
#[derive(Default)]
struct Movie {
    boxes: u32,
    has_moov: bool,
    has_open_data: bool,
    data_bytes: u64,
    /// Bytes of all samples, by their tables.
    sample_bytes: u64,
    duration_ms: Option<u64>,
    tracks: Vec<Track>,
}

pub(super) fn walk(source: &mut Source, survey: &mut Survey) -> Walk {
    let mut movie = Movie::default();
    let mut walked = Ok(());
    while walked.is_ok() && source.left() > 0 {
        walked = top_box(source, &mut movie);
    }
    report(&movie, survey);
    walked?;
    match movie {
        Movie { has_moov: false, .. } => truncated("its index (moov) is missing"),
        Movie { data_bytes: 0, .. } => truncated("its data (mdat) is missing"),
        Movie { has_open_data: true, sample_bytes, data_bytes, .. } if sample_bytes > data_bytes => {
            truncated("its data is shorter than its index says")
        }
        _ if survey.size.is_none() && survey.format.class() == Class::Video => bad("it has no video track"),
        _ => Ok(()),
    }
}

fn report(movie: &Movie, survey: &mut Survey) {
    let longest = movie.tracks.iter().filter_map(|track| track.duration_ms).max();
    survey.duration_ms = movie.duration_ms.or(longest);
    survey.size = movie.tracks.iter().find(|track| track.is_video).and_then(|track| track.size);
    let has_sound = movie.tracks.iter().any(|track| track.is_audio);
    if survey.format == Format::M4a || (survey.size.is_none() && has_sound) {
        // A picture in a sound file is its cover.
        (survey.format, survey.size) = (Format::M4a, None);
    }
}

fn top_box(source: &mut Source, movie: &mut Movie) -> Walk {
    let from = source.at();
    let head = box_head(source, source.length(), movie)?;
    match &head.kind {
        b"mdat" => {
            movie.data_bytes += head.end - source.at();
            movie.has_open_data |= head.is_open;
        }
        // An index that goes beyond the end is left unread: it would be judged by its first part.
        b"moov" if head.end <= source.length() => {
            movie.has_moov = true;
            children(source, head.end, movie, 0)?;
        }
        _ => {}
    }
    match head.end <= source.length() {
        true => source.go(head.end),
        false => truncated(format!("a part that begins at byte {from} goes beyond the end")),
    }
}

fn box_head(source: &mut Source, parent_end: u64, movie: &mut Movie) -> Walk<BoxHead> {
    movie.boxes += 1;
    if movie.boxes > BOXES_MAX {
        return bad("it has too many boxes");
    }
    let from = source.at();
    let (size, kind) = (source.u32_be()?, source.read::<4>()?);
    let (length, head_bytes) = match size {
        0 => (parent_end - from, 8),
        1 => (source.u64_be()?, 16),
        size => (u64::from(size), 8),
    };
    match from.checked_add(length) {
        Some(end) if length >= head_bytes => Ok(BoxHead { kind, end, is_open: size == 0 }),
        _ => bad("a box has no valid length"),
    }
}

/// Reads the boxes inside another one. The depth is that of the format, not of the file.
fn children(source: &mut Source, parent_end: u64, movie: &mut Movie, depth: u32) -> Walk {
    while source.at() < parent_end {
        if parent_end - source.at() < 8 {
            // QuickTime may end a list with four bytes of zero.
            return source.go(parent_end);
        }
        let head = box_head(source, parent_end, movie)?;
        if head.end > parent_end {
            return bad("a box is longer than the one around it");
        }
        match (&head.kind, depth) {
            (b"trak", 0) => {
                movie.tracks.push(Track::default());
                children(source, head.end, movie, 1)?;
            }
            (b"mdia", 1) | (b"minf", 2) | (b"stbl", 3) => children(source, head.end, movie, depth + 1)?,
            (b"mvhd", 0) => movie.duration_ms = header_duration(source, head.end)?,
            _ => leaf(source, &head, movie)?,
        }
        source.go(head.end)?;
    }
    Ok(())
}

fn leaf(source: &mut Source, head: &BoxHead, movie: &mut Movie) -> Walk {
    let Some(track) = movie.tracks.last_mut() else { return Ok(()) };
    let length = head.end - source.at();
    match &head.kind {
        b"tkhd" => track.size = display_size(source, length)?,
        b"mdhd" => track.duration_ms = header_duration(source, head.end)?,
        // The handler in `meta` boxes is not reached: those are not entered.
        b"hdlr" if length >= 12 => {
            source.skip(8)?;
            match &source.read::<4>()? {
                b"vide" => track.is_video = true,
                b"soun" => track.is_audio = true,
                _ => {}
            }
        }
        b"stsz" if length >= 12 => {
            let bytes = sample_bytes(source, head.end)?;
            movie.sample_bytes = movie.sample_bytes.saturating_add(bytes);
        }
        _ => {}
    }
    Ok(())
}

/// Of `mvhd` and `mdhd`, which begin alike. Zero and all ones stand for unknown.
fn header_duration(source: &mut Source, end: u64) -> Walk<Option<u64>> {
    let length = end - source.at();
    if length < 20 {
        return bad("a header is too short");
    }
    let version = source.read::<4>()?[0];
    let (per_second, units) = match version {
        1 if length >= 32 => {
            source.skip(16)?;
            (source.u32_be()?, source.u64_be()?)
        }
        1 => return bad("a header is too short"),
        _ => {
            source.skip(8)?;
            let (per_second, units) = (source.u32_be()?, source.u32_be()?);
            (per_second, if units == u32::MAX { u64::MAX } else { u64::from(units) })
        }
    };
    Ok(if matches!(units, 0 | u64::MAX) { None } else { milliseconds(units, u64::from(per_second)) })
}

/// Width and height as shown: turned when the matrix turns by a quarter.
fn display_size(source: &mut Source, length: u64) -> Walk<Option<Size>> {
    let version = source.read::<4>()?[0];
    let times = if version == 1 { 32 } else { 20 };
    if length < times + 4 + 16 + 36 + 8 {
        return bad("a track's header is too short");
    }
    source.skip(times + 16)?;
    let mut matrix = [0; 9];
    for cell in &mut matrix {
        *cell = source.u32_be()?;
    }
    // Both are 16.16 fixed-point numbers.
    let (width, height) = (source.u32_be()? >> 16, source.u32_be()? >> 16);
    let is_turned = matrix[0] == 0 && matrix[4] == 0 && matrix[1] != 0 && matrix[3] != 0;
    let size = if is_turned { Size::new(height, width) } else { Size::new(width, height) };
    Ok((width > 0 && height > 0).then_some(size))
}

fn sample_bytes(source: &mut Source, end: u64) -> Walk<u64> {
    source.skip(4)?;
    let (each, count) = (source.u32_be()?, source.u32_be()?);
    if each > 0 {
        return Ok(u64::from(each) * u64::from(count));
    }
    if u64::from(count) * 4 > end - source.at() || count > SAMPLES_MAX {
        return bad("its table of samples has no valid length");
    }
    let mut bytes = 0;
    for _ in 0..count {
        bytes += u64::from(source.u32_be()?);
    }
    Ok(bytes)
}
