//! Clips: a job that is created and polled, and then a call that brings the file, which can be
//! repeated for as long as the server keeps it.

use super::{DIALECT, call, extras, multipart, refused, size, whole};
use crate::{
    call::{accepted, ask, question},
    status::text,
};
use pixel_core::{
    Error, ErrorKind,
    vendor::{Answer, Body, Call, HttpCall, Job, Mark, MediaAt, Next, Reply},
};
use serde_json::{Map, Value, json};
use std::time::Duration;

const CONTENT_TIMEOUT: Duration = Duration::from_secs(600);

pub(super) fn first(job: &Job<'_>) -> HttpCall {
    let body = match job.inputs {
        [] => Body::json(&Value::Object(fields(job))),
        pictures => multipart(fields(job), "input_reference", pictures),
    };
    call(job, "/videos", body, None)
}

fn fields(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut fields = Map::new();
    fields.insert("model".to_owned(), json!(job.card.vendor_model));
    fields.insert("prompt".to_owned(), json!(request.prompt));
    // The seconds are text.
    let seconds = request.duration_ms.map(|ms| json!(ms.div_ceil(1000).to_string()));
    let own = [
        ("seconds", seconds),
        ("size", size(job)),
        ("negative_prompt", request.negative_prompt.as_ref().map(|text| json!(text))),
        ("seed", request.seed.map(|seed| json!(seed.wrapping_add(u64::from(job.first))))),
    ];
    fields.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    // Also `model`, where the server has one by another name.
    fields.extend(extras(job));
    fields
}

pub(super) fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    let is_done = mark.get("content").is_some();
    match (text(mark, "/video_id"), reply) {
        ("", Reply::Due) => Err(DIALECT.gone()),
        ("", Reply::Answer(answer)) => created(job, answer),
        (id, Reply::Due) if is_done => Ok(Next::Send(content(job, id), mark.clone())),
        (id, Reply::Due) => Ok(Next::Send(ask(job, &format!("/videos/{id}")), mark.clone())),
        (_, Reply::Answer(answer)) if answer.status == 404 => {
            // Which may only mean that not every server of it has heard.
            Err(DIALECT.because(job, answer, ErrorKind::Unclear, "it does not know the job, or its file"))
        }
        (_, Reply::Answer(answer)) if is_done && answer.is_success() => whole(job, mark, answer, "clip"),
        (id, Reply::Answer(answer)) if answer.is_success() && !is_done => polled(job, id, mark, answer),
        (_, Reply::Answer(answer)) => Err(refused(job, answer)),
    }
}

fn created(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let next = accepted(answer.is_success(), "video_id", text(&answer.body, "/id"));
    next.ok_or_else(|| refused(job, answer))
}

fn polled(job: &Job<'_>, id: &str, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    match text(&answer.body, "/status") {
        "" => Err(refused(job, answer)),
        "completed" => Ok(Next::Send(content(job, id), json!({ "video_id": id, "content": true }))),
        "failed" => {
            let (code, message) = (text(&answer.body, "/error/code"), text(&answer.body, "/error/message"));
            Err(DIALECT.ended(job, answer, code, message))
        }
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}

fn content(job: &Job<'_>, id: &str) -> Call {
    let call = question(job, &format!("/videos/{id}/content"));
    Call::Http(Box::new(HttpCall { timeout: CONTENT_TIMEOUT, media: vec![MediaAt::Body], ..call }))
}
