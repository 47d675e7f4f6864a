//! What a file is, by its first bytes.

use super::mp3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
    Webp,
    Gif,
    Mp4,
    Mov,
    M4a,
    Webm,
    Mkv,
    /// WebM or Matroska with sound alone.
    Weba,
    Wav,
    Mp3,
    Ogg,
    Flac,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Image,
    Video,
    Audio,
}

impl Format {
    fn facts(self) -> (Class, &'static str, &'static str) {
        match self {
            Self::Png => (Class::Image, "image/png", "png"),
            Self::Jpeg => (Class::Image, "image/jpeg", "jpg"),
            Self::Webp => (Class::Image, "image/webp", "webp"),
            Self::Gif => (Class::Image, "image/gif", "gif"),
            Self::Mp4 => (Class::Video, "video/mp4", "mp4"),
            Self::Mov => (Class::Video, "video/quicktime", "mov"),
            Self::Webm => (Class::Video, "video/webm", "webm"),
            Self::Mkv => (Class::Video, "video/x-matroska", "mkv"),
            Self::M4a => (Class::Audio, "audio/mp4", "m4a"),
            Self::Weba => (Class::Audio, "audio/webm", "weba"),
            Self::Wav => (Class::Audio, "audio/wav", "wav"),
            Self::Mp3 => (Class::Audio, "audio/mpeg", "mp3"),
            Self::Ogg => (Class::Audio, "audio/ogg", "ogg"),
            Self::Flac => (Class::Audio, "audio/flac", "flac"),
        }
    }

    pub fn class(self) -> Class {
        self.facts().0
    }

    pub fn content_type(self) -> &'static str {
        self.facts().1
    }

    /// File extension without the dot.
    pub fn ext(self) -> &'static str {
        self.facts().2
    }
}

pub(super) fn sniff(head: &[u8]) -> Option<Format> {
    match head {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Format::Png),
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::Webp),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Format::Wav),
        [_, _, _, _, b'f', b't', b'y', b'p', a, b, c, d, ..] => brand([*a, *b, *c, *d]),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Format::Mkv),
        [b'O', b'g', b'g', b'S', ..] => Some(Format::Ogg),
        [b'f', b'L', b'a', b'C', ..] => Some(Format::Flac),
        [b'I', b'D', b'3', ..] => Some(Format::Mp3),
        [a, b, c, d, ..] if mp3::Frame::read([*a, *b, *c, *d]).is_some() => Some(Format::Mp3),
        _ => None,
    }
}

/// The family of a file with MPEG-4 boxes; still pictures in such boxes are not taken.
fn brand(brand: [u8; 4]) -> Option<Format> {
    match &brand {
        b"qt  " => Some(Format::Mov),
        b"M4A " | b"M4B " | b"M4P " => Some(Format::M4a),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" | b"avif" | b"avis" | b"crx " => {
            None
        }
        _ => Some(Format::Mp4),
    }
}

/// A sentence for what we do not take.
pub(super) fn describe_unknown(head: &[u8]) -> String {
    match (head.is_empty(), infer::get(head)) {
        (true, _) => "The file is empty.".to_owned(),
        (_, Some(kind)) => {
            format!("The file is {}, which is no picture, clip or sound that is taken.", kind.mime_type())
        }
        (_, None) => "The file is no picture, clip or sound that is taken.".to_owned(),
    }
}
