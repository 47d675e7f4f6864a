//! Speech by espeak-ng, when it is installed.
//!
//! An adapter is otherwise pure. Starting this program is the one exception: it is local work,
//! on the pool that may block, bounded in time and output, and needs no network.

use super::dice::digest;
use super::speaker::{Sound, Speaker};
use pixel_core::vendor::Desk;
use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

const TIME_MAX: Duration = Duration::from_secs(20);
/// More sound than this is cut off: twenty minutes.
const BYTES_MAX: u64 = 64 << 20;
const WORDS_PER_MINUTE: f64 = 175.0;
/// How long a cancellation may go unnoticed.
const LOOK: Duration = Duration::from_millis(50);

pub enum Speech {
    Spoken(Sound),
    Cancelled,
    /// Not installed, or it did not bring a sound.
    Unavailable,
}

/// A voice by espeak's own name, such as `en-gb+f3`.
pub struct Voice(String);

impl Voice {
    /// The script of the text decides; Latin letters leave the choice to the voice's language.
    /// Which of the speaker variants is taken depends on the asked voice's name.
    pub fn choose(text: &str, language: &str, name: &str) -> Self {
        let spoken = text.chars().find_map(script).unwrap_or_else(|| latin(language));
        let lower = name.to_ascii_lowercase();
        let pick = digest(&[name.as_bytes()]);
        let is_female = lower.contains("female") || (!lower.contains("male") && pick.is_multiple_of(2));
        let number = if name.is_empty() { 3 } else { 1 + (pick >> 8) % 4 };
        Self(format!("{spoken}+{}{number}", if is_female { 'f' } else { 'm' }))
    }
}

/// The language of a script that only few languages write; nothing for Latin letters and signs.
fn script(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{3040}'..='\u{30ff}' => "ja",
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' => "cmn",
        '\u{ac00}'..='\u{d7af}' | '\u{1100}'..='\u{11ff}' => "ko",
        '\u{0400}'..='\u{04ff}' => "ru",
        '\u{0370}'..='\u{03ff}' => "el",
        '\u{0590}'..='\u{05ff}' => "he",
        '\u{0600}'..='\u{06ff}' => "ar",
        '\u{0900}'..='\u{097f}' => "hi",
        '\u{0e00}'..='\u{0e7f}' => "th",
        _ => return None,
    })
}

fn latin(language: &str) -> &'static str {
    let lower = language.to_ascii_lowercase();
    let known = [
        ("en-gb", "en-gb"),
        ("de", "de"),
        ("fr", "fr-fr"),
        ("es", "es"),
        ("it", "it"),
        ("pt", "pt"),
        ("vi", "vi"),
        ("id", "id"),
        ("tr", "tr"),
        ("pl", "pl"),
        ("nl", "nl"),
    ];
    known.iter().find(|(tag, _)| lower.starts_with(tag)).map_or("en-us", |(_, voice)| voice)
}

/// Speaks a text, unless the program is missing or fails.
pub fn speak(speaker: &Speaker, desk: &dyn Desk) -> Speech {
    let speed = (WORDS_PER_MINUTE * speaker.speed).round().clamp(80.0, 450.0);
    let child = Command::new(&speaker.program)
        .args(["--stdin", "--stdout", "-b", "1", "-v", &speaker.voice.0, "-s", &speed.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return Speech::Unavailable };
    let spoken = listen(&mut child, &speaker.text, desk);
    // Whatever happened, nothing of it is left behind.
    let killed = child.kill();
    let ended = child.wait();
    match spoken {
        Ok(bytes) if killed.is_ok() && ended.is_ok() => parse(&bytes).map_or(Speech::Unavailable, Speech::Spoken),
        Ok(_) => Speech::Unavailable,
        Err(gone) => gone,
    }
}

/// Gives the text and takes the sound, each on a thread of its own, until the end, the limit or
/// a cancellation.
fn listen(child: &mut Child, text: &str, desk: &dyn Desk) -> Result<Vec<u8>, Speech> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Speech::Unavailable);
    };
    let text = text.to_owned();
    // A program that ends early breaks the pipe, which its missing sound tells as well.
    thread::spawn(move || stdin.write_all(text.as_bytes()));
    let (send, sound) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(BYTES_MAX).read_to_end(&mut bytes);
        // Nobody listens any more after a cancellation.
        let _ = send.send(read.map(|_| bytes));
    });
    wait(&sound, desk)
}

fn wait(sound: &Receiver<std::io::Result<Vec<u8>>>, desk: &dyn Desk) -> Result<Vec<u8>, Speech> {
    // tidy: bounds the child process; no result depends on the time
    let end = Instant::now() + TIME_MAX;
    loop {
        match sound.recv_timeout(LOOK) {
            Ok(read) => return read.map_err(|_| Speech::Unavailable),
            Err(RecvTimeoutError::Disconnected) => return Err(Speech::Unavailable),
            Err(RecvTimeoutError::Timeout) if desk.is_cancelled() => return Err(Speech::Cancelled),
            // tidy: bounds the child process; no result depends on the time
            Err(RecvTimeoutError::Timeout) if Instant::now() > end => return Err(Speech::Unavailable),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Reads a WAV that was written to a pipe: its lengths are not to be trusted, its end is the end.
fn parse(bytes: &[u8]) -> Option<Sound> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut at, mut rate) = (12, None);
    loop {
        let (name, length) = (bytes.get(at..at + 4)?, number(at + 4)? as usize);
        match name {
            // One channel of 16 bits is what espeak writes.
            b"fmt " => rate = (number(at + 8)? == 0x0001_0001).then_some(number(at + 12)?),
            b"data" => {
                let samples: Vec<_> =
                    bytes[at + 8..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
                let heard = samples.iter().any(|sample| sample.unsigned_abs() > 64);
                return rate.filter(|rate| *rate > 0 && heard).map(|rate| Sound { rate, samples });
            }
            _ => {}
        }
        at = at.checked_add(8)?.checked_add(length)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_chooses_the_language() {
        let voice = |text: &str, language: &str| Voice::choose(text, language, "").0;
        for (text, language, begin) in [
            ("你好", "en", "cmn+"),
            ("こんにちは", "zh", "ja+"),
            ("Привет", "", "ru+"),
            ("Guten Tag", "de-DE", "de+"),
            ("Hello", "zh", "en-us+"),
            ("1 2 3", "en-GB", "en-gb+"),
        ] {
            assert!(voice(text, language).starts_with(begin), "{text}: {}", voice(text, language));
        }
        assert!(Voice::choose("hi", "en", "zh_female_x").0.contains("+f"));
        assert!(Voice::choose("hi", "en", "zh_male_x").0.contains("+m"));
    }

    #[test]
    fn a_broken_answer_is_no_sound() {
        assert!(parse(b"").is_none());
        assert!(parse(b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff").is_none());
        assert!(parse(&[0; 200]).is_none());
    }
}
