//! Reads the answers: an id, how a task stands, and what was made.

use super::DIALECT;
use crate::{call::accepted, status::text};
use pixel_core::{
    Error, ErrorKind,
    request::Kind,
    vendor::{Answer, Job, Mark, Next, Output, Source},
};
use serde_json::Value;

const LINK_LIFETIME_S: u64 = 24 * 3600;

pub(super) fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let next = accepted(answer.is_success(), "task_id", text(&answer.body, "/output/task_id"));
    next.ok_or_else(|| DIALECT.error(job, answer))
}

pub(super) fn polled(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let output = |name: &str| text(&answer.body, &format!("/output/{name}"));
    let failed = |kind, reason| Err(DIALECT.because(job, answer, kind, reason));
    match output("task_status") {
        // A task that was just accepted may not be known everywhere yet.
        _ if answer.status == 404 => failed(ErrorKind::Unclear, "it does not know the task yet"),
        _ if !answer.is_success() => Err(DIALECT.error(job, answer)),
        "" => Err(DIALECT.error(job, answer)),
        "SUCCEEDED" => done(job, mark, answer),
        "FAILED" => Err(DIALECT.ended(job, answer, output("code"), output("message"))),
        "CANCELED" => failed(ErrorKind::VendorFailed, "the task was canceled"),
        "UNKNOWN" => failed(ErrorKind::VendorLost, "its records are kept for a day"),
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}

/// The answer of a blocking call.
pub(super) fn made(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let is_made = ["/output/choices", "/output/audio"].iter().any(|at| answer.body.pointer(at).is_some());
    match answer.is_success() && is_made {
        true => done(job, mark, answer),
        false => Err(DIALECT.error(job, answer)),
    }
}

/// One result, or why there is none.
#[derive(Default)]
struct Item<'a> {
    url: &'a str,
    code: &'a str,
    message: &'a str,
}

/// What succeeded may still hold results that failed.
fn done(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let items = answer.body.get("output").map(items).unwrap_or_default();
    match items.first() {
        None => {
            let reason = format!("the answer holds no {}", noun(job.card.kind));
            Err(DIALECT.because(job, answer, ErrorKind::Unclear, &reason))
        }
        Some(first) if items.iter().all(|item| item.url.is_empty()) => {
            Err(DIALECT.ended(job, answer, first.code, first.message))
        }
        Some(_) => {
            let outputs = (0..).zip(&items).map(|(index, item)| match item.url {
                "" => DIALECT.failed_output(job, index, item.code, item.message),
                url => linked(index, url),
            });
            Ok(Next::Done(DIALECT.complete(job, outputs.collect()), mark.clone()))
        }
    }
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "clip",
        Kind::Audio => "sound",
        Kind::Image | Kind::Llm => "picture",
    }
}

/// The results in whichever of the vendor's forms they come.
fn items(output: &Value) -> Vec<Item<'_>> {
    let list = |name: &str| output.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let results = list("results").iter().map(|item| Item {
        url: text(item, "/url"),
        code: text(item, "/code"),
        message: text(item, "/message"),
    });
    let contents = list("choices").iter().filter_map(|choice| choice.pointer("/message/content")?.as_array()).flatten();
    let links =
        contents.map(|item| text(item, "/image")).chain([text(output, "/video_url"), text(output, "/audio/url")]);
    let links = links.filter(|url| !url.is_empty()).map(|url| Item { url, ..Item::default() });
    results.chain(links).collect()
}

fn linked(index: u32, url: &str) -> Output {
    let media = Source::Link { url: secure(url), lifetime_s: Some(LINK_LIFETIME_S) };
    Output { index, media, poster: None, failed: None }
}

/// The vendor's own store hands out `http` links but answers `https` as well.
fn secure(url: &str) -> String {
    let rest = url.strip_prefix("http://");
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    match (rest, host) {
        (Some(rest), Some(host)) if host.ends_with(".aliyuncs.com") && !host.contains('@') => format!("https://{rest}"),
        _ => url.to_owned(),
    }
}
