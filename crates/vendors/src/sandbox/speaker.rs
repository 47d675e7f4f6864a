//! Speech: a WAV with a voice where a speech program is installed, else with a melody.

use super::{
    cancelled,
    espeak::{self, Speech},
    tones,
};
use pixel_core::{
    catalog::Model,
    request::Checked,
    vendor::{Desk, Local},
};
use std::{
    io::{self, Cursor},
    path::PathBuf,
};

/// Bytes that are handed over at a time.
const PIECE: usize = 64 << 10;

pub struct Speaker {
    pub text: String,
    pub voice: espeak::Voice,
    /// 1 is the usual speed.
    pub speed: f64,
    pub seed: u64,
    /// The speech program; a bare name is looked for on the PATH.
    pub program: PathBuf,
}

/// Sound on one channel.
pub struct Sound {
    pub rate: u32,
    pub samples: Vec<i16>,
}

impl Speaker {
    pub fn new(request: &Checked, card: &Model, seed: u64) -> Self {
        let named = request.voice.as_deref();
        let listed = card.voices.iter().find(|voice| Some(voice.id.as_str()) == named);
        let language = listed.or(card.voices.first()).map_or("", |voice| voice.language.as_str());
        Self {
            voice: espeak::Voice::choose(&request.prompt, language, named.unwrap_or_default()),
            text: request.prompt.clone(),
            speed: request.speed.filter(|speed| speed.is_finite()).unwrap_or(1.0).clamp(0.25, 4.0),
            seed,
            program: "espeak-ng".into(),
        }
    }
}

impl Local for Speaker {
    fn run(&self, desk: &mut dyn Desk) -> io::Result<()> {
        let sound = match espeak::speak(self, desk) {
            Speech::Spoken(sound) => sound,
            Speech::Cancelled => return Err(cancelled()),
            Speech::Unavailable => tones::play(&self.text, self.speed, self.seed),
        };
        if desk.is_cancelled() {
            return Err(cancelled());
        }
        desk.progress(90);
        desk.begin()?;
        wav(&sound)?.chunks(PIECE).try_for_each(|piece| desk.write(piece))
    }
}

fn wav(sound: &Sound) -> io::Result<Vec<u8>> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: sound.rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::with_capacity(sound.samples.len() * 2 + 64));
    let mut writer = hound::WavWriter::new(&mut file, spec).map_err(io::Error::other)?;
    for sample in &sound.samples {
        writer.write_sample(*sample).map_err(io::Error::other)?;
    }
    writer.finalize().map_err(io::Error::other)?;
    Ok(file.into_inner())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Paper {
        bytes: Vec<u8>,
        cancelled: bool,
    }

    impl Desk for Paper {
        fn begin(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.bytes.extend_from_slice(bytes);
            Ok(())
        }
        fn is_cancelled(&self) -> bool {
            self.cancelled
        }
        fn progress(&mut self, _: u8) {}
        fn blob(&mut self, _: &str) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Speaks with a program of this shell text, or with none.
    fn speak(script: Option<&str>, cancelled: bool) -> (io::Result<()>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("speech");
        if let Some(script) = script {
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let voice = espeak::Voice::choose("hello", "en", "");
        let speaker = Speaker { text: "hello you".to_owned(), voice, speed: 1.0, seed: 1, program };
        let mut paper = Paper { bytes: Vec::new(), cancelled };
        (speaker.run(&mut paper), paper.bytes)
    }

    #[test]
    fn without_a_working_program_it_plays_tones() {
        for script in [None, Some("exit 1"), Some("echo nonsense"), Some("cat /dev/null")] {
            let (ran, bytes) = speak(script, false);
            assert!(ran.is_ok());
            let wav = hound::WavReader::new(Cursor::new(bytes)).unwrap();
            assert_eq!(
                (wav.spec().sample_rate, wav.spec().channels, wav.duration()),
                (24_000, 1, 14_400),
                "{script:?}"
            );
        }
    }

    #[test]
    fn a_program_that_never_ends_is_stopped_by_a_cancellation() {
        let begin = std::time::Instant::now();
        let (ran, bytes) = speak(Some("exec tail -f /dev/null"), true);
        assert!(ran.is_err() && bytes.is_empty());
        assert!(begin.elapsed() < std::time::Duration::from_secs(10));
    }
}
