//! Media that end too early, that claim what they do not hold, or that hold more than they claim.

use super::{
    files::{Original, find},
    lab::Case,
};
use crate::support::{IMAGE, picture, with};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::sync::Arc;

/// Places at which each file is cut.
const CUTS: usize = 20;

/// A picture that is asked for after these bytes.
pub fn given(name: String, declared: &'static str, bytes: impl Into<Arc<[u8]>>) -> Case {
    let bytes: Arc<[u8]> = bytes.into();
    let body = move || {
        let link = format!("data:{declared};base64,{}", STANDARD.encode(&bytes));
        with(picture("sandbox/painter", "a cat"), &json!({ "imageInputs": [link], "resolution": "64x64" }))
            .to_string()
            .into_bytes()
    };
    Case::made(name, IMAGE, body).media().says("'imageInputs[0]'")
}

pub fn all(originals: &[Original]) -> Vec<Case> {
    let mut cases = Vec::new();
    for original in originals {
        truncations(original, &mut cases);
        if !["png", "jpg", "gif", "webp"].contains(&original.name) {
            let whole = given(format!("media/whole/{}", original.name), "image/png", original.bytes.clone());
            cases.push(whole.says("It must be image data"));
        }
    }
    cases.extend(lying_heads(originals));
    cases.extend(lying_boxes(originals));
    cases.extend(lying_elements(originals));
    cases.extend(lying_sounds(originals));
    cases
}

fn truncations(original: &Original, cases: &mut Vec<Case>) {
    let (name, bytes) = (original.name, &original.bytes);
    // The last byte of an animation is its trailer, of a sound a sample: one byte less is not whole.
    let ends = (0..CUTS).map(|at| match at {
        0 => 1,
        1 => 4,
        2 => 12,
        3 => bytes.len() - 1,
        at => bytes.len() * (at - 3) / (CUTS - 3),
    });
    for (at, end) in ends.enumerate() {
        // Never for being of another kind: that would say nothing of the cut.
        let case = given(format!("media/cut/{name}/{at}"), "image/png", &bytes[..end.min(bytes.len() - 1)]);
        cases.push(case.says(if end >= 64 { "complete" } else { "" }));
    }
}

/// Pictures whose heads speak of another size, length or number.
fn lying_heads(originals: &[Original]) -> Vec<Case> {
    let mut cases = Vec::new();
    let (png, gif, webp, jpg) =
        (find(originals, "png"), find(originals, "gif"), find(originals, "webp"), find(originals, "jpg"));
    for (at, (width, height)) in [
        (30_000, 30_000),
        (0, 48),
        (64, 0),
        (0, 0),
        (u32::MAX, u32::MAX),
        (0x8000_0000, 1),
        (16_385, 1),
        (1, 16_385),
        (6_400, 6_400),
        (40_000_001, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let head = [width.to_be_bytes(), height.to_be_bytes()].concat();
        cases.push(given(format!("media/size/png/{at}"), "image/png", sealed(&put(png, 16, &head))));
    }
    cases.push(given("media/bomb/png".to_owned(), "image/png", bomb(30_000, 30_000)));
    cases.push(given("media/bomb/png_wide".to_owned(), "image/png", bomb(16_384, 16_384)));
    for (at, length) in [0_u32, 1, 12, 14, 0x7fff_ffff, 0x8000_0000, u32::MAX].into_iter().enumerate() {
        cases.push(given(format!("media/chunk/png/{at}"), "image/png", put(png, 8, &length.to_be_bytes())));
    }
    for (at, kind) in [b"IDAT", b"IEND", b"\0\0\0\0", b"I\xffDR"].into_iter().enumerate() {
        cases.push(given(format!("media/first/png/{at}"), "image/png", put(png, 12, kind)));
    }
    let frames = animated_png(png, 100_000);
    cases.push(given("media/frames/png".to_owned(), "image/png", frames).says("frames"));
    for (at, (width, height)) in [(0_u16, 48_u16), (64, 0), (65_535, 65_535), (16_385, 1)].into_iter().enumerate() {
        let head = [width.to_le_bytes(), height.to_le_bytes()].concat();
        cases.push(given(format!("media/size/gif/{at}"), "image/gif", put(gif, 6, &head)));
    }
    cases.push(given("media/frames/gif".to_owned(), "image/gif", gif_of(100_000)).says("frames"));
    cases.push(given("media/frames/gif_none".to_owned(), "image/gif", gif_of(0)));
    cases.push(given("media/blocks/gif".to_owned(), "image/gif", endless_gif()));
    for (at, length) in
        [0_u32, 4, 12, u32::MAX, u32::try_from(webp.len()).expect("short"), 0x7fff_ffff].into_iter().enumerate()
    {
        cases.push(given(format!("media/length/webp/{at}"), "image/webp", put(webp, 4, &length.to_le_bytes())));
        cases.push(
            given(format!("media/chunk/webp/{at}"), "image/webp", put(webp, 16, &length.max(21).to_le_bytes()))
                .says(""),
        );
    }
    cases.push(given("media/size/webp".to_owned(), "image/webp", webp_canvas(0xff_ffff)));
    cases.push(given("media/frames/webp".to_owned(), "image/webp", webp_frames(100_000)).says("frames"));
    let frame = jpg.windows(2).position(|pair| matches!(pair, [0xff, 0xc0..=0xc2])).expect("a frame's head");
    for (at, side) in [[0_u16, 64], [48, 0], [65_535, 65_535], [1, 16_385]].into_iter().enumerate() {
        let head = [side[0].to_be_bytes(), side[1].to_be_bytes()].concat();
        cases.push(given(format!("media/size/jpg/{at}"), "image/jpeg", put(jpg, frame + 5, &head)));
    }
    for (at, length) in [0_u16, 1, 65_535].into_iter().enumerate() {
        cases.push(given(format!("media/segment/jpg/{at}"), "image/jpeg", put(jpg, frame + 2, &length.to_be_bytes())));
        cases.push(given(format!("media/segment/jpg_first/{at}"), "image/jpeg", put(jpg, 4, &length.to_be_bytes())));
    }
    let markers = [
        b"\xff\xd8\xff".to_vec(),
        [b"\xff\xd8".as_slice(), &vec![0xff; 3 << 20]].concat(),
        b"\xff\xd8\xff\xd9".to_vec(),
    ];
    cases.extend(
        markers
            .into_iter()
            .enumerate()
            .map(|(at, bytes)| given(format!("media/markers/jpg/{at}"), "image/jpeg", bytes)),
    );
    cases
}

/// Boxes with lengths that go nowhere, around themselves, or beyond everything.
fn lying_boxes(originals: &[Original]) -> Vec<Case> {
    let ftyp = b"\0\0\0\x14ftypisom\0\0\0\0isom".as_slice();
    let mut tails: Vec<(String, Vec<u8>)> = Vec::new();
    let sizes: [u64; 9] = [0, 1, 8, 15, 16, 1 << 31, 1 << 32, u64::MAX / 2, u64::MAX];
    for kind in ["moov", "mdat", "free"] {
        for size in sizes {
            let mut wide = b"\0\0\0\x01".to_vec();
            wide.extend(kind.as_bytes());
            wide.extend(size.to_be_bytes());
            tails.push((format!("wide/{kind}/{size}"), wide));
        }
        for size in [1_u32, 2, 7, 9, 0x7fff_ffff, u32::MAX] {
            let narrow = [&size.to_be_bytes(), kind.as_bytes()].concat();
            tails.push((format!("narrow/{kind}/{size}"), narrow));
        }
    }
    let nest = |depth: usize, kinds: &[&str]| {
        let mut inner = Vec::new();
        for at in (0..depth).rev() {
            let length = u32::try_from(inner.len() + 8).expect("small");
            inner = [&length.to_be_bytes(), kinds[at % kinds.len()].as_bytes(), &inner].concat();
        }
        inner
    };
    tails.extend([
        ("deep/moov".to_owned(), nest(5_000, &["moov"])),
        ("deep/trak".to_owned(), nest(5_000, &["moov", "trak", "mdia", "minf", "stbl"])),
        ("many".to_owned(), b"\0\0\0\x08free".repeat(300_000)),
        ("around".to_owned(), b"\0\0\0\x18moov\0\0\0\0trak\0\0\0\0mdia".to_vec()),
        ("larger_inside".to_owned(), b"\0\0\0\x10moov\0\0\0\x40trak".to_vec()),
    ]);
    let mut cases: Vec<Case> = tails
        .into_iter()
        .map(|(name, tail)| given(format!("media/box/{name}"), "video/mp4", [ftyp, &tail].concat()))
        .collect();
    // Tables in a real index: as many samples as a number can say, and none.
    let mp4 = find(originals, "mp4");
    for (kind, at) in [("stsz", 8), ("stsz", 12), ("mvhd", 12), ("tkhd", 76), ("mdhd", 12), ("hdlr", 8), ("stsd", 4)] {
        let place = mp4.windows(4).position(|bytes| bytes == kind.as_bytes()).expect("a box of an index");
        for value in [0_u32, 1, 0x7fff_ffff, u32::MAX] {
            let bytes = put(mp4, place + at, &value.to_be_bytes());
            cases.push(given(format!("media/table/{kind}/{at}/{value}"), "video/mp4", bytes));
        }
    }
    cases
}

/// Elements of unknown, endless and impossible lengths.
fn lying_elements(originals: &[Original]) -> Vec<Case> {
    let head = b"\x1a\x45\xdf\xa3\x80".as_slice();
    let segment = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff".as_slice();
    let tails: [(&str, Vec<u8>); 10] = [
        ("nothing", Vec::new()),
        ("endless", segment.to_vec()),
        ("longest", b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xfe".to_vec()),
        ("no_length", b"\x18\x53\x80\x67\0".to_vec()),
        ("no_id", b"\0\0\0\0\0".to_vec()),
        ("many", [segment, &b"\xec\x80".repeat(2_100_000)].concat()),
        ("tracks_only", [segment, b"\x16\x54\xae\x6b\x80"].concat()),
        ("unknown_inside", [segment, b"\xec\xff"].concat()),
        ("deep", [segment, &b"\x16\x54\xae\x6b\xff".repeat(100_000)].concat()),
        ("segments", segment.repeat(50_000)),
    ];
    let mut cases: Vec<Case> = tails
        .into_iter()
        .map(|(name, tail)| given(format!("media/element/{name}"), "video/webm", [head, &tail].concat()))
        .collect();
    let webm = find(originals, "webm");
    for (name, id) in [("width", b"\xb0\x81".as_slice()), ("duration", b"\x44\x89\x88"), ("scale", b"\x2a\xd7\xb1\x83")]
    {
        let Some(place) = webm.windows(id.len()).position(|bytes| bytes == id) else { continue };
        for (at, byte) in [0_u8, 0xff].into_iter().enumerate() {
            let length = if name == "duration" { 8 } else { 1 };
            cases.push(given(
                format!("media/element/{name}/{at}"),
                "video/webm",
                put(webm, place + id.len(), &vec![byte; length]),
            ));
        }
    }
    cases
}

fn lying_sounds(originals: &[Original]) -> Vec<Case> {
    let (wav, mp3, ogg, flac) =
        (find(originals, "wav"), find(originals, "mp3"), find(originals, "ogg"), find(originals, "flac"));
    let mut cases = Vec::new();
    for (name, place) in [("riff", 4), ("format", 16), ("rate", 28), ("data", 40)] {
        for value in [0_u32, 1, 15, 0x7ffe_ffff, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            cases.push(given(format!("media/wav/{name}/{value}"), "audio/wav", put(wav, place, &value.to_le_bytes())));
        }
    }
    for (at, length) in [*b"\x7f\x7f\x7f\x7f", *b"\xff\xff\xff\xff", *b"\0\0\0\0", *b"\0\0\0\x01", *b"\x80\x80\x80\x80"]
        .into_iter()
        .enumerate()
    {
        let tag = [b"ID3\x04\0\x10".as_slice(), &length].concat();
        cases.push(given(format!("media/mp3/tag/{at}"), "audio/mpeg", [&tag, mp3].concat()));
        cases.push(given(format!("media/mp3/tags/{at}"), "audio/mpeg", tag.repeat(100_000)));
    }
    cases.push(given("media/mp3/gap".to_owned(), "audio/mpeg", [&mp3[..400], &vec![0; 200_000], &mp3[400..]].concat()));
    cases.push(given(
        "media/mp3/noise".to_owned(),
        "audio/mpeg",
        [b"\xff\xfb\x90\x64".as_slice(), &vec![0xff; 4 << 20]].concat(),
    ));
    for (at, byte) in [0_u8, 1, 254, 255].into_iter().enumerate() {
        cases.push(given(format!("media/ogg/segments/{at}"), "audio/ogg", put(ogg, 26, &[byte])));
    }
    cases.push(given("media/ogg/empty_pages".to_owned(), "audio/ogg", [&ogg[..28], &empty_pages(100_000)].concat()));
    for (at, head) in
        [*b"\x80\0\0\x22", *b"\x7f\xff\xff\xff", *b"\0\0\0\0", *b"\x81\xff\xff\xff"].into_iter().enumerate()
    {
        cases.push(given(format!("media/flac/block/{at}"), "audio/flac", put(flac, 4, &head)));
    }
    cases.push(given(
        "media/flac/starts".to_owned(),
        "audio/flac",
        [&flac[..flac.len() / 2], &b"\xff\xf8\xc9\x18\0".repeat(200_000)].concat(),
    ));
    cases.push(given(
        "media/flac/blocks".to_owned(),
        "audio/flac",
        [b"fLaC".as_slice(), &b"\x01\0\0\0".repeat(500_000)].concat(),
    ));
    cases
}

fn put(bytes: &[u8], at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

/// With the right checksum of its head.
fn sealed(png: &[u8]) -> Vec<u8> {
    let sum = crc(&png[12..29]).to_be_bytes();
    put(png, 29, &sum)
}

fn crc(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a chunk is short");
    let body = [kind.as_slice(), data].concat();
    [&length.to_be_bytes(), body.as_slice(), &crc(&body).to_be_bytes()].concat()
}

/// Honest noughts: a picture that is small on the wire and large when it is decoded.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let row = vec![0; width.div_ceil(8) as usize + 1];
    for _ in 0..height {
        std::io::Write::write_all(&mut packer, &row).expect("memory takes it");
    }
    let head = [&width.to_be_bytes(), &height.to_be_bytes(), b"\x01\0\0\0\0".as_slice()].concat();
    let data = packer.finish().expect("memory takes it");
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &head), &chunk(b"IDAT", &data), &chunk(b"IEND", b"")].concat()
}

fn animated_png(png: &[u8], frames: u32) -> Vec<u8> {
    let control = [frames.to_be_bytes(), [0; 4]].concat();
    [&png[..33], &chunk(b"acTL", &control), &png[33..]].concat()
}

fn gif_of(frames: usize) -> Vec<u8> {
    let frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0".as_slice();
    [b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".as_slice(), &frame.repeat(frames), b";"].concat()
}

/// One picture in megabytes of the shortest pieces, and no end.
fn endless_gif() -> Vec<u8> {
    [&gif_of(1)[..30], &b"\x01\0".repeat(2 << 20)].concat()
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let length = u32::try_from(chunks.len() + 4).expect("short").to_le_bytes();
    [b"RIFF".as_slice(), &length, b"WEBP", chunks].concat()
}

fn webp_canvas(side: u32) -> Vec<u8> {
    let side = &side.to_le_bytes()[..3];
    riff(&[b"VP8X\x0a\0\0\0\0\0\0\0".as_slice(), side, side, b"VP8L\x06\0\0\0\x2f\0\0\0\0\0"].concat())
}

fn webp_frames(frames: usize) -> Vec<u8> {
    riff(&[b"VP8X\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0".as_slice(), &b"ANMF\x02\0\0\0\0\0".repeat(frames)].concat())
}

fn empty_pages(count: usize) -> Vec<u8> {
    let page = [b"OggS\0\0".as_slice(), &[0; 20], b"\0"].concat();
    page.repeat(count)
}
