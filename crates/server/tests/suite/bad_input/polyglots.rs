//! Files that are two things at once, and files that are nothing we know.

use super::{
    files::{Original, find},
    lab::Case,
    media::given,
};

const HTML: &[u8] = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>";
const SCRIPT: &[u8] = b"*/=1;alert(1);//";
const ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub fn all(originals: &[Original]) -> Vec<Case> {
    let mut cases = strangers();
    let refuse = |name: String, parts: &[&[u8]]| given(format!("poly/{name}"), "image/png", parts.concat());
    for name in ["png", "jpg", "gif", "webp"] {
        let whole = find(originals, name);
        let before: [(&str, &[u8]); 8] = [
            ("html", HTML),
            ("pdf", b"%PDF-1.7\n"),
            ("zip", b"PK\x03\x04"),
            ("elf", b"\x7fELF\x02\x01\x01\0"),
            ("shell", b"#!/bin/sh\n"),
            ("bom", b"\xef\xbb\xbf"),
            ("space", b" "),
            ("nul", b"\0"),
        ];
        for (first, bytes) in before {
            cases.push(refuse(format!("{first}_{name}"), &[bytes, whole]));
        }
        // Every decoder ignores what follows a picture's end, and cameras put things there. It is
        // taken as a picture and served as one, under a policy that lets it be nothing else.
        let why = "what follows the end of a picture is ignored";
        for (last, bytes) in [("html", HTML), ("zip", ZIP), ("script", SCRIPT)] {
            // This format says how long it is, and readers look no further.
            cases.push(refuse(format!("{name}_{last}"), &[whole, bytes]).taken(why, &[200]));
        }
        let half = &whole[..whole.len() / 2];
        cases.push(refuse(format!("{name}_half_html"), &[half, HTML]));
        let twice = refuse(format!("{name}_half_twice"), &[half, half]).says("");
        cases.push(match name {
            "webp" => twice.taken("its lengths fit, and pixels are not decoded on the way in", &[200]),
            _ => twice,
        });
    }
    // A comment of a script in the head of a picture: its sides read `/*`.
    let gif = find(originals, "gif");
    cases.push(refuse("gif_comment".to_owned(), &[b"GIF89a/*\xff\xff", &gif[10..], SCRIPT]));
    cases.push(refuse("gif_of_text".to_owned(), &[b"GIF89a=1;alert(1);//"]));
    cases.push(refuse("png_of_html".to_owned(), &[b"\x89PNG\r\n\x1a\n", HTML]));
    cases.push(refuse("jpg_of_html".to_owned(), &[b"\xff\xd8\xff\xe0", HTML]));
    cases.push(refuse("webp_of_html".to_owned(), &[b"RIFF\x40\0\0\0WEBP", HTML]));
    cases.push(refuse("mp4_of_html".to_owned(), &[b"\0\0\0\x14ftypisom\0\0\0\0isom", HTML]));
    cases.push(refuse("webm_of_html".to_owned(), &[b"\x1a\x45\xdf\xa3", HTML]));
    for (one, two) in [("png", "jpg"), ("gif", "png"), ("mp4", "png"), ("wav", "png"), ("mp3", "gif")] {
        let (one_bytes, two_bytes) = (find(originals, one), find(originals, two));
        let half = &one_bytes[..one_bytes.len() / 3];
        cases.push(refuse(format!("third_of_{one}_and_{two}"), &[half, two_bytes]));
    }
    cases
}

/// Types that are not taken, whatever they are called.
fn strangers() -> Vec<Case> {
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>".as_slice();
    let files: [(&str, &'static str, Vec<u8>); 26] = [
        ("svg", "image/svg+xml", svg.to_vec()),
        ("svg_called_png", "image/png", svg.to_vec()),
        (
            "svg_xml",
            "image/svg+xml",
            [b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>", svg].concat(),
        ),
        ("svg_packed", "image/svg+xml", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        ("html", "text/html", HTML.to_vec()),
        ("html_called_gif", "image/gif", HTML.to_vec()),
        ("script", "text/javascript", b"alert(1)".to_vec()),
        ("json", "image/png", b"{\"error\":\"expired\"}".to_vec()),
        ("xml", "image/png", b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>".to_vec()),
        ("pdf", "application/pdf", b"%PDF-1.7\n1 0 obj\n".to_vec()),
        ("zip", "application/zip", ZIP.to_vec()),
        ("gzip", "image/png", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        ("elf", "image/png", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec()),
        ("exe", "image/png", b"MZ\x90\0\x03\0\0\0".to_vec()),
        ("class", "image/png", b"\xca\xfe\xba\xbe\0\0\x004".to_vec()),
        ("wasm", "image/png", b"\0asm\x01\0\0\0".to_vec()),
        ("sqlite", "image/png", b"SQLite format 3\0".to_vec()),
        ("tiff", "image/tiff", b"II*\0\x08\0\0\0\0\0".to_vec()),
        ("bmp", "image/bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec()),
        ("ico", "image/x-icon", b"\0\0\x01\0\x01\0\x10\x10\0\0".to_vec()),
        ("psd", "image/png", b"8BPS\0\x01".to_vec()),
        ("avif", "image/avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf".to_vec()),
        ("heic", "image/heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
        ("jxl", "image/jxl", b"\xff\x0a\xfa\x1f".to_vec()),
        ("noughts", "image/png", vec![0; 5_000]),
        ("playlist", "image/png", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n".to_vec()),
    ];
    files.into_iter().map(|(name, declared, bytes)| given(format!("poly/stranger/{name}"), declared, bytes)).collect()
}
