//! The pictures that the vendor "makes".

use super::{Memory, script::Script};
use crate::media;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use std::sync::OnceLock;

/// Makes a picture for each order, or hands out one for all.
pub(super) struct Pictures {
    one_for_all: Option<Bytes>,
    /// The large picture, and its base64, of the first script that asked for one.
    large: OnceLock<(Bytes, Bytes)>,
}

impl Pictures {
    pub fn new(memory: Memory) -> Self {
        let one = (memory == Memory::Numbers).then(|| Bytes::from(media::png(64, 64, "one for all")));
        Self { one_for_all: one, large: OnceLock::new() }
    }

    pub fn make(&self, script: &Script, size: (u32, u32), note: &str) -> Bytes {
        match (self.large(script), &self.one_for_all) {
            (Some((large, _)), _) => large.clone(),
            (None, Some(one)) => one.clone(),
            (None, None) => Bytes::from(media::png(size.0, size.1, note)),
        }
    }

    /// The script's large picture, and its base64.
    pub fn large(&self, script: &Script) -> Option<&(Bytes, Bytes)> {
        let bytes = script.bytes?;
        Some(self.large.get_or_init(|| {
            let picture = media::noise(bytes);
            let text = STANDARD.encode(&picture);
            (picture.into(), text.into())
        }))
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
