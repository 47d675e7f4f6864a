//! Ark's clips (Seedance): a task that is submitted and polled. First frame, first and last frame,
//! and references are three ways that exclude each other.

use super::{LINK_LIFETIME_S, check_frames, errors::ARK, flag, insert, listed, seconds, seed};
use crate::{
    call::{accepted, ask, paid},
    inline::json_with_files,
    status::text,
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Mode, Role, Warning},
    size::Size,
    vendor::{Answer, HttpCall, Job, Mark, Next, Output, Plan, Reply, Source},
};
use serde_json::{Map, Value, json};

const TASKS: &str = "/api/v3/contents/generations/tasks";
/// Seeds are below this.
const SEEDS: u64 = 1 << 32;
/// For how long a task may wait and run at the vendor.
const EXPIRES_S: (u64, u64) = (3_600, 259_200);

pub fn plan(request: &Checked, card: &Model) -> Result<Plan, Error> {
    let mut plan = Plan::by_card(request, card);
    super::warn_of_seed(&mut plan, request, SEEDS);
    let uses = uses(request.mode, request.inputs.iter().map(|input| input.role));
    let is_used = |role: &str| uses.contains(&role);
    let by_reference = is_used("reference_image") || is_used("reference_video");
    if !by_reference && is_used("reference_audio") {
        return Err(super::refused("'extraParams.audioInput' needs a picture beside it, in 'imageInputs'."));
    }
    if !by_reference {
        check_frames(request.mode, is_used("first_frame"), is_used("last_frame"))?;
    }
    for (input, role) in request.inputs.iter().zip(&uses) {
        if matches!(input.role, Role::FirstFrame | Role::LastFrame) && *role == "reference_image" {
            let message = "Frames and references exclude each other: with references, it was used as one.";
            plan.warnings.push(Warning::new(input.field.clone(), message));
        }
    }
    Ok(plan)
}

/// What each input is to the vendor.
fn uses(mode: Option<Mode>, roles: impl Iterator<Item = Role>) -> Vec<&'static str> {
    let mut roles: Vec<_> = roles.collect();
    // Of two pictures that are to be first and last, the second is the last.
    let second = roles.iter().position(|role| *role == Role::Reference);
    if let Some(at) = second.filter(|_| mode == Some(Mode::FirstLast) && !roles.contains(&Role::LastFrame)) {
        roles[at] = Role::LastFrame;
    }
    let by_reference = roles.iter().any(|role| !matches!(role, Role::FirstFrame | Role::LastFrame));
    let word = |role: &Role| match (role, by_reference) {
        (Role::Video, _) => "reference_video",
        (Role::Audio, _) => "reference_audio",
        (Role::FirstFrame, false) => "first_frame",
        (Role::LastFrame, false) => "last_frame",
        _ => "reference_image",
    };
    roles.iter().map(word).collect()
}

pub fn first(job: &Job<'_>) -> (HttpCall, Mark) {
    let uses = uses(job.request.mode, job.inputs.iter().map(|input| input.role));
    let kinds: Vec<_> = uses.iter().map(|role| kind_of(role)).collect();
    let mut content = vec![json!({ "type": "text", "text": job.request.prompt })];
    content.extend(uses.iter().zip(&kinds).map(|(role, kind)| {
        let mut item = Map::from_iter([("type".to_owned(), json!(kind)), ("role".to_owned(), json!(role))]);
        insert(&mut item, kind, Some(json!({ "url": null })));
        Value::Object(item)
    }));
    let mut body = Map::new();
    insert(&mut body, "model", Some(json!(job.card.vendor_model_for(job.request.mode, !uses.is_empty()))));
    insert(&mut body, "content", Some(json!(content)));
    settings(job, &uses, &mut body);
    let places = kinds.iter().enumerate().map(|(at, kind)| format!("/content/{}/{kind}/url", at + 1));
    let files: Vec<_> = places.zip(job.inputs).collect();
    (paid(job, TASKS, json_with_files(&Value::Object(body), &files)), json!({}))
}

fn kind_of(role: &str) -> &'static str {
    match role {
        "reference_video" => "video_url",
        "reference_audio" => "audio_url",
        _ => "image_url",
    }
}

fn settings(job: &Job<'_>, uses: &[&str], body: &mut Map<String, Value>) {
    let Job { request, card, .. } = *job;
    if let Some((level, ratio)) = listed(job) {
        let is_exact = request.resolution.as_deref().and_then(Size::parse).is_some();
        // Nobody asked for a ratio: that of the picture is the best one.
        let follows = !uses.is_empty() && request.aspect_ratio.is_none() && !is_exact;
        insert(body, "resolution", Some(json!(level.to_lowercase())));
        insert(body, "ratio", Some(json!(if follows { "adaptive" } else { ratio })));
    }
    insert(body, "duration", Some(json!(seconds(job))));
    insert(body, "seed", seed(job, SEEDS).map(|seed| json!(seed)));
    if card.params.contains_key("generate_audio") {
        // Left out, it is on, and may be refused by itself.
        let sound = flag(request, "generate_audio").unwrap_or_else(|| uses.contains(&"reference_audio"));
        insert(body, "generate_audio", Some(json!(sound)));
    }
    insert(body, "watermark", Some(json!(flag(request, "watermark").unwrap_or(false))));
    insert(body, "camera_fixed", flag(request, "camera_fixed").map(|fixed| json!(fixed)));
    let search = flag(request, "web_search").filter(|is_wanted| *is_wanted);
    insert(body, "tools", search.map(|_| json!([{ "type": "web_search" }])));
    // What is given up here is not to be made and charged there.
    let expires_s = card.times.deadline_s.clamp(EXPIRES_S.0, EXPIRES_S.1);
    insert(body, "execution_expires_after", Some(json!(expires_s)));
}

pub fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    match (text(mark, "/task_id"), reply) {
        ("", Reply::Due) => Err(ARK.dialect.gone()),
        ("", Reply::Answer(answer)) => submitted(job, answer),
        (id, Reply::Due) => Ok(Next::Send(ask(job, &format!("{TASKS}/{id}")), mark.clone())),
        (_, Reply::Answer(answer)) => polled(job, mark, answer),
    }
}

fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let next = accepted(answer.is_success(), "task_id", text(&answer.body, "/id"));
    next.ok_or_else(|| ARK.error(job, answer))
}

fn polled(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let body = &answer.body;
    let failed = |kind, reason| Err(ARK.dialect.because(job, answer, kind, reason));
    match text(body, "/status") {
        // A task that was just accepted may not be known everywhere yet.
        _ if answer.status == 404 => failed(ErrorKind::Unclear, "it does not know the task yet"),
        _ if !answer.is_success() => Err(ARK.error(job, answer)),
        "" => Err(ARK.error(job, answer)),
        "succeeded" => match text(body, "/content/video_url") {
            "" => failed(ErrorKind::Unclear, "the answer holds no clip"),
            url => Ok(Next::Done(ARK.dialect.complete(job, vec![clip(url)]), mark.clone())),
        },
        "failed" => Err(ARK.dialect.ended(job, answer, text(body, "/error/code"), text(body, "/error/message"))),
        "cancelled" => failed(ErrorKind::VendorFailed, "the task was cancelled"),
        "expired" => failed(ErrorKind::VendorFailed, "the task was not made in time"),
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}

fn clip(url: &str) -> Output {
    let media = Source::Link { url: url.to_owned(), lifetime_s: Some(LINK_LIFETIME_S) };
    Output { index: 0, media, poster: None, failed: None }
}
