//! Clips of the first generation (Hailuo): a task, a file, and a link to the file, which lives an
//! hour and is asked for again by the file's id.

use super::{DIALECT, bad, extras, inputs, is_good, link, not_yet, shape, submitted};
use crate::{
    call::ask,
    inline::json_with_files,
    status::{is_plain, text, word},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Role, Warning},
    vendor::{Answer, Body, Job, Mark, Next, Reply},
};
use serde_json::{Value, json};

pub(super) const PATH: &str = "/v1/video_generation";

const LINK_LIFETIME_S: u64 = 3600;
/// The only length that the highest level has.
const SHORT_S: u32 = 6;
const FROM_TEXT: f64 = 16.0 / 9.0;
/// Makes clips of pictures only.
const NEEDS_FRAME: &str = "MiniMax-Hailuo-2.3-Fast";

pub(super) fn warnings(request: &Checked, card: &Model) -> Result<Vec<Warning>, Error> {
    let has_frame = !request.inputs.is_empty();
    if card.vendor_model == NEEDS_FRAME && !has_frame {
        let message = format!("'{}' makes clips of a picture; give one in 'imageInputs'.", card.id());
        return Err(Error::new(ErrorKind::InvalidRequest, message));
    }
    let roles: Vec<Role> = request.inputs.iter().map(|input| input.role).collect();
    let ratio = match (has_frame, request.size) {
        (true, _) => Some("has the shape of its picture"),
        (false, Some(size)) => (!shape::is_ratio(size, FROM_TEXT)).then_some("is 16:9 when it is made from text"),
        (false, None) => None,
    };
    let ratio = shape::shaped_by(request).zip(ratio);
    let ratio = ratio.map(|(field, why)| Warning::new(field, format!("A clip of '{}' {why}.", card.id())));
    let level = shape::level_warning(request, card, level(request, card, &roles));
    Ok(ratio.into_iter().chain(level).collect())
}

/// What is asked for, as far as the vendor can: the length goes before the level.
fn level<'a>(request: &Checked, card: &'a Model, roles: &[Role]) -> &'a str {
    shape::level(card, request.size, |level| match level {
        "512p" => !roles.is_empty() && !roles.contains(&Role::LastFrame),
        "1080p" => shape::seconds(request, SHORT_S) <= SHORT_S,
        _ => true,
    })
}

pub(super) fn body(job: &Job<'_>) -> Result<Body, Error> {
    inputs::FRAMES.check(job.inputs)?;
    let Job { request, card, .. } = job;
    let roles: Vec<Role> = job.inputs.iter().map(|input| input.role).collect();
    let mut fields = extras(job);
    fields.insert("model".to_owned(), json!(card.vendor_model_for(request.mode, !job.inputs.is_empty())));
    fields.insert("prompt".to_owned(), json!(request.prompt));
    fields.insert("duration".to_owned(), json!(shape::seconds(request, SHORT_S)));
    fields.insert("resolution".to_owned(), json!(level(request, card, &roles).to_uppercase()));
    let name = |role| if role == Role::LastFrame { "last_frame_image" } else { "first_frame_image" };
    fields.extend(roles.iter().map(|role| (name(*role).to_owned(), Value::Null)));
    let files: Vec<_> = job.inputs.iter().map(|input| (format!("/{}", name(input.role)), input)).collect();
    Ok(json_with_files(&Value::Object(fields), &files))
}

pub(super) fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    match (text(mark, "/task_id"), text(mark, "/file_id"), reply) {
        ("", _, Reply::Due) => Err(DIALECT.gone()),
        ("", _, Reply::Answer(answer)) => submitted(job, answer),
        (task, "", Reply::Due) => {
            Ok(Next::Send(ask(job, &format!("/v1/query/video_generation?task_id={task}")), mark.clone()))
        }
        (task, "", Reply::Answer(answer)) => polled(job, task, mark, answer),
        (_, file, Reply::Due) => Ok(retrieve(job, file, mark.clone())),
        (_, _, Reply::Answer(answer)) => retrieved(job, mark, answer),
    }
}

fn polled(job: &Job<'_>, task: &str, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let file = word(&answer.body, "/file_id");
    // Its callbacks and its polls write the words differently.
    match text(&answer.body, "/status").to_ascii_lowercase().as_str() {
        "fail" | "failed" if answer.is_success() => Err(failed(job, answer)),
        _ if !is_good(answer) => Err(not_yet(job, answer, "")),
        "success" if is_plain(&file) => Ok(retrieve(job, &file, json!({ "task_id": task, "file_id": file }))),
        "success" => Err(bad(job, answer, "it reports success without a file")),
        "" => Err(bad(job, answer, "it names no state")),
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}

/// The reason stands where errors of the call itself do, and may be left out.
fn failed(job: &Job<'_>, answer: &Answer) -> Error {
    match is_good(answer) {
        true => DIALECT.ended(job, answer, "", ""),
        false => DIALECT.ended(
            job,
            answer,
            &word(&answer.body, "/base_resp/status_code"),
            (DIALECT.said)(&answer.body).message,
        ),
    }
}

fn retrieve(job: &Job<'_>, file: &str, mark: Mark) -> Next {
    Next::Send(ask(job, &format!("/v1/files/retrieve?file_id={file}")), mark)
}

fn retrieved(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    match text(&answer.body, "/file/download_url") {
        url if is_good(answer) && !url.is_empty() => {
            Ok(Next::Done(vec![link(0, url, Some(LINK_LIFETIME_S))], mark.clone()))
        }
        _ => Err(not_yet(job, answer, "it gives no link to the file")),
    }
}
