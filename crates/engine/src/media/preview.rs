//! Smaller pictures: the thumbnail of a picture, the poster of a clip.

use super::MediaLimits;
use fast_image_resize::Resizer;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
};
use pixel_core::task::Facts;
use std::{fs::File, io::BufReader, path::Path, process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

const JPEG_QUALITY: u8 = 82;
const POSTER_TIME: Duration = Duration::from_secs(20);
const POSTER_BYTES_MAX: u64 = 8 << 20;

/// A picture within the size of a thumbnail needs none below this many bytes.
const SMALL_BYTES: u64 = 256 << 10;

/// Whether a picture is too large to be its own thumbnail.
pub fn needs_preview(facts: &Facts, limits: &MediaLimits) -> bool {
    let fits = facts.size.is_some_and(|size| size.width.max(size.height) <= limits.preview_side);
    !fits || facts.bytes > SMALL_BYTES
}

/// The thumbnail of a picture that was examined: JPEG, or PNG where something shines through.
/// `None` for what is no picture, and for one that cannot be decoded within the limits. Blocking.
pub fn preview(path: &Path, facts: &Facts, limits: &MediaLimits) -> Option<Vec<u8>> {
    let format = ImageFormat::from_mime_type(&facts.content_type)?;
    let full = match decode(path, format, limits) {
        Ok(full) => full,
        Err(error) => {
            tracing::debug!(%error, sha256 = facts.sha256, "no preview");
            return None;
        }
    };
    let small = shrink(full, limits.preview_side)?;
    encode(&small)
}

/// Judges the header before anything is decoded: the library's own limits have no sides by default.
fn decode(path: &Path, format: ImageFormat, limits: &MediaLimits) -> Result<DynamicImage, image::ImageError> {
    let mut bounds = Limits::no_limits();
    bounds.max_image_width = Some(limits.side);
    bounds.max_image_height = Some(limits.side);
    bounds.max_alloc = Some(limits.decode_bytes);
    let mut reader = ImageReader::with_format(BufReader::new(File::open(path)?), format);
    reader.limits(bounds.clone());
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(std::io::Error::other("too many pixels").into());
    }
    bounds.reserve(decoder.total_bytes())?;
    decoder.set_limits(bounds)?;
    let orientation = decoder.orientation()?;
    let mut full = DynamicImage::from_decoder(decoder)?;
    full.apply_orientation(orientation);
    Ok(full)
}

fn shrink(full: DynamicImage, side: u32) -> Option<DynamicImage> {
    let full = match full.color().has_alpha() {
        true => DynamicImage::ImageRgba8(full.into_rgba8()),
        false => DynamicImage::ImageRgb8(full.into_rgb8()),
    };
    let (width, height) = (full.width(), full.height());
    if width <= side && height <= side {
        return Some(full);
    }
    let scale = f64::from(side) / f64::from(width.max(height));
    let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, side);
    let mut small = DynamicImage::new(scaled(width), scaled(height), full.color());
    Resizer::new().resize(&full, &mut small, None).ok()?;
    Some(small)
}

fn encode(small: &DynamicImage) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let shines_through = small.as_rgba8().is_some_and(|pixels| pixels.pixels().any(|pixel| pixel.0[3] < 255));
    let encoded = match shines_through {
        true => small.write_with_encoder(PngEncoder::new(&mut bytes)),
        false => {
            let opaque = DynamicImage::ImageRgb8(small.to_rgb8());
            opaque.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        }
    };
    encoded.ok().map(|()| bytes)
}

/// The first picture of a clip as JPEG, made by `program`, an `ffmpeg`.
///
/// The clip is hostile input: the program may open no network and no list of other files, is told
/// the format that we found, inherits no variable (keys are among ours), and has limits of memory,
/// output and time.
pub async fn poster(program: &Path, path: &Path, facts: &Facts) -> Option<Vec<u8>> {
    let demuxer = match facts.content_type.as_str() {
        "video/mp4" | "video/quicktime" => "mov",
        "video/webm" | "video/x-matroska" => "matroska",
        _ => return None,
    };
    let mut input = std::ffi::OsString::from("file:");
    input.push(path);
    let mut command = Command::new(program);
    command
        .env_clear()
        .args([
            "-v",
            "error",
            "-nostdin",
            "-protocol_whitelist",
            "file,pipe",
            "-max_alloc",
            "536870912",
            "-threads",
            "1",
        ])
        .args(["-f", demuxer, "-i"])
        .arg(input)
        .args(["-an", "-sn", "-dn", "-frames:v", "1", "-vf", "scale='min(1280,iw)':-2", "-threads", "1"])
        .args(["-c:v", "mjpeg", "-q:v", "4", "-f", "image2pipe", "pipe:1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().ok()?;
    let mut output = child.stdout.take()?.take(POSTER_BYTES_MAX);
    let picture = async {
        let mut picture = Vec::new();
        output.read_to_end(&mut picture).await.ok()?;
        let is_whole = child.wait().await.ok()?.success() && picture.starts_with(&[0xff, 0xd8]);
        is_whole.then_some(picture)
    };
    timeout(POSTER_TIME, picture).await.ok().flatten()
}
