//! Speech: one call of the older generation that answers when it is made. It takes no id of ours,
//! so a lost answer cannot be looked for.

use super::{Standing, Wire, call::submit, extras, list, urls, words::DIALECT};
use crate::status::text;
use pixel_core::{
    Error,
    catalog::Model,
    request::{Checked, Warning},
    vendor::{Body, HttpCall, Job, Mark, Repeat},
};
use serde_json::{Value, json};

const PATH: &str = "/v1/audio/tts";
const SPEED_MIN: f64 = 0.8;
const SPEED_MAX: f64 = 2.0;

pub struct Speech;

impl Wire for Speech {
    fn forms(&self) -> &'static [&'static str] {
        &["tts"]
    }

    fn left_out(&self, request: &Checked, _card: &Model) -> Vec<Warning> {
        let odd = request.speed.filter(|asked| speed(*asked) != *asked);
        let warn = |asked: f64| {
            let (name, used) = (DIALECT.name, speed(asked));
            let why = format!("{name} speaks at {SPEED_MIN} to {SPEED_MAX}; {used} was used instead of {asked}.");
            Warning::new("speed", why)
        };
        odd.into_iter().map(warn).collect()
    }

    fn first(&self, job: &Job<'_>) -> Result<(HttpCall, Mark), Error> {
        let Job { request, card, .. } = *job;
        let voice = card.voices.iter().find(|voice| Some(&voice.id) == request.voice.as_ref());
        let mut body = json!({ "text": request.prompt });
        if let Some(voice) = voice.or(card.voices.first()) {
            body["voice_id"] = json!(voice.id);
            body["voice_language"] = json!(voice.language);
        }
        if let Some(asked) = request.speed {
            body["voice_speed"] = json!(speed(asked));
        }
        for (name, value) in extras(request, card, &[]) {
            body[name] = value;
        }
        Ok((submit(job, PATH, Body::json(&body), Repeat::Never), json!({})))
    }

    fn ids(&self) -> [&'static str; 2] {
        ["/task_id", ""]
    }

    /// No page says how one that is not made yet would be asked for.
    fn standing<'a>(&self, task: &'a Value) -> Standing<'a> {
        match text(task, "/task_status") {
            "failed" => Standing::Failed(text(task, "/task_status_msg")),
            _ => Standing::Done(urls(list(task, "/task_result/audios"))),
        }
    }
}

fn speed(asked: f64) -> f64 {
    asked.clamp(SPEED_MIN, SPEED_MAX)
}
