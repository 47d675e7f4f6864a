//! OpenAI's pictures: one blocking call that answers with base64. With reference pictures it is
//! an edit, sent as a form. A lost answer cannot be asked for again and may have been charged.

use crate::status::{Dialect, Said, free_get, text, word};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::Checked,
    task::StoredInput,
    vendor::{
        Answer, Body, Call, Credential, Encoding, FormField, FormValue, HttpCall, Job, Mark, MediaAt, Method, Next,
        Output, Plan, Repeat, Reply, Source, Staged, Vendor,
    },
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long a link lived where one was returned instead of base64.
const LINK_LIFETIME_S: u64 = 3600;

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

pub struct OpenAi;

impl Vendor for OpenAi {
    fn id(&self) -> &'static str {
        "openai"
    }

    fn speaks(&self, card: &Model) -> bool {
        card.form == "images"
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        Ok(Plan::by_card(request, card))
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        let (path, body) = match job.inputs {
            [] => ("generations", Body::json(&Value::Object(fields(job)))),
            pictures => ("edits", form(fields(job), pictures)),
        };
        let call = HttpCall {
            method: Method::Post,
            url: format!("{}/images/{path}", job.base_url),
            headers: vec![("authorization".to_owned(), job.credential.bearer())],
            body,
            repeat: Repeat::Never,
            media: vec![MediaAt::Json { pointer: "/data/*/b64_json".to_owned(), encoding: Encoding::Base64 }],
            timeout: Duration::from_millis(job.card.times.submit_timeout_ms),
            sign: None,
        };
        Ok((Call::Http(Box::new(call)), Mark::Null))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        let Reply::Answer(answer) = reply else { return Err(DIALECT.gone()) };
        let items = answer.body.get("data").and_then(Value::as_array).filter(|_| answer.is_success());
        let Some(items) = items else { return Err(refused(job, answer)) };
        let outputs: Vec<Output> = (0..).zip(items).map(|(index, item)| output(job, index, item)).collect();
        if outputs.iter().all(|output| output.failed.is_some()) {
            let reason = "the answer holds no picture";
            return Err(DIALECT.because(job, answer, ErrorKind::Unclear, reason));
        }
        Ok(Next::Done(DIALECT.complete(job, outputs), mark.clone()))
    }

    /// The list of models.
    fn check(&self, credential: &Credential, base_url: &str, _service: Option<&str>) -> Option<HttpCall> {
        Some(free_get(credential, format!("{base_url}/models")))
    }

    fn checked(&self, credential: &Credential, answer: &Answer) -> Result<(), Error> {
        DIALECT.checked(credential, answer)
    }
}

/// The fields that both calls share. `response_format` stays out: these models refuse it.
fn fields(job: &Job<'_>) -> Map<String, Value> {
    let Job { request, card, .. } = job;
    let mut fields = Map::new();
    let model = card.vendor_model_ref.as_ref().filter(|_| !job.inputs.is_empty()).unwrap_or(&card.vendor_model);
    fields.insert("model".to_owned(), json!(model));
    fields.insert("prompt".to_owned(), json!(request.prompt));
    fields.insert("n".to_owned(), json!(job.outputs));
    if let Some(size) = request.size {
        fields.insert("size".to_owned(), json!(format!("{}x{}", size.width, size.height)));
    }
    let listed = card.params.keys().filter_map(|name| Some((name.clone(), request.extra.get(name)?.clone())));
    fields.extend(listed);
    fields
}

fn form(fields: Map<String, Value>, pictures: &[StoredInput]) -> Body {
    let texts = fields.into_iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        FormField { name, value: FormValue::Text(text) }
    });
    // The vendor wants another name for several files than for one.
    let name = if pictures.len() == 1 { "image" } else { "image[]" };
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

fn output(job: &Job<'_>, index: u32, item: &Value) -> Output {
    let staged = item.get("b64_json").and_then(Staged::from_json).map(Source::Staged);
    // Other servers of this wire form answer with links.
    let link = item.get("url").and_then(Value::as_str).filter(|url| !url.is_empty());
    let link = link.map(|url| Source::Link { url: url.to_owned(), lifetime_s: Some(LINK_LIFETIME_S) });
    match staged.or(link) {
        Some(media) => Output { index, media, poster: None, failed: None },
        None => DIALECT.failed_output(job, index, "", "it returned no picture"),
    }
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
