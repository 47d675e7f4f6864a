//! Facts of media, read from its bytes and from nothing that anyone said of it.
//!
//! [`examine`] tells the type by content, walks the file's structure to its end, and measures it.
//! It decodes no picture and no sound, allocates nothing by a length that it read, and visits each
//! byte at most a few times, so that a hostile file costs little. [`preview`] and [`poster`] make
//! the smaller picture of something that passed.

mod flac;
mod image;
mod mp3;
mod mp4;
mod ogg;
mod preview;
mod sniff;
mod source;
#[cfg(test)]
mod tests;
mod wav;
mod webm;

pub use preview::{needs_preview, poster, preview};

use pixel_core::{size::Size, task::Facts};
use sniff::{Class, Format};
use source::{Source, Stop};
use std::{io, path::Path};

/// Bounds of the media that we accept.
#[derive(Clone, Debug)]
pub struct MediaLimits {
    pub image_bytes: u64,
    pub video_bytes: u64,
    pub audio_bytes: u64,
    /// Width times height of a picture or clip.
    pub pixels: u64,
    /// Width or height.
    pub side: u32,
    /// Pictures of an animation.
    pub frames: u32,
    /// Memory of one decode.
    pub decode_bytes: u64,
    /// The longer side of a preview.
    pub preview_side: u32,
}

impl Default for MediaLimits {
    fn default() -> Self {
        Self {
            image_bytes: 50 << 20,
            video_bytes: 2 << 30,
            audio_bytes: 200 << 20,
            pixels: 40_000_000,
            side: 16_384,
            frames: 300,
            decode_bytes: 384 << 20,
            preview_side: 512,
        }
    }
}

/// Why bytes are not media that we take: a full sentence for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unusable {
    pub reason: String,
}

impl Unusable {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// What the walk through a file brought to light.
#[derive(Debug)]
struct Survey {
    /// As sniffed, or as the walk found out: a container with sound alone is a sound.
    format: Format,
    size: Option<Size>,
    duration_ms: Option<u64>,
    frames: u32,
    /// Where the file ends before its structure does.
    truncated: Option<String>,
}

/// Reads the facts of a file with this hash and length. Blocking.
pub fn examine(path: &Path, sha256: &str, bytes: u64, limits: &MediaLimits) -> Result<Facts, Unusable> {
    let mut source = Source::open(path).map_err(|e| unreadable(&e))?;
    if source.length() != bytes {
        return Err(Unusable::new(format!("The file has {} bytes where {bytes} were recorded.", source.length())));
    }
    let head = source.head().map_err(|e| unreadable(&e))?;
    let format = sniff::sniff(&head).ok_or_else(|| Unusable::new(sniff::describe_unknown(&head)))?;
    check_bytes(format, bytes, limits)?;
    let survey = survey(format, &mut source)?;
    require_complete(&survey)?;
    check_measures(&survey, limits)?;
    Ok(Facts {
        sha256: sha256.to_owned(),
        bytes,
        content_type: survey.format.content_type().to_owned(),
        ext: survey.format.ext().to_owned(),
        size: survey.size,
        duration_ms: survey.duration_ms,
    })
}

/// Refuses a file that ends before its own structure says so: truncated media is never announced.
fn require_complete(survey: &Survey) -> Result<(), Unusable> {
    match &survey.truncated {
        None => Ok(()),
        Some(place) => Err(Unusable::new(format!("The {} file is incomplete: {place}.", survey.format.ext()))),
    }
}

fn unreadable(error: &io::Error) -> Unusable {
    Unusable::new(format!("The file cannot be read: {error}."))
}

fn survey(format: Format, source: &mut Source) -> Result<Survey, Unusable> {
    let mut survey = Survey { format, size: None, duration_ms: None, frames: 1, truncated: None };
    let walked = match format {
        Format::Png => image::png(source, &mut survey),
        Format::Jpeg => image::jpeg(source, &mut survey),
        Format::Webp => image::webp(source, &mut survey),
        Format::Gif => image::gif(source, &mut survey),
        Format::Mp4 | Format::Mov | Format::M4a => mp4::walk(source, &mut survey),
        Format::Webm | Format::Mkv | Format::Weba => webm::walk(source, &mut survey),
        Format::Wav => wav::walk(source, &mut survey),
        Format::Mp3 => mp3::walk(source, &mut survey),
        Format::Ogg => ogg::walk(source, &mut survey),
        Format::Flac => flac::walk(source, &mut survey),
    };
    match walked {
        Ok(()) => Ok(survey),
        Err(Stop::Truncated(place)) => Ok(Survey { truncated: Some(place), ..survey }),
        Err(Stop::Bad(why)) => Err(Unusable::new(format!("The {} file is damaged: {why}.", format.ext()))),
        Err(Stop::Io(error)) => Err(unreadable(&error)),
    }
}

/// Walks a file as if it were of the format with this extension, whatever its first bytes say.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn walk_as(ext: &str, path: &Path) {
    let all = [
        Format::Png,
        Format::Jpeg,
        Format::Webp,
        Format::Gif,
        Format::Mp4,
        Format::Mov,
        Format::M4a,
        Format::Webm,
        Format::Mkv,
        Format::Wav,
        Format::Mp3,
        Format::Ogg,
        Format::Flac,
    ];
    let format = all.into_iter().find(|format| format.ext() == ext);
    if let (Some(format), Ok(mut source)) = (format, Source::open(path)) {
        // Either way it must come to an end.
        let _ = survey(format, &mut source);
    }
}

fn check_bytes(format: Format, bytes: u64, limits: &MediaLimits) -> Result<(), Unusable> {
    let bytes_max = match format.class() {
        Class::Image => limits.image_bytes,
        Class::Video => limits.video_bytes,
        Class::Audio => limits.audio_bytes,
    };
    match bytes > bytes_max {
        true => Err(Unusable::new(format!("The {} file is larger than {bytes_max} bytes.", format.ext()))),
        false => Ok(()),
    }
}

fn check_measures(survey: &Survey, limits: &MediaLimits) -> Result<(), Unusable> {
    if survey.frames > limits.frames {
        return Err(Unusable::new(format!("The animation has more than {} frames.", limits.frames)));
    }
    match survey.size {
        None if survey.format.class() == Class::Audio => Ok(()),
        Some(size) if size.width == 0 || size.height == 0 => Err(Unusable::new("The file has no width or no height.")),
        Some(size) if size.width.max(size.height) > limits.side || size.pixels() > limits.pixels => {
            let (side, pixels) = (limits.side, limits.pixels);
            Err(Unusable::new(format!("{size} is too large: at most {side} pixels a side and {pixels} in all.")))
        }
        Some(_) => Ok(()),
        None => Err(Unusable::new("The file does not say how wide and high it is.")),
    }
}

/// `units` of `per_second` in milliseconds, rounded.
fn milliseconds(units: u64, per_second: u64) -> Option<u64> {
    let rounded = (u128::from(units) * 1000 + u128::from(per_second) / 2).checked_div(u128::from(per_second))?;
    u64::try_from(rounded).ok()
}
