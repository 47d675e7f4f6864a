//! OpenAI's pictures and speech: blocking calls whose answer holds the media, so that a lost answer
//! cannot be asked for again and may have been charged. Clips are jobs that are polled; the vendor
//! has ended that service, and other servers go on speaking its wire form.

mod images;
mod speech;
mod videos;

use crate::{
    chat::Completions,
    status::{Dialect, Said, free_get, text, word},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    chat::Relay,
    request::Checked,
    task::StoredInput,
    vendor::{
        Answer, Body, Call, Credential, FormField, FormValue, HttpCall, Job, Mark, MediaAt, Method, Next, Output, Plan,
        Repeat, Reply, Source, Vendor,
    },
};
use serde_json::{Map, Value, json};
use std::time::Duration;

const DIALECT: Dialect = Dialect {
    name: "OpenAI",
    said: |body| Said {
        codes: [word(body, "/error/code"), word(body, "/error/type")],
        message: text(body, "/error/message"),
    },
    codes: &[
        ("moderation_blocked", ErrorKind::ModerationBlocked),
        ("content_policy_violation", ErrorKind::ModerationBlocked),
        ("billing_hard_limit_reached", ErrorKind::VendorBalance),
        ("insufficient_quota", ErrorKind::VendorBalance),
        ("rate_limit_exceeded", ErrorKind::RateLimited),
        ("invalid_api_key", ErrorKind::VendorAuth),
        ("unsupported_country_region_territory", ErrorKind::VendorAuth),
        ("model_not_found", ErrorKind::VendorRefused),
        ("invalid_value", ErrorKind::VendorRefused),
        ("unknown_parameter", ErrorKind::VendorRefused),
        ("missing_required_parameter", ErrorKind::VendorRefused),
        ("string_above_max_length", ErrorKind::VendorRefused),
        ("unsupported_value", ErrorKind::VendorRefused),
        // No page says that these mean "not accepted", so a picture may be on its way.
        ("server_error", ErrorKind::Unclear),
        ("service_unavailable", ErrorKind::Unclear),
    ],
};

static CHAT: Completions = Completions(&DIALECT);

/// One of the wire forms.
struct Form {
    /// In the catalogue.
    name: &'static str,
    first: fn(&Job<'_>) -> HttpCall,
    next: fn(&Job<'_>, &Mark, &Reply) -> Result<Next, Error>,
}

const FORMS: &[Form] = &[
    Form { name: "images", first: images::first, next: images::next },
    Form { name: "speech", first: speech::first, next: speech::next },
    Form { name: "videos", first: videos::first, next: videos::next },
];

fn form(card: &Model) -> Result<&'static Form, Error> {
    let unknown = || Error::new(ErrorKind::Internal, format!("No wire form of '{}' is known.", card.id()));
    FORMS.iter().find(|form| form.name == card.form).ok_or_else(unknown)
}

pub struct OpenAi;

impl Vendor for OpenAi {
    fn id(&self) -> &'static str {
        "openai"
    }

    fn speaks(&self, card: &Model) -> bool {
        form(card).is_ok()
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        Ok(Plan::by_card(request, card))
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        Ok((Call::Http(Box::new((form(job.card)?.first)(job))), Mark::Null))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        (form(job.card)?.next)(job, mark, reply)
    }

    /// The list of models.
    fn check(&self, credential: &Credential, base_url: &str, _service: Option<&str>) -> Option<HttpCall> {
        Some(free_get(credential, format!("{base_url}/models")))
    }

    fn checked(&self, credential: &Credential, answer: &Answer) -> Result<(), Error> {
        DIALECT.checked(credential, answer)
    }

    fn chat(&self, card: &Model) -> Option<&dyn Relay> {
        CHAT.of(card)
    }
}

/// A paid call.
fn call(job: &Job<'_>, path: &str, body: Body, media: Option<MediaAt>) -> HttpCall {
    HttpCall {
        method: Method::Post,
        url: format!("{}{path}", job.base_url),
        headers: vec![("authorization".to_owned(), job.credential.bearer())],
        body,
        repeat: Repeat::Never,
        media: media.into_iter().collect(),
        timeout: Duration::from_millis(job.card.times.submit_timeout_ms),
        sign: None,
        share: None,
    }
}

/// What the card lists and the caller gave.
fn extras(job: &Job<'_>) -> impl Iterator<Item = (String, Value)> {
    job.card.params.keys().filter_map(|name| Some((name.clone(), job.request.extra.get(name)?.clone())))
}

fn size(job: &Job<'_>) -> Option<Value> {
    job.request.size.map(|size| json!(format!("{}x{}", size.width, size.height)))
}

/// A form of the fields and of each picture, under one name.
fn multipart(fields: Map<String, Value>, name: &str, pictures: &[StoredInput]) -> Body {
    let texts = fields.into_iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        FormField { name, value: FormValue::Text(text) }
    });
    let files = pictures.iter().enumerate().map(|(at, StoredInput { facts, .. })| FormField {
        name: name.to_owned(),
        value: FormValue::File {
            file_name: format!("image-{at}.{}", facts.ext),
            content_type: facts.content_type.clone(),
            sha256: facts.sha256.clone(),
            bytes: facts.bytes,
        },
    });
    Body::Multipart(texts.chain(files).collect())
}

/// The result that was the whole of an answer.
fn whole(job: &Job<'_>, mark: &Mark, answer: &Answer, noun: &str) -> Result<Next, Error> {
    let Some(staged) = answer.staged.first() else {
        let error = refused(job, answer);
        let is_known = error.kind != ErrorKind::Unclear;
        let reason = format!("the answer holds no {noun}");
        return Err(if is_known { error } else { DIALECT.because(job, answer, ErrorKind::Unclear, &reason) });
    };
    let media = Source::Staged(staged.clone());
    let output = Output { index: 0, media, poster: None, failed: None };
    Ok(Next::Done(DIALECT.complete(job, vec![output]), mark.clone()))
}

fn refused(job: &Job<'_>, answer: &Answer) -> Error {
    let error = DIALECT.error(job, answer);
    let hint = error.retry_after.or_else(|| (error.kind == ErrorKind::RateLimited).then(|| reset(answer)).flatten());
    error.with_retry_after(hint)
}

/// When the budget that is used up fills again, by the vendor's own headers.
fn reset(answer: &Answer) -> Option<Duration> {
    let used_up = ["requests", "tokens"]
        .into_iter()
        .filter(|budget| answer.header(&format!("x-ratelimit-remaining-{budget}")).map(str::trim) == Some("0"));
    let waits = used_up.filter_map(|budget| duration(answer.header(&format!("x-ratelimit-reset-{budget}"))?.trim()));
    waits.max()
}

/// Reads `6m0s`, `1.5s` or `20ms`; at most an hour.
fn duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let scale =
            [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)].into_iter().find(|(name, _)| *name == unit)?.1;
        seconds += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(Duration::from_secs(3600)))
}
