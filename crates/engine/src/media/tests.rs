//! Real files of every format, made by other programs, whole and cut short.

use super::{MediaLimits, Unusable, examine, poster, preview};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use pixel_core::{size::Size, task::Facts};
use std::{
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn examine(&self, bytes: &[u8]) -> Result<Facts, Unusable> {
        let path = self.write("examined", bytes);
        examine(&path, "cafe", bytes.len() as u64, &MediaLimits::default())
    }

    /// What `ffmpeg` makes of the arguments, in a file of this name.
    fn ffmpeg(&self, name: &str, arguments: &str) -> Vec<u8> {
        let path = self.0.path().join(name);
        let run = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y"])
            .args(arguments.split_whitespace())
            .arg(&path)
            .output()
            .expect("this test needs the program ffmpeg: apt-get install ffmpeg");
        assert!(run.status.success(), "ffmpeg for {name}: {}", String::from_utf8_lossy(&run.stderr));
        std::fs::read(path).unwrap()
    }
}

fn picture(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| Rgba([(x * 7 % 256) as u8, (y * 5 % 256) as u8, (x * y % 251) as u8, 255]))
}

fn encoded(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn opaque(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    encoded(DynamicImage::ImageRgba8(picture(width, height)).into_rgb8().into(), format)
}

fn wav(ms: u32) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 24_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for at in 0..24 * ms {
        writer.write_sample((at % 200) as i16).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

const CLIP: &str = "-f lavfi -i testsrc=size=320x180:rate=25:duration=2 -pix_fmt yuv420p";
const CLIP_AND_SOUND: &str =
    "-f lavfi -i testsrc=size=320x180:rate=25:duration=2 -f lavfi -i sine=duration=2 -pix_fmt yuv420p";
const SOUND: &str = "-f lavfi -i sine=frequency=440:duration=2";

struct Sample {
    bytes: Vec<u8>,
    content_type: &'static str,
    ext: &'static str,
    size: Option<(u32, u32)>,
    duration_ms: Option<u64>,
}

fn pictures() -> Vec<Sample> {
    let formats = [
        (ImageFormat::Png, "image/png", "png"),
        (ImageFormat::Jpeg, "image/jpeg", "jpg"),
        (ImageFormat::WebP, "image/webp", "webp"),
        (ImageFormat::Gif, "image/gif", "gif"),
    ];
    let sample = |(format, content_type, ext)| {
        let bytes = opaque(123, 77, format);
        Sample { bytes, content_type, ext, size: Some((123, 77)), duration_ms: None }
    };
    formats.into_iter().map(sample).collect()
}

fn made_by_ffmpeg(folder: &Folder) -> Vec<Sample> {
    let table: [(&str, &str, &str, &str); 14] = [
        ("late.mp4", CLIP_AND_SOUND, "-c:v libx264", "video/mp4"),
        ("early.mp4", CLIP, "-c:v libx264 -movflags +faststart", "video/mp4"),
        ("pieces.mp4", CLIP, "-c:v libx264 -g 10 -movflags +frag_keyframe+empty_moov", "video/mp4"),
        ("clip.mov", CLIP, "-c:v libx264", "video/quicktime"),
        ("clip.webm", CLIP, "-c:v libvpx", "video/webm"),
        ("clip.mkv", CLIP, "-c:v libx264", "video/x-matroska"),
        ("lossy.webp", CLIP, "-frames:v 1 -c:v libwebp", "image/webp"),
        ("progressive.jpg", CLIP, "-frames:v 1 -c:v mjpeg", "image/jpeg"),
        ("moving.gif", CLIP, "", "image/gif"),
        ("sound.m4a", SOUND, "-c:a aac", "audio/mp4"),
        ("sound.mp3", SOUND, "-c:a libmp3lame", "audio/mpeg"),
        ("opus.ogg", SOUND, "-c:a libopus", "audio/ogg"),
        ("sound.ogg", SOUND, "-c:a libvorbis", "audio/ogg"),
        ("sound.flac", SOUND, "-c:a flac", "audio/flac"),
    ];
    let sample = |(name, source, options, content_type): (&'static str, &str, &str, &'static str)| Sample {
        bytes: folder.ffmpeg(name, &format!("{source} {options}")),
        content_type,
        ext: name.rsplit('.').next().unwrap(),
        size: (!content_type.starts_with("audio/")).then_some((320, 180)),
        // The index of a clip in fragments knows no duration.
        duration_ms: (!content_type.starts_with("image/") && name != "pieces.mp4").then_some(2000),
    };
    table.into_iter().map(sample).collect()
}

fn samples(folder: &Folder) -> Vec<Sample> {
    let sound = Sample { bytes: wav(1234), content_type: "audio/wav", ext: "wav", size: None, duration_ms: Some(1234) };
    let mut all = pictures();
    all.push(sound);
    all.extend(made_by_ffmpeg(folder));
    all
}

#[test]
fn facts_are_read_from_the_bytes() {
    let folder = Folder::new();
    for sample in samples(&folder) {
        let facts = folder.examine(&sample.bytes).unwrap_or_else(|e| panic!("{}: {e}", sample.content_type));
        assert_eq!((facts.content_type.as_str(), facts.ext.as_str()), (sample.content_type, sample.ext));
        assert_eq!(facts.size, sample.size.map(|(w, h)| Size::new(w, h)), "{}", sample.content_type);
        assert_eq!((facts.bytes, facts.sha256.as_str()), (sample.bytes.len() as u64, "cafe"));
        match (facts.duration_ms, sample.duration_ms) {
            // Sound is made in frames, and some encoders begin with silence.
            (Some(ms), Some(expected)) if sample.size.is_none() => {
                assert!(ms.abs_diff(expected) <= 80, "{}: {ms} ms", sample.content_type);
            }
            (got, expected) => assert_eq!(got, expected, "{}", sample.content_type),
        }
    }
}

/// The name is that of the control which breaks the check: keep both together.
#[test]
fn truncated_media_is_refused() {
    let folder = Folder::new();
    for sample in samples(&folder) {
        let length = sample.bytes.len();
        let offsets = (0..20).map(|at| length * at / 20).chain([length - 1]);
        for offset in offsets {
            let outcome = folder.examine(&sample.bytes[..offset]);
            let what = format!("{} of {length} bytes, cut at {offset}", sample.content_type);
            assert!(outcome.is_err(), "{what}, was accepted: {outcome:?}");
        }
        // Nor is a file whose middle is missing, where the format tells.
        if matches!(sample.ext, "mp4" | "mov" | "webm" | "png") {
            let holed = [&sample.bytes[..length / 2], &sample.bytes[length / 2 + 40..]].concat();
            assert!(folder.examine(&holed).is_err(), "{} with a hole was accepted", sample.content_type);
        }
    }
}

#[test]
fn an_index_that_counts_more_data_than_there_is_is_refused() {
    let folder = Folder::new();
    let mut clip = folder.ffmpeg("early.mp4", &format!("{CLIP} -c:v libx264 -movflags +faststart"));
    let at = clip.windows(4).position(|bytes| bytes == b"mdat").unwrap();
    clip[at - 4..at].copy_from_slice(&[0; 4]);
    assert_eq!(folder.examine(&clip).unwrap().duration_ms, Some(2000));
    let cut = folder.examine(&clip[..clip.len() - 1]).unwrap_err();
    assert!(cut.reason.contains("shorter than its index"), "{cut}");
}

#[test]
fn a_turned_clip_has_its_shown_size() {
    let folder = Folder::new();
    let mut clip = folder.ffmpeg("flat.mp4", &format!("{CLIP} -c:v libx264"));
    let header = clip.windows(4).position(|bytes| bytes == b"tkhd").unwrap();
    let matrix: [i32; 9] = [0, 0x1_0000, 0, -0x1_0000, 0, 0, 0, 0, 0x4000_0000];
    for (cell, value) in matrix.iter().enumerate() {
        clip[header + 44 + cell * 4..][..4].copy_from_slice(&value.to_be_bytes());
    }
    assert_eq!(folder.examine(&clip).unwrap().size, Some(Size::new(180, 320)));
}

#[test]
fn what_is_no_media_is_refused_with_a_reason() {
    let folder = Folder::new();
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let cases: [(&[u8], &str); 7] = [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in", "text/html"),
        (svg, "no picture, clip or sound"),
        (b"{\"error\":\"expired\"}", "no picture, clip or sound"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "image/avif"),
        (&[0; 5000], "no picture, clip or sound"),
    ];
    for (bytes, reason) in cases {
        let refused = folder.examine(bytes).unwrap_err().reason;
        assert!(refused.contains(reason) && refused.ends_with('.'), "{refused}");
    }
    let path = folder.write("picture", &opaque(8, 8, ImageFormat::Png));
    assert!(examine(&path, "cafe", 5, &MediaLimits::default()).unwrap_err().reason.contains("5 were recorded"));
    assert!(examine(Path::new("/nonexistent"), "cafe", 5, &MediaLimits::default()).is_err());
}

/// A PNG's header, and compressed noughts behind it: 30,000 times 30,000 pixels in a few bytes.
fn bomb() -> Vec<u8> {
    let mut png = opaque(8, 8, ImageFormat::Png);
    png[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
    let sum = png_crc(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&sum);
    png
}

fn png_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[test]
fn bombs_are_refused_by_their_header() {
    let folder = Folder::new();
    let refused = folder.examine(&bomb()).unwrap_err().reason;
    assert!(refused.contains("30000*30000 is too large"), "{refused}");
    // And by the preview on its own, whatever the facts say.
    let path = folder.write("bomb.png", &bomb());
    let honest = opaque(8, 8, ImageFormat::Png);
    let facts = folder.examine(&honest).unwrap();
    let started = Instant::now();
    assert!(preview(&path, &facts, &MediaLimits::default()).is_none());
    assert!(started.elapsed() < Duration::from_secs(1), "it was decoded");
}

#[test]
fn the_bounds_of_bytes_and_frames_hold() {
    let folder = Folder::new();
    let still = folder.write("still.png", &opaque(64, 64, ImageFormat::Png));
    let length = std::fs::metadata(&still).unwrap().len();
    let few_bytes = MediaLimits { image_bytes: length - 1, ..MediaLimits::default() };
    assert!(examine(&still, "cafe", length, &few_bytes).unwrap_err().reason.contains("larger than"));
    assert!(examine(&still, "cafe", length, &MediaLimits { image_bytes: length, ..few_bytes }).is_ok());

    for (name, options) in [("a.gif", ""), ("a.webp", "-c:v libwebp_anim"), ("a.png", "-f apng")] {
        let moving = folder.ffmpeg(name, &format!("{CLIP} {options}"));
        let path = folder.write("moving", &moving);
        let with =
            |frames| examine(&path, "cafe", moving.len() as u64, &MediaLimits { frames, ..MediaLimits::default() });
        assert!(with(49).unwrap_err().reason.contains("more than 49 frames"), "{name}");
        assert!(with(50).is_ok(), "{name}: {:?}", with(50));
    }
}

/// Boxes, chunks and lengths that lie, in every place: an answer within a bounded time.
#[test]
fn damaged_files_end_in_an_answer() {
    let folder = Folder::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for sample in samples(&folder) {
        for _ in 0..25 {
            let mut bytes = sample.bytes.clone();
            for _ in 0..4 {
                // The heads are where the lengths are.
                let at = random() % if random() % 2 == 0 { bytes.len().min(400) } else { bytes.len() };
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random() as u8][random() % 6];
            }
            let started = Instant::now();
            if let Ok(facts) = folder.examine(&bytes) {
                let _ = preview(&folder.0.path().join("examined"), &facts, &MediaLimits::default());
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{} took too long", sample.content_type);
        }
    }
}

/// Of the right length and structure, and yet no decoder takes it.
#[test]
fn a_picture_whose_data_was_changed_is_refused() {
    let folder = Folder::new();
    let mut file = opaque(64, 48, ImageFormat::Png);
    assert!(folder.examine(&file).is_ok());
    let at = file.windows(4).position(|window| window == b"IDAT").unwrap() + 12;
    file[at] ^= 0x5A;
    let error = folder.examine(&file).unwrap_err();
    assert!(error.reason.contains("checksum"), "{error}");
}

#[test]
fn boxes_with_lying_sizes_are_refused() {
    let folder = Folder::new();
    let ftyp = b"\0\0\0\x10ftypisom\0\0\0\0".as_slice();
    let lies: [&[u8]; 6] = [
        b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x08",
        b"\0\0\0\x04free",
        b"\0\0\0\x10moov\0\0\0\x40trak",
        b"\0\0\0\x10moov\0\0\0\0trak",
        b"\0\0\0\0mdatxxxx",
    ];
    for lie in lies {
        assert!(folder.examine(&[ftyp, lie].concat()).is_err(), "{lie:?}");
    }
    let many = [ftyp, &b"\0\0\0\x08free".repeat(300_000)].concat();
    assert!(folder.examine(&many).unwrap_err().reason.contains("too many boxes"));
}

#[test]
fn a_preview_fits_and_keeps_what_shines_through() {
    let folder = Folder::new();
    let preview_of = |bytes: &[u8]| {
        let facts = folder.examine(bytes).unwrap();
        let small = preview(&folder.0.path().join("examined"), &facts, &MediaLimits::default()).expect("a preview");
        (image::guess_format(&small).unwrap(), image::load_from_memory(&small).unwrap())
    };
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
        let (kind, small) = preview_of(&opaque(660, 220, format));
        assert_eq!((kind, small.width(), small.height()), (ImageFormat::Jpeg, 512, 171), "{format:?}");
    }
    let mut glass = picture(600, 900);
    glass.put_pixel(5, 5, Rgba([0, 0, 0, 0]));
    let (kind, small) = preview_of(&encoded(glass.into(), ImageFormat::Png));
    assert_eq!((kind, small.width(), small.height()), (ImageFormat::Png, 341, 512));
    let (kind, small) = preview_of(&opaque(40, 30, ImageFormat::Png));
    assert_eq!((kind, small.width(), small.height()), (ImageFormat::Jpeg, 40, 30));
    // The colours are those of the picture.
    let red = RgbaImage::from_pixel(900, 900, Rgba([200, 10, 20, 255]));
    let (_, small) = preview_of(&encoded(red.into(), ImageFormat::Png));
    let middle = small.to_rgb8().get_pixel(200, 200).0;
    assert!(middle.iter().zip([200, 10, 20]).all(|(got, expected)| got.abs_diff(expected) < 6), "{middle:?}");
}

#[tokio::test]
async fn a_poster_is_one_picture_of_the_clip() {
    let folder = Folder::new();
    for (name, options) in [("wide.mp4", "-c:v libx264"), ("wide.webm", "-c:v libvpx")] {
        let source = "-f lavfi -i testsrc=size=1600x900:rate=5:duration=1 -pix_fmt yuv420p";
        let clip = folder.ffmpeg(name, &format!("{source} {options}"));
        let facts = folder.examine(&clip).unwrap();
        let picture =
            poster(Path::new("/usr/bin/ffmpeg"), &folder.0.path().join("examined"), &facts).await.expect("a poster");
        let picture = image::load_from_memory_with_format(&picture, ImageFormat::Jpeg).unwrap();
        assert_eq!((picture.width(), picture.height()), (1280, 720), "{name}");
        // A file that is no clip after all gives none, and no error.
        let noise = folder.write("noise", &[7; 9000]);
        assert_eq!(poster(Path::new("/usr/bin/ffmpeg"), &noise, &facts).await, None);
    }
    let facts = folder.examine(&opaque(8, 8, ImageFormat::Png)).unwrap();
    assert_eq!(poster(Path::new("/usr/bin/ffmpeg"), &folder.0.path().join("examined"), &facts).await, None);
}
