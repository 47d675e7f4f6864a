//! WebM and Matroska: elements that must fill the file exactly.

use super::{
    Survey,
    sniff::Format,
    source::{Source, Walk, bad, truncated},
};
use pixel_core::size::Size;

const ELEMENTS_MAX: u32 = 2_000_000;
const UNKNOWN: u64 = u64::MAX;

const EBML: u64 = 0x1a45_dfa3;
const DOC_TYPE: u64 = 0x4282;
const SEGMENT: u64 = 0x1853_8067;
const INFO: u64 = 0x1549_a966;
const TIMESTAMP_SCALE: u64 = 0x002a_d7b1;
const DURATION: u64 = 0x4489;
const TRACKS: u64 = 0x1654_ae6b;
const TRACK: u64 = 0xae;
const TRACK_VIDEO: u64 = 0xe0;
const PIXEL_WIDTH: u64 = 0xb0;
const PIXEL_HEIGHT: u64 = 0xba;
const CLUSTER: u64 = 0x1f43_b675;

struct Found {
    /// Nanoseconds of one unit of time.
    scale: u64,
    duration: Option<f64>,
    width: Option<u64>,
    height: Option<u64>,
    is_webm: bool,
    has_tracks: bool,
    has_data: bool,
}

pub(super) fn walk(source: &mut Source, survey: &mut Survey) -> Walk {
    let mut found = Found {
        scale: 1_000_000,
        duration: None,
        width: None,
        height: None,
        is_webm: false,
        has_tracks: false,
        has_data: false,
    };
    let walked = elements(source, &mut found);
    report(&found, survey);
    walked?;
    match found {
        Found { has_tracks: false, .. } => truncated("its tracks are missing"),
        Found { has_data: false, .. } => truncated("its data is missing"),
        _ => Ok(()),
    }
}

fn report(found: &Found, survey: &mut Survey) {
    let side = |value: Option<u64>| value.and_then(|side| u32::try_from(side).ok());
    survey.size = side(found.width).zip(side(found.height)).map(|(width, height)| Size::new(width, height));
    survey.format = match (found.has_tracks, survey.size, found.is_webm) {
        (true, None, _) => Format::Weba,
        (_, _, true) => Format::Webm,
        _ => Format::Mkv,
    };
    let ms = found.duration.map(|units| (units * found.scale as f64 / 1e6).round());
    survey.duration_ms = ms.filter(|ms| (1.0..1e12).contains(ms)).map(|ms| ms as u64);
}

/// Visits elements in the order of the file. Those that hold what we look for are entered, all
/// others are skipped; no stack is needed, because nothing depends on where an element ends.
fn elements(source: &mut Source, found: &mut Found) -> Walk {
    let mut segment_end = None;
    for _ in 0..ELEMENTS_MAX {
        if source.left() == 0 {
            return match segment_end {
                Some(UNKNOWN) => Ok(()),
                Some(end) if end <= source.length() => Ok(()),
                _ => truncated("it is shorter than it says"),
            };
        }
        let id = vint(source, false)?;
        let length = vint(source, true)?;
        let end = if length == UNKNOWN { UNKNOWN } else { source.at().saturating_add(length) };
        match id {
            SEGMENT => segment_end = Some(end),
            TRACKS => found.has_tracks = true,
            CLUSTER => found.has_data = true,
            _ => {}
        }
        let is_entered = matches!(id, EBML | SEGMENT | INFO | TRACKS | TRACK | TRACK_VIDEO);
        match (is_entered || (id == CLUSTER && length == UNKNOWN), length) {
            (true, _) => {}
            (false, UNKNOWN) => return bad("an element has no length"),
            (false, length) => value(source, id, length, found)?,
        }
    }
    bad("it has too many elements")
}

/// Reads an element without children, or skips it.
fn value(source: &mut Source, id: u64, length: u64, found: &mut Found) -> Walk {
    let is_wanted = matches!(id, DOC_TYPE | TIMESTAMP_SCALE | DURATION | PIXEL_WIDTH | PIXEL_HEIGHT);
    if !is_wanted || length > 8 {
        return source.skip(length);
    }
    let mut bytes = [0; 8];
    let bytes = &mut bytes[..usize::try_from(length).unwrap_or(8)];
    source.fill(bytes)?;
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    match id {
        DOC_TYPE => found.is_webm = bytes.starts_with(b"webm"),
        TIMESTAMP_SCALE => found.scale = number,
        DURATION => {
            found.duration = match length {
                4 => Some(f64::from(f32::from_bits(u32::try_from(number).unwrap_or(0)))),
                8 => Some(f64::from_bits(number)),
                _ => None,
            }
        }
        PIXEL_WIDTH => found.width = found.width.or(Some(number)),
        _ => found.height = found.height.or(Some(number)),
    }
    Ok(())
}

/// A number whose first byte says how many follow. In a length, the mark is taken off, and all
/// ones mean that it is unknown.
fn vint(source: &mut Source, is_length: bool) -> Walk<u64> {
    let first = source.byte()?;
    let more = first.leading_zeros();
    if more > 7 || (!is_length && more > 3) {
        return bad("an element has no valid head");
    }
    let mark = 0x80 >> more;
    let mut number = u64::from(if is_length { first & (mark - 1) } else { first });
    for _ in 0..more {
        number = number << 8 | u64::from(source.byte()?);
    }
    let all_ones = (1 << (7 * (more + 1))) - 1;
    Ok(if is_length && number == all_ones { UNKNOWN } else { number })
}
