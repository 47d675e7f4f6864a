//! The pictures that the vendor "makes".

use super::{Memory, Script};
use crate::media;
use bytes::Bytes;

/// Makes a picture for each order, or hands out one for all.
pub(super) struct Pictures {
    one_for_all: Option<Bytes>,
}

impl Pictures {
    pub fn new(memory: Memory) -> Self {
        let one = (memory == Memory::Numbers).then(|| Bytes::from(media::png(64, 64, "one for all")));
        Self { one_for_all: one }
    }

    pub fn make(&self, size: (u32, u32), script: &Script, note: &str) -> Bytes {
        match &self.one_for_all {
            Some(one) => one.clone(),
            None => Bytes::from(media::padded_png(size.0, size.1, note, script.padding)),
        }
    }
}

/// Reads `1024x1024` or `1328*1328`; anything else is the vendor's own choice.
pub(super) fn size_of(text: Option<&str>, separator: char, otherwise: (u32, u32)) -> (u32, u32) {
    let read = |text: &str| {
        let (width, height) = text.split_once(separator)?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    text.and_then(read).unwrap_or(otherwise)
}
