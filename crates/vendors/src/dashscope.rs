//! DashScope's pictures. From text alone: a task that is submitted and polled, so that its id
//! survives a crash. With reference pictures: one blocking call, the pictures inside the body.

use crate::{
    inline::json_with_files,
    status::{Dialect, Said, free_get, is_plain, text, word},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Warning},
    vendor::{
        Answer, Body, Call, Credential, Field, HttpCall, Job, Mark, Method, Next, Output, Plan, Repeat, Reply, Source,
        Vendor,
    },
};
use serde_json::{Map, Value, json};
use std::time::Duration;

const SUBMIT: &str = "/api/v1/services/aigc/text2image/image-synthesis";
const MESSAGES: &str = "/api/v1/services/aigc/multimodal-generation/generation";
const TASKS: &str = "/api/v1/tasks/";
const NO_TASK: &str = "00000000-0000-4000-8000-000000000000";

const LINK_LIFETIME_S: u64 = 24 * 3600;
/// The blocking form answers when the picture is made.
const BLOCKING_TIMEOUT: Duration = Duration::from_secs(300);
const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// Seeds are below this.
const SEEDS: u64 = 1 << 31;
/// The vendor cuts a longer one without a word.
const NEGATIVE_CHARS_MAX: usize = 500;

const DIALECT: Dialect = Dialect {
    name: "DashScope",
    // Two shapes: `{code, message}`, and `{error: {code, message}}` on its compatible paths.
    said: |body| Said {
        codes: [word(body, "/code"), word(body, "/error/code")],
        message: match text(body, "/message") {
            "" => text(body, "/error/message"),
            message => message,
        },
    },
    codes: &[
        ("DataInspectionFailed", ErrorKind::ModerationBlocked),
        ("data_inspection_failed", ErrorKind::ModerationBlocked),
        ("InvalidParameter", ErrorKind::VendorRefused),
        // Not moderation: its checker could not download the picture.
        ("InvalidParameter.DataInspection", ErrorKind::InputUnreachable),
        ("InvalidURL", ErrorKind::InputUnreachable),
        ("BadRequest", ErrorKind::VendorRefused),
        ("BadRequest.InputDownloadFailed", ErrorKind::InputUnreachable),
        ("ModelNotFound", ErrorKind::VendorRefused),
        ("UnsupportedOperation", ErrorKind::VendorRefused),
        ("InvalidApiKey", ErrorKind::VendorAuth),
        ("invalid_api_key", ErrorKind::VendorAuth),
        ("AccessDenied", ErrorKind::VendorAuth),
        ("Workspace.AccessDenied", ErrorKind::VendorAuth),
        // The key is good, only this model is not open to it.
        ("Model.AccessDenied", ErrorKind::VendorRefused),
        ("AccessDenied.Unpurchased", ErrorKind::VendorRefused),
        ("Arrearage", ErrorKind::VendorBalance),
        ("AllocationQuota.FreeTierOnly", ErrorKind::VendorBalance),
        ("PrepaidBillOverdue", ErrorKind::VendorBalance),
        ("PostpaidBillOverdue", ErrorKind::VendorBalance),
        ("CommodityNotPurchased", ErrorKind::VendorBalance),
        ("BudgetLimitExceeded", ErrorKind::VendorBalance),
        ("Throttling", ErrorKind::RateLimited),
        ("LimitRequests", ErrorKind::RateLimited),
        ("ModelUnavailable", ErrorKind::VendorUnavailable),
        ("RequestTimeOut", ErrorKind::Unclear),
        ("InternalError", ErrorKind::Unclear),
        ("SystemError", ErrorKind::Unclear),
    ],
};

pub struct Dashscope;

impl Vendor for Dashscope {
    fn id(&self) -> &'static str {
        "dashscope"
    }

    fn speaks(&self, card: &Model) -> bool {
        card.form == "text2image"
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        let mut plan = Plan::by_card(request, card);
        if let Some(seed) = request.seed.filter(|seed| *seed >= SEEDS) {
            let used = seed % SEEDS;
            let message = format!("{} takes seeds below {SEEDS}; {used} was used instead of {seed}.", DIALECT.name);
            plan.warnings.push(Warning::new("seed", message));
        }
        let negative = request.negative_prompt.as_ref().map_or(0, |text| text.chars().count());
        if negative > NEGATIVE_CHARS_MAX {
            let message =
                format!("{} reads only the first {NEGATIVE_CHARS_MAX} of its {negative} characters.", DIALECT.name);
            plan.warnings.push(Warning::new("negativePrompt", message));
        }
        Ok(plan)
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        let call = match job.inputs {
            [] => {
                let mut call = call(job, SUBMIT, text_body(job));
                call.headers.push(("x-dashscope-async".to_owned(), Field::Plain("enable".to_owned())));
                call
            }
            _ => HttpCall { timeout: BLOCKING_TIMEOUT, ..call(job, MESSAGES, messages_body(job)) },
        };
        Ok((Call::Http(Box::new(call)), json!({})))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        match (text(mark, "/task_id"), reply) {
            ("", Reply::Due) => Err(DIALECT.gone()),
            ("", Reply::Answer(answer)) if job.inputs.is_empty() => submitted(job, answer),
            ("", Reply::Answer(answer)) => pictured(job, mark, answer),
            (id, Reply::Due) => Ok(Next::Send(poll(job, id), mark.clone())),
            (_, Reply::Answer(answer)) => polled(job, mark, answer),
        }
    }

    /// A task that never was: its state is `UNKNOWN` to whoever has a good key.
    fn check(&self, credential: &Credential, base_url: &str, _service: Option<&str>) -> Option<HttpCall> {
        Some(free_get(credential, format!("{base_url}{TASKS}{NO_TASK}")))
    }

    fn checked(&self, credential: &Credential, answer: &Answer) -> Result<(), Error> {
        DIALECT.checked(credential, answer)
    }
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
    }
}

fn poll(job: &Job<'_>, id: &str) -> Call {
    let call = call(job, &format!("{TASKS}{id}"), Body::Empty);
    Call::Http(Box::new(HttpCall { method: Method::Get, repeat: Repeat::Safe, timeout: POLL_TIMEOUT, ..call }))
}

fn text_body(job: &Job<'_>) -> Body {
    let mut input = Map::from_iter([("prompt".to_owned(), json!(job.request.prompt))]);
    insert(&mut input, "negative_prompt", job.request.negative_prompt.as_ref().map(|text| json!(text)));
    Body::json(&json!({ "model": job.card.vendor_model, "input": input, "parameters": parameters(job) }))
}

fn messages_body(job: &Job<'_>) -> Body {
    let mut parameters = parameters(job);
    insert(&mut parameters, "negative_prompt", job.request.negative_prompt.as_ref().map(|text| json!(text)));
    let mut content: Vec<Value> = job.inputs.iter().map(|_| json!({ "image": null })).collect();
    content.push(json!({ "text": job.request.prompt }));
    let body = json!({
        "model": job.card.vendor_model_ref.as_ref().unwrap_or(&job.card.vendor_model),
        "input": { "messages": [{ "role": "user", "content": content }] },
        "parameters": parameters,
    });
    let place = |at| format!("/input/messages/0/content/{at}/image");
    let files: Vec<_> = job.inputs.iter().enumerate().map(|(at, input)| (place(at), input)).collect();
    json_with_files(&body, &files)
}

fn parameters(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    // Results of one task differ as the vendor's own several results do: by the next seed.
    let seed = request.seed.map(|seed| (seed % SEEDS + u64::from(job.first)) % SEEDS);
    // A rewritten prompt would make a fixed seed useless.
    let extend = request.extra.get("prompt_extend").and_then(Value::as_bool).unwrap_or(seed.is_none());
    let mut all = Map::new();
    insert(&mut all, "size", request.size.map(|size| json!(size)));
    // Left out, it may mean four paid pictures.
    insert(&mut all, "n", Some(json!(1)));
    insert(&mut all, "prompt_extend", Some(json!(extend)));
    insert(&mut all, "watermark", Some(json!(false)));
    insert(&mut all, "seed", seed.map(|seed| json!(seed)));
    all
}

fn insert(into: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    into.extend(value.map(|value| (name.to_owned(), value)));
}

fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let id = text(&answer.body, "/output/task_id");
    match answer.is_success() && is_plain(id) {
        true => Ok(Next::Wait(None, json!({ "task_id": id }))),
        false => Err(DIALECT.error(job, answer)),
    }
}

fn polled(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let output = |name: &str| text(&answer.body, &format!("/output/{name}"));
    let failed = |kind, reason| Err(DIALECT.because(job, answer, kind, reason));
    match output("task_status") {
        // A task that was just accepted may not be known everywhere yet.
        _ if answer.status == 404 => failed(ErrorKind::Unclear, "it does not know the task yet"),
        _ if !answer.is_success() => Err(DIALECT.error(job, answer)),
        "" => Err(DIALECT.error(job, answer)),
        "SUCCEEDED" => succeeded(job, mark, answer),
        "FAILED" => Err(DIALECT.ended(job, answer, output("code"), output("message"))),
        "CANCELED" => failed(ErrorKind::VendorFailed, "the task was canceled"),
        "UNKNOWN" => failed(ErrorKind::VendorLost, "its records are kept for a day"),
        _ => Ok(Next::Wait(None, mark.clone())),
    }
}

/// A task that succeeded may still hold results that failed.
fn succeeded(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let items = answer.body.pointer("/output/results").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match items.first() {
        Some(first) if items.iter().all(|item| text(item, "/url").is_empty()) => {
            return Err(DIALECT.ended(job, answer, text(first, "/code"), text(first, "/message")));
        }
        _ => {}
    }
    let outputs = (0..).zip(items).map(|(index, item)| match text(item, "/url") {
        "" => DIALECT.failed_output(job, index, text(item, "/code"), text(item, "/message")),
        url => picture(index, url),
    });
    done(job, mark, answer, outputs.collect())
}

fn pictured(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let choices = answer.body.pointer("/output/choices").and_then(Value::as_array).filter(|_| answer.is_success());
    let Some(choices) = choices else { return Err(DIALECT.error(job, answer)) };
    let contents = choices.iter().filter_map(|choice| choice.pointer("/message/content")?.as_array()).flatten();
    let urls = contents.map(|item| text(item, "/image")).filter(|url| !url.is_empty());
    done(job, mark, answer, (0..).zip(urls).map(|(index, url)| picture(index, url)).collect())
}

fn done(job: &Job<'_>, mark: &Mark, answer: &Answer, outputs: Vec<Output>) -> Result<Next, Error> {
    match outputs.is_empty() {
        true => Err(DIALECT.because(job, answer, ErrorKind::Unclear, "the answer holds no picture")),
        false => Ok(Next::Done(DIALECT.complete(job, outputs), mark.clone())),
    }
}

fn picture(index: u32, url: &str) -> Output {
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
