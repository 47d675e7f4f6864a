//! ModelScope's pictures: a task that is submitted and polled, one picture each. It costs nothing,
//! but every submission counts against the day, and none can be looked up by a reference of ours.

use crate::{
    chat::Completions,
    inline::json_with_files,
    status::{Dialect, Said, is_plain, text, word},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    chat::Relay,
    request::{Checked, Lora, Warning},
    vendor::{
        Answer, Body, Call, Field, HttpCall, Job, Mark, Method, Next, Output, Plan, Repeat, Reply, Source, Vendor,
    },
};
use serde_json::{Map, Value, json};
use std::{borrow::Cow, time::Duration};

mod loras;

const SUBMIT: &str = "/v1/images/generations";
const TASKS: &str = "/v1/tasks/";

const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// Seeds are below this.
const SEEDS: u64 = 1 << 31;
/// A longer one is refused.
const NEGATIVE_CHARS_MAX: usize = 1999;
/// What a burst costs where the vendor names no time.
const BURST_WAIT: Duration = Duration::from_secs(60);
/// What is left of the day, for the account and for the model.
const LEFT: [&str; 2] = ["modelscope-ratelimit-requests-remaining", "modelscope-ratelimit-model-requests-remaining"];

static CHAT: Completions = Completions(&DIALECT);

const DIALECT: Dialect = Dialect {
    name: "ModelScope",
    // Two shapes: `{errors: {message}}` of pictures, and `{error: {code, message}}`.
    said: |body| Said {
        codes: [word(body, "/error/code"), Cow::Borrowed("")],
        message: ["/errors/message", "/error/message", "/message"]
            .into_iter()
            .map(|at| text(body, at))
            .find(|message| !message.is_empty())
            .unwrap_or_default(),
    },
    codes: &[("limit_burst_rate", ErrorKind::RateLimited), ("limit_requests", ErrorKind::RateLimited)],
};

pub struct ModelScope;

impl Vendor for ModelScope {
    fn id(&self) -> &'static str {
        "modelscope"
    }

    fn speaks(&self, card: &Model) -> bool {
        card.form == "images"
    }

    fn chat(&self, card: &Model) -> Option<&dyn Relay> {
        CHAT.of(card)
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        let mut plan = Plan::by_card(request, card);
        if edits(card) {
            if request.inputs.is_empty() {
                let message = format!("'{}' edits pictures; give one in 'imageInputs'.", card.id());
                return Err(Error::new(ErrorKind::InvalidRequest, message));
            }
            let asked = [("resolution", &request.resolution), ("aspectRatio", &request.aspect_ratio)];
            let asked = asked.into_iter().filter(|(_, value)| value.is_some());
            let message = format!("'{}' keeps the size of the picture; this was left out.", card.id());
            plan.warnings.extend(asked.map(|(field, _)| Warning::new(field, message.clone())));
        }
        if let Some(seed) = request.seed.filter(|seed| *seed >= SEEDS) {
            let used = seed % SEEDS;
            let message = format!("{} takes seeds below {SEEDS}; {used} was used instead of {seed}.", DIALECT.name);
            plan.warnings.push(Warning::new("seed", message));
        }
        let negative = request.negative_prompt.as_ref().map_or(0, |text| text.chars().count());
        if negative > NEGATIVE_CHARS_MAX {
            let message =
                format!("{} takes {NEGATIVE_CHARS_MAX} characters; the rest of {negative} was left out.", DIALECT.name);
            plan.warnings.push(Warning::new("negativePrompt", message));
        }
        plan.warnings.extend(loras::warning(&request.loras));
        Ok(plan)
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        let mut call = call(job, SUBMIT, body(job));
        call.headers.push(("x-modelscope-async-mode".to_owned(), Field::Plain("true".to_owned())));
        Ok((Call::Http(Box::new(call)), json!({})))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        match (text(mark, "/task_id"), reply) {
            ("", Reply::Due) => Err(DIALECT.gone()),
            ("", Reply::Answer(answer)) => submitted(job, answer),
            (id, Reply::Due) => Ok(Next::Send(poll(job, id), mark.clone())),
            (_, Reply::Answer(answer)) => polled(job, mark, answer),
        }
    }
}

/// A model that edits makes nothing from a text alone, and the picture has its own size.
fn edits(card: &Model) -> bool {
    card.ref_images > 0
}

fn call(job: &Job<'_>, path: &str, body: Body) -> HttpCall {
    HttpCall {
        method: Method::Post,
        url: format!("{}{path}", job.base_url),
        headers: vec![("authorization".to_owned(), job.credential.bearer())],
        body,
        repeat: Repeat::Never,
        media: Vec::new(),
        timeout: Duration::from_millis(job.card.times.submit_timeout_ms),
        sign: None,
        share: None,
    }
}

fn poll(job: &Job<'_>, id: &str) -> Call {
    let mut call = call(job, &format!("{TASKS}{id}"), Body::Empty);
    call.headers.push(("x-modelscope-task-type".to_owned(), Field::Plain("image_generation".to_owned())));
    Call::Http(Box::new(HttpCall { method: Method::Get, repeat: Repeat::Safe, timeout: POLL_TIMEOUT, ..call }))
}

fn body(job: &Job<'_>) -> Body {
    let Job { request, card, inputs, .. } = job;
    let mut fields: Map<String, Value> =
        card.params.keys().filter_map(|name| Some((name.clone(), request.extra.get(name)?.clone()))).collect();
    let mut set = |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
    set("model", Some(json!(card.vendor_model_for(request.mode, !inputs.is_empty()))));
    set("prompt", Some(json!(request.prompt)));
    let negative = request.negative_prompt.as_ref();
    set("negative_prompt", negative.map(|text| text.chars().take(NEGATIVE_CHARS_MAX).collect::<String>().into()));
    let size = request.size.filter(|_| !edits(card));
    set("size", size.map(|size| json!(format!("{}x{}", size.width, size.height))));
    // Results of one task differ by the next seed.
    set("seed", request.seed.map(|seed| json!((seed % SEEDS + u64::from(job.first)) % SEEDS)));
    set("loras", loras::value(&request.loras));
    let (pictures, places) = match inputs {
        [] => (None, Vec::new()),
        // Older models take one as text only.
        [_] => (Some(Value::Null), vec!["/image_url".to_owned()]),
        several => (
            Some(json!(vec![Value::Null; several.len()])),
            (0..several.len()).map(|at| format!("/image_url/{at}")).collect(),
        ),
    };
    set("image_url", pictures);
    let files: Vec<_> = places.into_iter().zip(*inputs).collect();
    json_with_files(&Value::Object(fields), &files)
}

fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    // Captures show a `task_status` here too, and even a success of it means the submission only.
    let id = word(&answer.body, "/task_id");
    match answer.is_success() && is_plain(&id) {
        true => Ok(Next::Wait(None, json!({ "task_id": id }))),
        false => Err(refused(job, answer)),
    }
}

fn refused(job: &Job<'_>, answer: &Answer) -> Error {
    let said = (DIALECT.said)(&answer.body);
    let words = said.message.to_lowercase();
    let is_limit = answer.status == 429;
    let kind = match said.codes[0].as_ref() {
        _ if is_limit && LEFT.iter().any(|name| answer.header(name).map(str::trim) == Some("0")) => {
            ErrorKind::VendorBalance
        }
        _ if answer.status == 400 && is_about_content(&words) => ErrorKind::ModerationBlocked,
        _ => DIALECT.error(job, answer).kind,
    };
    let reason = if said.message.is_empty() { format!("HTTP {}", answer.status) } else { said.message.to_owned() };
    let error = DIALECT.because(job, answer, kind, &reason);
    let is_burst = is_limit && kind == ErrorKind::RateLimited && !said.codes[0].is_empty();
    let wait = error.retry_after.or(is_burst.then_some(BURST_WAIT));
    error.with_retry_after(wait)
}

/// The vendor has no code for it.
fn is_about_content(words: &str) -> bool {
    ["inappropriate", "inspection"].iter().any(|sign| words.contains(sign))
}

fn polled(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let unclear = |reason| Err(DIALECT.because(job, answer, ErrorKind::Unclear, reason));
    match text(&answer.body, "/task_status") {
        // Not there yet, or submitted with another token.
        _ if answer.status == 404 => unclear("it does not know the task"),
        _ if !answer.is_success() => Err(refused(job, answer)),
        "" => Err(refused(job, answer)),
        "SUCCEED" | "SUCCESS" | "SUCCEEDED" => succeeded(job, mark, answer),
        "FAILED" | "CANCELED" | "TIMEOUT" | "REVOKED" => Err(failed(job, answer)),
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}

fn failed(job: &Job<'_>, answer: &Answer) -> Error {
    let message = (DIALECT.said)(&answer.body).message;
    let reason = if message.is_empty() { text(&answer.body, "/task_status") } else { message };
    match is_about_content(&message.to_lowercase()) {
        true => DIALECT.because(job, answer, ErrorKind::ModerationBlocked, reason),
        false => DIALECT.ended(job, answer, "", reason),
    }
}

fn succeeded(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let urls = answer.body.pointer("/output_images").and_then(Value::as_array).into_iter().flatten();
    let urls = urls.filter_map(Value::as_str).filter(|url| !url.is_empty());
    // How long a link lives is not documented; another poll brings one again.
    let output = |(index, url): (u32, &str)| {
        let media = Source::Link { url: url.to_owned(), lifetime_s: None };
        Output { index, media, poster: None, failed: None }
    };
    let outputs: Vec<Output> = (0..).zip(urls).map(output).collect();
    match outputs.is_empty() {
        true => Err(DIALECT.because(job, answer, ErrorKind::Unclear, "it reports success without a picture")),
        false => Ok(Next::Done(DIALECT.complete(job, outputs), mark.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::{catalog::Catalog, id::ModelId};

    #[test]
    fn a_model_that_edits_wants_a_picture() {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        let plan = |model: &str| {
            let id = ModelId::parse(model).unwrap();
            let card = catalog.model(&id).unwrap();
            ModelScope.plan(&Checked::plain(card.kind, id, "a kite"), card).map_err(|error| error.kind)
        };
        assert_eq!(plan("modelscope/qwen-image-edit"), Err(ErrorKind::InvalidRequest));
        assert!(plan("modelscope/qwen-image").is_ok());
    }
}
