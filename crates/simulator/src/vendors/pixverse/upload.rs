//! Uploads: a form with one file, judged by its bytes.

use super::{no, yes};
use crate::{answer::Whole, vendor::Asked};
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

const PICTURE_BYTES_MAX: usize = 20 << 20;
const SIDE_MAX: u32 = 4000;
/// Ids are multiples of this above their base, so that one that a float rounded is not one.
const STEP: u64 = 97;
const RANGE: u64 = 100_000_000_000_000;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Picture,
    Clip,
    Sound,
}

impl What {
    fn base(self) -> u64 {
        match self {
            Self::Picture => 629_100_000_000_000_001,
            Self::Clip => 629_200_000_000_000_001,
            Self::Sound => 629_300_000_000_000_001,
        }
    }
}

fn next(what: What) -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    what.base() + STEP * COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Whether an upload of this kind was given the id.
pub(super) fn is_known(id: u64, what: What) -> bool {
    id.checked_sub(what.base()).is_some_and(|over| over < RANGE && over.is_multiple_of(STEP))
}

pub(super) fn picture(asked: &Asked) -> Result<Whole, Whole> {
    let file = part(asked, "image").ok_or_else(|| no(400_011, "image is empty"))?;
    if file.len() >= PICTURE_BYTES_MAX {
        return Err(no(500_030, "image size exceeds the limit"));
    }
    let format = match &file[..] {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xFF, 0xD8, 0xFF, ..] => "jpg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        _ => return Err(no(500_032, "image format is not supported")),
    };
    let side = |at: usize| file.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    // Width and height of a PNG.
    if format == "png" && [16, 20].into_iter().any(|at| side(at).is_none_or(|side| side == 0 || side > SIDE_MAX)) {
        return Err(no(500_033, "image width or height exceeds the limit"));
    }
    let id = next(What::Picture);
    Ok(yes(&json!({ "img_id": id, "img_url": format!("https://media.pixverse.ai/openapi/{id}.{format}") })))
}

pub(super) fn media(asked: &Asked) -> Result<Whole, Whole> {
    let file = part(asked, "file").ok_or_else(|| no(400_011, "file is empty"))?;
    let what = match &file[..] {
        [_, _, _, _, b'f', b't', b'y', b'p', b'M', b'4', b'A', ..] => What::Sound,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] | [0x1A, 0x45, 0xDF, 0xA3, ..] => What::Clip,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => What::Sound,
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => What::Sound,
        _ => return Err(no(400_017, "media format is not supported")),
    };
    let (id, kind) = (next(what), if what == What::Clip { "video" } else { "audio" });
    let url = format!("https://media.pixverse.ai/openapi/{id}");
    Ok(yes(&json!({ "media_id": id, "media_type": kind, "url": url })))
}

/// A file in a form, as long as it is a whole form.
fn part(asked: &Asked, name: &str) -> Option<Bytes> {
    let boundary = multer::parse_boundary(asked.header("content-type")?).ok()?;
    let body = asked.body.clone();
    let whole = futures_util::stream::once(async move { Ok::<Bytes, std::convert::Infallible>(body) });
    let mut form = multer::Multipart::new(whole, boundary);
    let read = async {
        while let Some(field) = form.next_field().await.ok()? {
            if field.name() == Some(name) && field.file_name().is_some() {
                return field.bytes().await.ok();
            }
        }
        None
    };
    // All of it is in memory, so nothing is waited for.
    read.now_or_never().flatten()
}
