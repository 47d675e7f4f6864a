//! The lab: a vendor of our own making, of which each model gives another promise about repeated
//! submissions. No real vendor offers all of them, and the money rule has a case for each.

use crate::status::{Dialect, Said, free_get, text, word};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::Checked,
    vendor::{
        Answer, Body, Call, Credential, Field, HttpCall, Job, Mark, Method, Next, Output, Plan, Repeat, Reply, Source,
        Vendor,
    },
};
use serde_json::{Value, json};
use std::{borrow::Cow, time::Duration};

pub const CATALOG: (&str, &str) = ("lab.toml", include_str!("../../../catalog/lab.toml"));
/// The variable that brings it into the catalogue.
pub const VARIABLE: &str = "LAB_BASE_URL";

const JOBS: &str = "/v1/jobs";
const POLL_TIMEOUT: Duration = Duration::from_secs(3);
const KEY_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A submission can be found by its reference after this long.
const SETTLE: Duration = Duration::from_secs(1);
const LINK_LIFETIME_S: u64 = 3600;

const DIALECT: Dialect = Dialect {
    name: "the lab",
    said: |body| Said { codes: [word(body, "/error/code"), Cow::Borrowed("")], message: text(body, "/error/message") },
    codes: &[("moderation", ErrorKind::ModerationBlocked), ("gone", ErrorKind::VendorLost)],
};

pub struct Lab;

impl Vendor for Lab {
    fn id(&self) -> &'static str {
        "lab"
    }

    fn speaks(&self, card: &Model) -> bool {
        matches!(card.form.as_str(), "keyed" | "searchable" | "plain")
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        Ok(Plan::by_card(request, card))
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        Ok((submit(job), json!({})))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        match (text(mark, "/id"), reply) {
            ("", Reply::Due) => Ok(Next::Send(submit(job), mark.clone())),
            ("", Reply::Answer(answer)) => submitted(job, answer),
            (id, Reply::Due) => Ok(Next::Send(Call::Http(Box::new(get(job, &format!("/{id}")))), mark.clone())),
            (_, Reply::Answer(answer)) => polled(job, mark, answer),
        }
    }

    fn search(&self, job: &Job<'_>, _mark: &Mark) -> Option<HttpCall> {
        (job.card.form == "searchable").then(|| get(job, &format!("?reference={}", job.reference)))
    }

    fn found(&self, job: &Job<'_>, _mark: &Mark, answer: &Answer) -> Result<Option<Mark>, Error> {
        let jobs = answer.body.get("jobs").and_then(Value::as_array).filter(|_| answer.is_success());
        let Some(jobs) = jobs else { return Err(DIALECT.error(job, answer)) };
        let id = jobs.first().map(|found| text(found, "/id")).filter(|id| is_id(id));
        Ok(id.map(|id| json!({ "id": id })))
    }

    /// A search for nothing.
    fn check(&self, credential: &Credential, base_url: &str, _service: Option<&str>) -> Option<HttpCall> {
        Some(free_get(credential, format!("{base_url}{JOBS}?reference=none")))
    }

    fn checked(&self, credential: &Credential, answer: &Answer) -> Result<(), Error> {
        DIALECT.checked(credential, answer)
    }
}

fn submit(job: &Job<'_>) -> Call {
    let mut call = call(job, Method::Post, "");
    let mut body = json!({
        "model": job.card.vendor_model, "prompt": job.request.prompt, "n": job.outputs, "reference": job.reference,
    });
    if let (Some(size), Some(fields)) = (job.request.size, body.as_object_mut()) {
        fields.insert("width".to_owned(), json!(size.width));
        fields.insert("height".to_owned(), json!(size.height));
    }
    call.body = Body::json(&body);
    call.timeout = Duration::from_millis(job.card.times.submit_timeout_ms);
    call.repeat = match job.card.form.as_str() {
        "keyed" => Repeat::Keyed { key_lifetime: KEY_LIFETIME },
        "searchable" => Repeat::Searchable { settle: SETTLE },
        _ => Repeat::Never,
    };
    call.headers.push(("idempotency-key".to_owned(), Field::Plain(job.reference.to_owned())));
    Call::Http(Box::new(call))
}

fn get(job: &Job<'_>, what: &str) -> HttpCall {
    call(job, Method::Get, what)
}

fn call(job: &Job<'_>, method: Method, what: &str) -> HttpCall {
    HttpCall {
        method,
        url: format!("{}{JOBS}{what}", job.base_url),
        headers: vec![("authorization".to_owned(), job.credential.bearer())],
        body: Body::Empty,
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: POLL_TIMEOUT,
        sign: None,
        share: None,
    }
}

/// It becomes a part of an address.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 128 && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    match text(&answer.body, "/id") {
        id if answer.is_success() && is_id(id) => Ok(Next::Wait(None, json!({ "id": id }))),
        _ => Err(DIALECT.error(job, answer)),
    }
}

fn polled(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let unclear = |reason| Err(DIALECT.because(job, answer, ErrorKind::Unclear, reason));
    match text(&answer.body, "/state") {
        // A job that was just accepted may not be known everywhere yet.
        _ if answer.status == 404 => unclear("it does not know the job yet"),
        _ if !answer.is_success() => Err(DIALECT.error(job, answer)),
        "" => unclear("it does not say how the job stands"),
        "failed" => Err(DIALECT.ended(job, answer, text(&answer.body, "/error"), "the job failed")),
        "done" => done(job, mark, answer),
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}

fn done(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let results = answer.body.get("results").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if results.is_empty() {
        return Err(DIALECT.because(job, answer, ErrorKind::Unclear, "the answer holds no result"));
    }
    let outputs = (0..).zip(results).map(|(index, result)| match text(result, "/url") {
        "" => DIALECT.failed_output(job, index, text(result, "/error"), "it failed"),
        url => {
            let media = Source::Link { url: url.to_owned(), lifetime_s: Some(LINK_LIFETIME_S) };
            Output { index, media, poster: None, failed: None }
        }
    });
    Ok(Next::Done(DIALECT.complete(job, outputs.collect()), mark.clone()))
}
