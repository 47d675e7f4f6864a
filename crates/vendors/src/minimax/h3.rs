//! Clips of the second generation (H3): one task, whose answer holds the link. The vendor's list of
//! tasks names nothing of ours, so that a lost submission cannot be told from another in it.

use super::{DIALECT, bad, extras, inputs, link, not_yet, shape, submitted};
use crate::{
    call::ask,
    inline::json_with_files,
    status::{text, word},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Role, Warning},
    vendor::{Answer, Body, Job, Mark, Next, Reply},
};
use serde_json::{Value, json};

pub(super) const PATH: &str = "/v2/video_generation";

const USUAL_S: u32 = 5;

pub(super) fn warnings(request: &Checked, card: &Model) -> Result<Vec<Warning>, Error> {
    let roles: Vec<Role> = request.inputs.iter().map(|input| input.role).collect();
    if !roles.is_empty() && roles.iter().all(|role| *role == Role::Audio) {
        let message = format!("'{}' takes sound only beside a picture or a clip.", card.id());
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    let frames = request.inputs.iter().filter(|input| matches!(input.role, Role::FirstFrame | Role::LastFrame));
    let frames = frames.filter(|_| are_references(&roles)).map(|input| {
        let message = format!("'{}' takes frames or references, not both; this picture is a reference.", card.id());
        Warning::new(input.field.clone(), message)
    });
    let ratio = shape::shaped_by(request).zip(request.size).and_then(|(field, size)| {
        let made = shape::ratio(card, size);
        let is_met = request.aspect_ratio.as_deref() == Some(made)
            || pixel_core::size::parse_ratio(made).is_some_and(|ratio| shape::is_ratio(size, ratio));
        (!is_met).then(|| Warning::new(field, format!("'{}' cannot make this shape; {made} was used.", card.id())))
    });
    let level = shape::level_warning(request, card, shape::level(card, request.size, |_| true));
    Ok(frames.chain(ratio).chain(level).collect())
}

/// Frames and references exclude each other: one of these makes references of all pictures.
fn are_references(roles: &[Role]) -> bool {
    roles.iter().any(|role| matches!(role, Role::Reference | Role::Video | Role::Audio))
}

pub(super) fn body(job: &Job<'_>) -> Result<Body, Error> {
    inputs::check_total(job.inputs)?;
    let Job { request, card, .. } = job;
    let roles: Vec<Role> = job.inputs.iter().map(|input| input.role).collect();
    let kinds: Vec<_> = roles.iter().map(|role| kind(*role)).collect();
    let mut content = vec![json!({ "type": "text", "text": request.prompt })];
    content.extend(roles.iter().zip(&kinds).map(|(role, kind)| {
        let role = match role {
            Role::Video => "reference_video",
            Role::Audio => "reference_audio",
            Role::FirstFrame if !are_references(&roles) => "first_frame",
            Role::LastFrame if !are_references(&roles) => "last_frame",
            _ => "reference_image",
        };
        json!({ "type": kind, (*kind): { "url": null }, "role": role })
    }));
    let mut fields = extras(job);
    fields.insert("model".to_owned(), json!(card.vendor_model));
    fields.insert("content".to_owned(), Value::Array(content));
    fields.insert("resolution".to_owned(), json!(shape::level(card, request.size, |_| true).to_uppercase()));
    fields.insert("duration".to_owned(), json!(shape::seconds(request, USUAL_S)));
    fields.insert("ratio".to_owned(), json!(ratio(job)));
    let place = |at: usize, kind: &str| format!("/content/{}/{kind}/url", at + 1);
    let files: Vec<_> = job.inputs.iter().zip(&kinds).enumerate().map(|(at, (i, kind))| (place(at, kind), i)).collect();
    Ok(json_with_files(&Value::Object(fields), &files))
}

/// Inputs have a shape, which counts unless another was asked for; a text has none.
fn ratio<'a>(job: &Job<'a>) -> &'a str {
    match (shape::shaped_by(job.request), job.request.size) {
        (None, _) if !job.inputs.is_empty() => "adaptive",
        (_, Some(size)) => shape::ratio(job.card, size),
        (_, None) => "16:9",
    }
}

fn kind(role: Role) -> &'static str {
    match role {
        Role::Video => "video_url",
        Role::Audio => "audio_url",
        _ => "image_url",
    }
}

pub(super) fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    match (text(mark, "/task_id"), reply) {
        ("", Reply::Due) => Err(DIALECT.gone()),
        ("", Reply::Answer(answer)) => submitted(job, answer),
        (task, Reply::Due) => Ok(Next::Send(ask(job, &format!("/v2/query/video_generation/{task}")), mark.clone())),
        (_, Reply::Answer(answer)) => polled(job, mark, answer),
    }
}

fn polled(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let body = &answer.body;
    match text(body, "/task/status") {
        _ if !answer.is_success() => Err(not_yet(job, answer, "")),
        "" => Err(not_yet(job, answer, "it names no state")),
        "failed" => Err(DIALECT.ended(job, answer, &word(body, "/task/error/code"), text(body, "/task/error/message"))),
        "cancelled" => Err(DIALECT.ended(job, answer, "", "the task was cancelled")),
        "succeeded" => match text(body, "/task/content/url") {
            "" => Err(bad(job, answer, "it reports success without a link")),
            // How long the link lives is not documented; another poll brings a fresh one.
            url => Ok(Next::Done(vec![link(0, url, None)], mark.clone())),
        },
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}
