//! Doubao speech (V3): one blocking call. The answer is a row of JSON packets, each with a piece of
//! the sound or a word about it; errors come as packets too, under HTTP 200.

use super::{errors::SPEECH, insert};
use crate::{call::paid, status::text};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Warning},
    vendor::{Answer, Body, Encoding, Field, HttpCall, Job, Mark, MediaAt, Next, Output, Plan, Reply, Secret, Source},
};
use serde_json::{Map, Value, json};
use std::slice;

const PATH: &str = "/api/v3/tts/unidirectional";
/// A packet in between, and the last one: without that the sound is not whole.
const PART: &str = "0";
const END: &str = "20000000";
/// Speeds: the vendor's rates reach from -50 to 100, in percent of the usual pace.
const SPEED: (f64, f64) = (0.5, 2.0);
/// Parameters of ours that are the vendor's under the same name, by their place in the body.
const AUDIO: &[&str] = &["sample_rate", "bit_rate", "loudness_rate", "emotion", "emotion_scale"];
const ADDITIONS: &[&str] = &["disable_markdown_filter", "explicit_language", "silence_duration"];

pub fn plan(request: &Checked, card: &Model) -> Result<Plan, Error> {
    let mut plan = Plan::by_card(request, card);
    if request.voice.is_none() {
        return Err(super::refused(format!("'voice' is required: '{}' has no voice of its own.", card.id())));
    }
    let (low, high) = SPEED;
    if let Some(speed) = request.speed.filter(|speed| !(low..=high).contains(speed)) {
        let message = format!("The model speaks at {low} to {high} times its usual pace, not {speed}.");
        plan.warnings.push(Warning::new("speed", message));
    }
    Ok(plan)
}

pub fn first(job: &Job<'_>) -> (HttpCall, Mark) {
    let mut call = paid(job, PATH, Body::json(&body(job)));
    let secret = |at: usize| Secret::new(job.credential.0.get(at).map_or("", Secret::reveal));
    call.headers = vec![
        ("x-api-app-id".to_owned(), Field::Secret(secret(0))),
        ("x-api-access-key".to_owned(), Field::Secret(secret(1))),
        ("x-api-resource-id".to_owned(), Field::Plain(job.card.vendor_model.clone())),
    ];
    call.media = vec![MediaAt::Joined { pointer: "/data".to_owned(), encoding: Encoding::Base64 }];
    (call, Mark::Null)
}

fn body(job: &Job<'_>) -> Value {
    let Job { request, card, .. } = *job;
    let extra = |name: &str| request.extra.get(name).cloned();
    let mut audio = Map::new();
    insert(&mut audio, "format", Some(extra("format").unwrap_or_else(|| json!("mp3"))));
    insert(&mut audio, "speech_rate", Some(json!(rate(request.speed.unwrap_or(1.0)))));
    AUDIO.iter().for_each(|name| insert(&mut audio, name, extra(name)));
    let mut additions = Map::new();
    ADDITIONS.iter().for_each(|name| insert(&mut additions, name, extra(name)));
    insert(&mut additions, "context_texts", extra("context_texts").map(|hint| json!([hint])));
    insert(&mut additions, "post_process", extra("pitch").map(|pitch| json!({ "pitch": pitch })));
    let mut params = Map::new();
    insert(&mut params, "text", Some(json!(request.prompt)));
    let asked = request.voice.as_deref().unwrap_or_default();
    let known = card.voices.iter().find(|voice| voice.id == asked).and_then(|voice| voice.vendor_id.as_deref());
    insert(&mut params, "speaker", Some(json!(known.unwrap_or(asked))));
    insert(&mut params, "model", extra("model"));
    insert(&mut params, "audio_params", Some(Value::Object(audio)));
    // The vendor wants these as a text that is JSON.
    let packed = (!additions.is_empty()).then(|| json!(Value::Object(additions).to_string()));
    insert(&mut params, "additions", packed);
    json!({ "user": { "uid": "pixel" }, "req_params": params })
}

fn rate(speed: f64) -> i64 {
    // Bounded on both sides, so the cast cannot wrap.
    ((speed.clamp(SPEED.0, SPEED.1) - 1.0) * 100.0).round() as i64
}

pub fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    let Reply::Answer(answer) = reply else { return Err(SPEECH.dialect.gone()) };
    let packets = match &answer.body {
        Value::Array(packets) if answer.is_success() => packets.as_slice(),
        other => slice::from_ref(other),
    };
    let is_wrong = |packet: &&Value| match code(packet).as_str() {
        PART | END => false,
        code => !answer.is_success() || !code.is_empty(),
    };
    if let Some(packet) = packets.iter().find(is_wrong) {
        return Err(packet_error(job, answer, packet));
    }
    let is_whole = packets.iter().any(|packet| code(packet) == END);
    match answer.staged.first().filter(|_| answer.is_success() && is_whole) {
        Some(sound) => {
            let output = Output { index: 0, media: Source::Staged(sound.clone()), poster: None, failed: None };
            Ok(Next::Done(SPEECH.dialect.complete(job, vec![output]), mark.clone()))
        }
        None => Err(SPEECH.dialect.because(job, answer, ErrorKind::Unclear, "the sound is not whole")),
    }
}

fn code(packet: &Value) -> String {
    let said = (SPEECH.dialect.said)(packet);
    said.codes.into_iter().find(|code| !code.is_empty()).unwrap_or_default().into_owned()
}

/// What a packet says went wrong. One that comes after sound shows that the work was accepted.
fn packet_error(job: &Job<'_>, answer: &Answer, packet: &Value) -> Error {
    let said = Answer { body: packet.clone(), ..answer.clone() };
    let mut error = SPEECH.error(job, &said);
    if error.kind == ErrorKind::Unclear && !answer.staged.is_empty() {
        error = SPEECH.dialect.because(job, &said, ErrorKind::VendorFailed, text(packet, "/message"));
    }
    error
}
