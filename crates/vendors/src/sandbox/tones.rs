//! A melody for a text: a note for each word, or for each character of scripts without spaces.

use super::dice::Dice;
use super::speaker::Sound;
use unicode_width::UnicodeWidthChar;

const RATE: u32 = 24_000;
const SECONDS_PER_CHAR: f64 = 0.06;
const SECONDS_MIN: f64 = 0.6;
const SECONDS_MAX: f64 = 60.0;
/// Two octaves of a scale in which any two notes sound well together, in hertz.
const SCALE: [f64; 10] = [220.0, 247.5, 277.2, 330.0, 371.3, 440.0, 495.0, 554.4, 660.0, 742.5];

/// A stretch of the text: how many characters it lasts, and whether it sounds.
struct Beat {
    chars: usize,
    sounds: bool,
}

/// Plays a text; the faster, the shorter.
pub fn play(text: &str, speed: f64, seed: u64) -> Sound {
    let seconds = (text.chars().count() as f64 * SECONDS_PER_CHAR / speed).clamp(SECONDS_MIN, SECONDS_MAX);
    let total = (seconds * f64::from(RATE)) as usize;
    let mut beats = beats(text);
    if !beats.iter().any(|beat| beat.sounds) {
        beats = vec![Beat { chars: 1, sounds: true }];
    }
    let chars: usize = beats.iter().map(|beat| beat.chars).sum();
    let mut samples = Vec::with_capacity(total);
    let (mut dice, mut note, mut passed) = (Dice::new(seed), SCALE.len() / 2, 0);
    for beat in beats {
        passed += beat.chars;
        let length = (total * passed / chars).saturating_sub(samples.len());
        // Small steps make a melody of it.
        note = (note + dice.below(5)).saturating_sub(2).min(SCALE.len() - 1);
        let pitch = if beat.sounds { SCALE[note] } else { 0.0 };
        samples.extend((0..length).map(|at| (voice(pitch, at, length) * 32_767.0) as i16));
    }
    Sound { rate: RATE, samples }
}

fn beats(text: &str) -> Vec<Beat> {
    let mut all: Vec<Beat> = Vec::new();
    for c in text.chars() {
        let sounds = c.is_alphanumeric();
        let alone = c.width() == Some(2);
        match all.last_mut() {
            Some(last) if last.sounds == sounds && !alone => last.chars += 1,
            _ => all.push(Beat { chars: 1, sounds }),
        }
    }
    all
}

/// One sample of a soft bell, -1 to 1.
fn voice(pitch: f64, at: usize, length: usize) -> f64 {
    let (seconds, left) = (at as f64 / f64::from(RATE), (length - at) as f64 / f64::from(RATE));
    let turn = seconds * pitch * std::f64::consts::TAU;
    // It rises and ends without a click.
    let envelope = (seconds / 0.012).min(1.0) * (left / 0.03).min(1.0) * (-2.2 * seconds).exp();
    (turn.sin() * 0.72 + (turn * 2.0).sin() * 0.18 + (turn * 3.0).sin() * 0.06) * envelope * 0.6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_follows_the_text_and_the_speed() {
        let seconds = |text: &str, speed| play(text, speed, 1).samples.len() as f64 / f64::from(RATE);
        assert!((seconds(&"abcd ".repeat(10), 1.0) - 3.0).abs() < 0.01);
        assert!((seconds(&"abcd ".repeat(10), 2.0) - 1.5).abs() < 0.01);
        for silent in ["", "...", "a"] {
            assert!((seconds(silent, 1.0) - 0.6).abs() < 0.01, "{silent:?}");
        }
        assert!((seconds(&"长".repeat(5000), 1.0) - 60.0).abs() < 0.01);
    }

    #[test]
    fn it_is_heard_and_does_not_clip() {
        for text in ["hello there", "", "!?", "你好世界"] {
            let loudest = play(text, 1.0, 7).samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!((5_000..32_000).contains(&loudest), "{text:?} {loudest}");
        }
        assert_ne!(play("hello there my friend", 1.0, 1).samples, play("hello there my friend", 1.0, 2).samples);
    }
}
