//! Entries for fuzzing: each takes any bytes, and panics only where a promise of ours is broken.

use crate::{
    door::fuzzing::{decoded, scanned, streamed},
    guard::Guard,
    media::{self, MediaLimits},
};
use pixel_core::{
    task::Facts,
    vendor::{Encoding, MediaAt},
};
use serde_json::Value;
use std::{net::IpAddr, path::Path};
use url::{Host, Url};

/// A name and what takes the bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// The entries by name; each has a folder of seeds.
pub const TARGETS: &[Entry] = &[
    ("guard", guard),
    ("media", media),
    ("pictures", pictures),
    ("boxes", boxes),
    ("elements", elements),
    ("sounds", sounds),
    ("scanner", scanner),
    ("decoder", decoder),
    ("events", events),
];

/// A link, and an entry of the operator's list. What passes is a web address outside every network
/// of our own, in the one spelling that was judged.
pub fn guard(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let open = Guard::new(&[text.to_owned()]);
    for guard in [Guard::new(&[]), open].iter().flatten() {
        if let Ok(url) = guard.judge(text) {
            assert_eq!(guard.judge(url.as_str()), Ok(url));
        }
    }
    let Ok(Ok(url)) = Guard::new(&[]).map(|guard| guard.judge(text)) else { return };
    assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none());
    assert!(matches!(url.port_or_known_default(), Some(80 | 443)), "{url}");
    match url.host() {
        Some(Host::Ipv4(ip)) => assert!(!is_inner(&url, ip.into()), "{url}"),
        Some(Host::Ipv6(ip)) => assert!(!is_inner(&url, ip.to_canonical()), "{url}"),
        Some(Host::Domain(name)) => assert!(name.contains('.') && name != "localhost", "{url}"),
        None => panic!("{url} has no host"),
    }
}

/// By the standard library's own words, not by our table.
fn is_inner(url: &Url, ip: IpAddr) -> bool {
    let is_private = match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_broadcast() || ip.is_documentation(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    is_private || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || url.host_str() == Some("0")
}

/// Whatever it is: the type by its content, the walk to its end, and the small picture of it.
pub fn media(data: &[u8]) {
    with_file(data, |path| {
        if let Ok(facts) = media::examine(path, "cafe", data.len() as u64, &limits()) {
            check_facts(&facts, data.len());
            let _ = media::preview(path, &facts, &limits());
        }
    });
}

/// Pictures, decoded too: one that says it is small must not cost much.
pub fn pictures(data: &[u8]) {
    with_file(data, |path| {
        for ext in ["png", "jpg", "webp", "gif"] {
            media::walk_as(ext, path);
        }
        for content_type in ["image/png", "image/jpeg", "image/webp", "image/gif"] {
            let size = Some(pixel_core::size::Size::new(9, 9));
            let facts = Facts {
                sha256: "cafe".to_owned(),
                bytes: data.len() as u64,
                content_type: content_type.to_owned(),
                ext: String::new(),
                size,
                duration_ms: None,
            };
            if let Some(small) = media::preview(path, &facts, &limits()) {
                assert!(!small.is_empty());
            }
        }
    });
}

/// MP4 and its kin.
pub fn boxes(data: &[u8]) {
    walk(&["mp4", "mov", "m4a"], data);
}

/// WebM and Matroska.
pub fn elements(data: &[u8]) {
    walk(&["webm", "mkv"], data);
}

/// WAV, MP3, Ogg and FLAC.
pub fn sounds(data: &[u8]) {
    walk(&["wav", "mp3", "ogg", "flac"], data);
}

fn walk(exts: &[&str], data: &[u8]) {
    with_file(data, |path| exts.iter().for_each(|ext| media::walk_as(ext, path)));
}

fn check_facts(facts: &Facts, length: usize) {
    let limits = limits();
    assert_eq!(facts.bytes, length as u64);
    assert!(["image/", "video/", "audio/"].iter().any(|family| facts.content_type.starts_with(family)));
    assert_eq!(facts.size.is_none(), facts.content_type.starts_with("audio/"));
    let fits = |size: pixel_core::size::Size| {
        size.width > 0
            && size.height > 0
            && size.pixels() <= limits.pixels
            && size.width.max(size.height) <= limits.side
    };
    assert!(facts.size.is_none_or(fits), "{facts:?}");
}

/// Small, so that a decode is quick.
fn limits() -> MediaLimits {
    MediaLimits { pixels: 1 << 20, side: 4_096, decode_bytes: 32 << 20, ..MediaLimits::default() }
}

fn with_file(data: &[u8], look: impl FnOnce(&Path)) {
    let file = tempfile::NamedTempFile::new().and_then(|file| std::fs::write(file.path(), data).map(|()| file));
    // A full disk is no finding.
    if let Ok(file) = file {
        look(file.path());
    }
}

/// A vendor's answer in pieces: the same however it is cut, and without media what a parser says.
pub fn scanner(data: &[u8]) {
    let Some((&how, text)) = data.split_first() else { return };
    let step = usize::from(how >> 2) + 1;
    let encoding = if how & 1 == 0 { Encoding::Base64 } else { Encoding::Hex };
    let pointer = if how & 2 == 0 { "/data/*/b64" } else { "/*" };
    let media = [MediaAt::Json { pointer: pointer.to_owned(), encoding }];
    let nowhere = [MediaAt::Json { pointer: "/no such name/*".to_owned(), encoding }];
    let parsed = serde_json::from_slice::<Value>(text).ok();
    let whole = scanned(&media, [text]);
    assert_eq!(scanned(&media, text.chunks(step)).ok(), whole.clone().ok(), "cut into pieces of {step}");
    let untouched = scanned(&nowhere, text.chunks(step)).ok();
    if !text.windows(12).any(|bytes| bytes == b"no such name") {
        assert_eq!(untouched, parsed.clone().map(|json| (json, Vec::new())));
    }
    if let Ok((json, found)) = whole {
        match found.is_empty() {
            true => assert_eq!(Some(json), parsed),
            false => assert!(parsed.is_some(), "it made a document of what is none"),
        }
    }
}

/// One string of media in pieces: the same however it is cut, and what a library says.
pub fn decoder(data: &[u8]) {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    let Some((&how, text)) = data.split_first() else { return };
    let step = usize::from(how >> 1) + 1;
    let encoding = if how & 1 == 0 { Encoding::Base64 } else { Encoding::Hex };
    let whole = decoded(encoding, [text]);
    assert_eq!(decoded(encoding, text.chunks(step)), whole, "cut into pieces of {step}");
    let Some(bytes) = whole else { return };
    let is_uri = text.starts_with(b"data:");
    let body = if is_uri { text.splitn(2, |c| *c == b',').nth(1).unwrap_or_default() } else { text };
    let plain: Vec<u8> = body.iter().copied().filter(|c| *c != b'=' && !c.is_ascii_whitespace()).collect();
    match encoding {
        Encoding::Base64 => assert_eq!(STANDARD_NO_PAD.decode(&plain).ok().as_deref(), Some(&bytes[..])),
        Encoding::Hex => {
            let again: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(plain.eq_ignore_ascii_case(again.as_bytes()));
        }
    }
}

/// An event stream in pieces: the same however it is cut, and what a simple reader of the whole says.
pub fn events(data: &[u8]) {
    let Some((&how, text)) = data.split_first() else { return };
    let (step, most) = (usize::from(how >> 2) + 1, if how & 1 == 0 { 64 } else { 1 << 20 });
    let whole = streamed(most, [text]);
    assert_eq!(streamed(most, text.chunks(step)), whole, "cut into pieces of {step}");
    let Ok(events) = whole else { return };
    assert!(events.iter().all(|event| event.len() <= most + text.len()));
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // Every way to end a line becomes one.
    let is_first_half = |at: usize| text[at] == b'\r' && text.get(at + 1) == Some(&b'\n');
    let kept = (0..text.len()).filter(|at| !is_first_half(*at)).map(|at| text[at]);
    let text: Vec<u8> = kept.map(|byte| if byte == b'\r' { b'\n' } else { byte }).collect();
    let (mut expected, mut open): (Vec<Vec<u8>>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        match line.strip_prefix(b"data") {
            _ if line.is_empty() && !open.is_empty() => expected.push(std::mem::take(&mut open).join(&b'\n')),
            Some([]) => open.push(b""),
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => open.push(value),
            _ => {}
        }
    }
    assert_eq!(events, expected);
}

#[cfg(test)]
mod tests {
    /// What a run of the fuzzer began with, and what one found.
    #[test]
    fn seeds_are_survived() {
        for (name, entry) in super::TARGETS {
            let folder = format!("{}/../../fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).collect();
            assert!(!files.is_empty(), "{folder} is empty");
            files.into_iter().for_each(|file| entry(&std::fs::read(file.unwrap().path()).unwrap()));
        }
    }
}
