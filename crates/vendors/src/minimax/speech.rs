//! Speech: one blocking call, the sound as hex inside its answer.

use super::{bad, extras, is_good, link};
use crate::{call::paid, status::text};
use pixel_core::{
    Error,
    request::{Checked, Warning},
    vendor::{Answer, Body, Encoding, HttpCall, Job, Mark, MediaAt, Next, Output, Source, Staged},
};
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

const PATH: &str = "/v1/t2a_v2";
/// Where the answer has a link after all.
const LINK_LIFETIME_S: u64 = 24 * 3600;
const SPEEDS: RangeInclusive<f64> = 0.5..=2.0;
/// Which object of the body a parameter stands in; the others stand at the top.
const VOICE: &[&str] = &["voice_id", "vol", "pitch", "emotion"];
const SOUND: &[&str] = &["format", "sample_rate", "bitrate", "channel"];

pub(super) fn warnings(request: &Checked) -> Vec<Warning> {
    let speed = request.speed.filter(|speed| !SPEEDS.contains(speed)).map(|speed| {
        let used = speed.clamp(*SPEEDS.start(), *SPEEDS.end());
        Warning::new("speed", format!("MiniMax speaks at 0.5 to 2 times the usual speed; {used} was used."))
    });
    speed.into_iter().collect()
}

pub(super) fn call(job: &Job<'_>) -> HttpCall {
    let Job { request, card, .. } = job;
    let voice = request.voice.as_ref().or(card.voices.first().map(|voice| &voice.id));
    let speed = request.speed.map(|speed| speed.clamp(*SPEEDS.start(), *SPEEDS.end()));
    let mut own = Map::new();
    own.extend(voice.map(|voice| ("voice_id".to_owned(), json!(voice))));
    own.extend(speed.map(|speed| ("speed".to_owned(), json!(speed))));
    let mut sound = Map::from_iter([("format".to_owned(), json!("mp3"))]);
    let mut fields = Map::new();
    for (name, value) in extras(job) {
        let place = match name.as_str() {
            name if VOICE.contains(&name) => &mut own,
            name if SOUND.contains(&name) => &mut sound,
            _ => &mut fields,
        };
        place.insert(name, value);
    }
    let body = json!({ "model": card.vendor_model, "text": request.prompt, "stream": false,
                       "voice_setting": own, "audio_setting": sound, "output_format": "hex" });
    fields.extend(body.as_object().cloned().into_iter().flatten());
    let media = vec![MediaAt::Json { pointer: "/data/audio".to_owned(), encoding: Encoding::Hex }];
    HttpCall { media, ..paid(job, PATH, Body::json(&Value::Object(fields))) }
}

pub(super) fn made(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let staged = answer.body.pointer("/data/audio").and_then(Staged::from_json).filter(|_| is_good(answer));
    let url = text(&answer.body, "/data/audio");
    match (staged, url) {
        (Some(staged), _) => {
            let output = Output { index: 0, media: Source::Staged(staged), poster: None, failed: None };
            Ok(Next::Done(vec![output], mark.clone()))
        }
        (None, url) if is_good(answer) && url.starts_with("https://") => {
            Ok(Next::Done(vec![link(0, url, Some(LINK_LIFETIME_S))], mark.clone()))
        }
        _ => Err(bad(job, answer, "it reports success without sound")),
    }
}
