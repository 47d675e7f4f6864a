//! Doubao speech, V3: JSON packets one behind the other, with base64 pieces of the sound. What is
//! wrong comes as a packet too, under HTTP 200.

use crate::{
    KEY, SECRET,
    answer::Whole,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Value, json};

const UNIDIRECTIONAL: &str = "/api/v3/tts/unidirectional";
/// Bytes of one piece: not a multiple of three, so that each piece has an end of its own.
const PIECE_BYTES: usize = 10_000;
/// Resources, and how the names of their voices end or begin.
const VOICES: &[(&str, &[&str])] = &[
    ("seed-tts-2.0", &["_uranus_bigtts"]),
    ("seed-tts-1.0", &["_mars_bigtts", "_moon_bigtts", "_wvae_bigtts"]),
    ("seed-tts-1.0-concurr", &["_mars_bigtts", "_moon_bigtts", "_wvae_bigtts"]),
];
const CLONES: [&str; 3] = ["seed-icl-2.0", "seed-icl-1.0", "seed-icl-1.0-concurr"];

pub(super) struct Speech;

impl Vendor for Speech {
    fn id(&self) -> &'static str {
        "volcengine"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("VOLCENGINE_BASE_URL", "")
    }

    /// The key of the new console, or the two values of the older one.
    fn admits(&self, asked: &Asked) -> bool {
        let app = asked.header("x-api-app-id").or(asked.header("x-api-app-key"));
        let is_older = app == Some(KEY) && asked.header("x-api-access-key") == Some(SECRET);
        asked.header("x-api-key") == Some(KEY) || is_older
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        if (&asked.method, asked.path.as_str()) != (&Method::POST, UNIDIRECTIONAL) {
            return Ok(Ask::Nothing);
        }
        let body = asked.json().unwrap_or_default();
        let params = &body["req_params"];
        let text = params["text"].as_str().unwrap_or_default().to_owned();
        let resource = asked.header("x-api-resource-id").unwrap_or_default();
        check(params)?;
        if text.is_empty() {
            return Err(packet(200, 45_000_001, "invalid argument: text is empty"));
        }
        if !speaks(resource, params["speaker"].as_str().unwrap_or_default()) {
            return Err(packet(200, 55_000_000, "resource ID is mismatched with speaker related resource"));
        }
        Ok(Ask::Submit(Box::new(Order {
            model: resource.to_owned(),
            form: "tts-v3",
            prompt: text,
            outputs: 1,
            unit: Unit::Speech,
            blocking: true,
            inline: true,
            body,
            ..Order::default()
        })))
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        let (status, code, message) = match refusal {
            Refusal::BadRequest => (400, 45_000_001, "invalid argument"),
            Refusal::Unauthorized => (401, 45_000_000, "permission denied: the app id or the access key is wrong"),
            Refusal::PaymentRequired => (403, 45_000_000, "quota exceeded for types: text_words_lifetime"),
            Refusal::Forbidden => (403, 45_000_000, "permission denied: requested resource not granted"),
            Refusal::NotFound => (404, 45_000_001, "invalid argument: there is no such thing"),
            Refusal::Unprocessable => (422, 40_402_003, "TTSExceededTextLimit: the text is too long"),
            Refusal::Moderation => (400, 45_002_001, "the text is sensitive"),
            Refusal::RateLimited => (429, 45_000_292, "quota exceeded for types: concurrency"),
            Refusal::Error => (500, 55_000_000, "internal server error"),
        };
        packet(status, code, message)
    }

    fn job_id(&self, number: u64) -> String {
        format!("tts-{number}")
    }

    fn accepted(&self, _job: &Facts<'_>) -> Whole {
        self.refused(Refusal::NotFound)
    }

    fn id_at(&self) -> &'static str {
        ""
    }

    fn polled(&self, _job: &Facts<'_>, _state: &State) -> Whole {
        self.refused(Refusal::NotFound)
    }

    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
        let mut packets = Vec::new();
        for result in results {
            let Made::Inline(file) = result else { continue };
            for piece in file.chunks(PIECE_BYTES) {
                packets.push(json!({ "code": 0, "message": "", "data": STANDARD.encode(piece) }));
            }
        }
        let word = json!({ "word": "a", "startTime": 0.1, "endTime": 0.4, "confidence": 0.9 });
        let sentence = json!({ "text": job.prompt, "words": [word] });
        packets.push(json!({ "code": 0, "message": "", "data": null, "sentence": sentence }));
        let usage = json!({ "text_words": job.prompt.chars().count() });
        packets.push(json!({ "code": 20_000_000, "message": "ok", "data": null, "usage": usage }));
        let lines: String = packets.iter().map(|packet| format!("{packet}\n")).collect();
        Whole::new(200, "application/json", lines).header("x-tt-logid", format!("02{}", job.entry.job))
    }
}

fn check(params: &Value) -> Result<(), Whole> {
    let audio = &params["audio_params"];
    let within = |name: &str, low: i64, high: i64| {
        audio[name].is_null() || audio[name].as_i64().is_some_and(|value| (low..=high).contains(&value))
    };
    let format = audio["format"].as_str().unwrap_or("mp3");
    let rates = [8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
    let rate = &audio["sample_rate"];
    let wrong = [
        ("format", !["mp3", "ogg_opus", "pcm", "wav"].contains(&format)),
        ("sample_rate", !rate.is_null() && !rate.as_u64().is_some_and(|rate| rates.contains(&rate))),
        ("speech_rate", !within("speech_rate", -50, 100)),
        ("loudness_rate", !within("loudness_rate", -50, 100)),
        ("bit_rate", !within("bit_rate", 64_000, 160_000)),
        ("emotion_scale", !within("emotion_scale", 1, 5)),
        ("additions", !is_json_text(&params["additions"])),
    ];
    match wrong.iter().find(|(_, is_wrong)| *is_wrong) {
        Some((name, _)) => Err(packet(200, 45_000_001, &format!("invalid argument: {name}"))),
        None => Ok(()),
    }
}

/// Left out, or an object written as a text.
fn is_json_text(value: &Value) -> bool {
    let is_object = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
    value.is_null() || value.as_str().is_some_and(is_object)
}

fn speaks(resource: &str, speaker: &str) -> bool {
    let by_end = VOICES.iter().find(|(known, _)| *known == resource);
    let is_clone = CLONES.contains(&resource) && speaker.starts_with("S_");
    is_clone || by_end.is_some_and(|(_, ends)| ends.iter().any(|end| speaker.ends_with(end)))
}

fn packet(status: u16, code: u64, message: &str) -> Whole {
    Whole::json(status, &json!({ "code": code, "message": message, "data": null }))
}
