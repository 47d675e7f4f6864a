// tidy: three services with credentials, wire forms, error tables and a signature of their own
//! Volcengine's services, each with a host and a credential of its own: Ark makes pictures in one
//! blocking call and clips as tasks, Doubao speaks, the visual service (Jimeng) takes signed calls.

mod errors;
mod images;
mod speech;
mod video;
mod visual;

use crate::{chat::Completions, status::text};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    chat::Relay,
    request::{Checked, Mode, Role, Warning},
    vendor::{Body, Call, HttpCall, Job, Mark, Method, Next, Plan, Repeat, Reply, Vendor},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// Of the files behind Ark's links.
const LINK_LIFETIME_S: u64 = 24 * 3600;
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

static CHAT: Completions = Completions(&errors::ARK.dialect);

pub struct Volcengine;

/// One wire form, by its name in the catalogue.
struct Form {
    name: &'static str,
    plan: fn(&Checked, &Model) -> Result<Plan, Error>,
    first: fn(&Job<'_>) -> (HttpCall, Mark),
    next: fn(&Job<'_>, &Mark, &Reply) -> Result<Next, Error>,
}

const FORMS: &[Form] = &[
    Form { name: "ark-images", plan: images::plan, first: images::first, next: images::next },
    Form { name: "ark-video", plan: video::plan, first: video::first, next: video::next },
    Form { name: "tts-v3", plan: speech::plan, first: speech::first, next: speech::next },
    Form { name: "visual-image", plan: visual::plan, first: visual::first, next: visual::next },
    Form { name: "visual-video", plan: visual::plan, first: visual::first, next: visual::next },
];

fn form(card: &Model) -> Result<&'static Form, Error> {
    let found = FORMS.iter().find(|form| form.name == card.form);
    found.ok_or_else(|| Error::new(ErrorKind::Internal, format!("'{}' has no wire form.", card.id())))
}

impl Vendor for Volcengine {
    fn id(&self) -> &'static str {
        "volcengine"
    }

    fn speaks(&self, card: &Model) -> bool {
        form(card).is_ok()
    }

    fn chat(&self, card: &Model) -> Option<&dyn Relay> {
        CHAT.of(card)
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        (form(card)?.plan)(request, card)
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        let (call, mark) = (form(job.card)?.first)(job);
        Ok((Call::Http(Box::new(call)), mark))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        (form(job.card)?.next)(job, mark, reply)
    }

    fn job_name(&self, mark: &Mark) -> Option<String> {
        // The services' ids differ in form; what else is in a mark names no job.
        Some(text(mark, "/task_id").to_owned()).filter(|id| !id.is_empty())
    }
}

/// A paid submission: no service knows a repeated key, or can be searched by a reference of ours.
fn submit(job: &Job<'_>, path: &str, body: Body) -> HttpCall {
    HttpCall {
        method: Method::Post,
        url: format!("{}{path}", job.base_url),
        headers: Vec::new(),
        body,
        repeat: Repeat::Never,
        media: Vec::new(),
        timeout: Duration::from_millis(job.card.times.submit_timeout_ms),
        sign: None,
        share: None,
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

/// Frames that do not go together.
fn check_frames(mode: Option<Mode>, has_first: bool, has_last: bool) -> Result<(), Error> {
    match (has_first, has_last) {
        (false, true) => Err(refused("'extraParams.lastFrame' needs a first frame in 'imageInputs'.")),
        (_, false) if mode == Some(Mode::FirstLast) => {
            Err(refused("'extraParams.mode' firstLast needs a first frame and 'extraParams.lastFrame'."))
        }
        _ => Ok(()),
    }
}

fn has(request: &Checked, role: Role) -> bool {
    request.inputs.iter().any(|input| input.role == role)
}

/// The seed of this slot: results of one task differ by the next one.
fn seed(job: &Job<'_>, seeds: u64) -> Option<u64> {
    job.request.seed.map(|seed| (seed % seeds + u64::from(job.first)) % seeds)
}

fn warn_of_seed(plan: &mut Plan, request: &Checked, seeds: u64) {
    if let Some(seed) = request.seed.filter(|seed| *seed >= seeds) {
        let message = format!("The model takes seeds below {seeds}; {} was used instead of {seed}.", seed % seeds);
        plan.warnings.push(Warning::new("seed", message));
    }
}

/// The level and the ratio by which the model's own table knows the size.
fn listed<'a>(job: &Job<'a>) -> Option<(&'a str, &'a str)> {
    let card = job.card;
    let known = card.resolutions.iter().filter_map(|(level, ratios)| Some((level, ratios.as_table()?)));
    let mut named = known.flat_map(|(level, ratios)| ratios.keys().map(move |ratio| (level.as_str(), ratio.as_str())));
    named.find(|(level, ratio)| card.listed_size(level, ratio) == job.request.size)
}

fn seconds(job: &Job<'_>) -> u32 {
    job.request.duration_ms.unwrap_or(5_000).div_ceil(1000)
}

fn flag(request: &Checked, name: &str) -> Option<bool> {
    request.extra.get(name).and_then(Value::as_bool)
}

fn insert(into: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    into.extend(value.map(|value| (name.to_owned(), value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::{catalog::Catalog, id::ModelId};
    use serde_json::json;

    fn plan(model: &str, more: Value) -> Result<Plan, Error> {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        let card = catalog.model(&ModelId::parse(model).unwrap()).unwrap();
        let mut request = json!({ "kind": card.kind, "model": model, "n": 1, "prompt": "a fox" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Volcengine.plan(&serde_json::from_value(request).unwrap(), card)
    }

    fn with(role: &str) -> Value {
        json!({ "inputs": [{ "role": role, "origin": { "url": "https://x.test/a" }, "field": "f" }] })
    }

    #[test]
    fn inputs_that_no_mode_takes_are_refused_before_anything_is_sent() {
        let first_last = json!({ "mode": "firstLast" });
        for (model, more, word) in [
            ("volcengine/seedance-1.0-pro", with("last_frame"), "lastFrame"),
            ("volcengine/seedance-2.0", with("audio"), "audioInput"),
            ("volcengine/seedance-2.0", first_last.clone(), "mode"),
            ("volcengine/jimeng-video-3.0", with("last_frame"), "lastFrame"),
            ("volcengine/jimeng-video-3.0", first_last, "mode"),
            ("volcengine/doubao-icl", json!({}), "voice"),
        ] {
            let error = plan(model, more).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidRequest, "{model}");
            assert!(error.message.contains(word), "{model}: {}", error.message);
        }
        assert!(plan("volcengine/seedance-2.0", with("first_frame")).is_ok());
    }

    #[test]
    fn a_job_has_the_vendors_name_whatever_else_is_known_of_it() {
        let name = |mark: Value| Volcengine.job_name(&mark);
        assert_eq!(name(json!({ "req_key": "a", "task_id": "7" })), name(json!({ "req_key": "b", "task_id": "7" })));
        assert_eq!((name(json!({ "req_key": "a" })), name(Value::Null)), (None, None));
    }

    #[test]
    fn every_listed_size_of_a_clip_has_its_words() {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        let cards = catalog.models.iter().filter(|card| ["ark-video", "visual-video"].contains(&card.form.as_str()));
        for card in cards {
            let Some(pixel_core::size::Makes::List(made)) = &card.makes else { panic!("{} has no list", card.id()) };
            let listed = card.resolutions.iter().flat_map(|(level, ratios)| {
                let ratios = ratios.as_table().unwrap().keys();
                ratios.map(move |ratio| card.listed_size(level, ratio).unwrap())
            });
            let listed: Vec<_> = listed.collect();
            assert!(made.iter().all(|size| listed.contains(size)), "{}", card.id());
        }
    }
}
