//! Whole files of every format that is known, small, made by other programs.

use pixel_testkit::media::{png, wav};
use std::{fs, path::Path, process::Command};

pub struct Original {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

const CLIP: &str = "-f lavfi -i testsrc=size=64x48:rate=5:duration=1 -pix_fmt yuv420p";
const SOUND: &str = "-f lavfi -i sine=frequency=440:duration=1";

/// What `ffmpeg` is told for each.
const MADE: &[(&str, &str, &str)] = &[
    ("jpg", CLIP, "-frames:v 1 -c:v mjpeg"),
    ("gif", CLIP, ""),
    ("webp", CLIP, "-frames:v 1 -c:v libwebp"),
    ("mp4", CLIP, "-c:v libx264"),
    ("pieces.mp4", CLIP, "-c:v libx264 -g 2 -movflags +frag_keyframe+empty_moov"),
    ("mov", CLIP, "-c:v libx264"),
    ("webm", CLIP, "-c:v libvpx"),
    ("mkv", CLIP, "-c:v libx264"),
    ("m4a", SOUND, "-c:a aac"),
    ("mp3", SOUND, "-c:a libmp3lame"),
    ("ogg", SOUND, "-c:a libopus"),
    ("flac", SOUND, "-c:a flac"),
];

pub fn originals(folder: &Path) -> Vec<Original> {
    let made =
        MADE.iter().map(|(name, source, options)| Original { name, bytes: ffmpeg(folder, name, source, options) });
    let ours =
        [Original { name: "png", bytes: png(64, 48, "whole") }, Original { name: "wav", bytes: wav(8_000, 500) }];
    ours.into_iter().chain(made).collect()
}

pub fn find<'a>(originals: &'a [Original], name: &str) -> &'a [u8] {
    &originals.iter().find(|original| original.name == name).expect("it was made").bytes
}

fn ffmpeg(folder: &Path, name: &str, source: &str, options: &str) -> Vec<u8> {
    let path = folder.join(format!("original.{name}"));
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(source.split_whitespace())
        .args(options.split_whitespace())
        .arg(&path)
        .output()
        .expect("install ffmpeg (Debian: ffmpeg): it makes the files that are then broken");
    assert!(run.status.success(), "ffmpeg for {name}: {}", String::from_utf8_lossy(&run.stderr));
    fs::read(path).expect("ffmpeg wrote it")
}
