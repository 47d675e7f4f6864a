// tidy: pictures in four wire forms, clips in three, speech, and a store for inputs
//! DashScope: pictures, clips and speech. What takes long is a task that is submitted and polled, so
//! that its id survives a crash; the rest is one blocking call. Pictures go inside the body; sound
//! and film go to the vendor's own store first.

mod answer;
mod image;
mod plan;
mod speech;
mod upload;
mod video;

use crate::{
    chat::Completions,
    status::{Dialect, Said, free_get, text, word},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    chat::Relay,
    request::{Checked, Mode},
    vendor::{Answer, Body, Call, Credential, Field, HttpCall, Job, Mark, Method, Next, Plan, Repeat, Reply, Vendor},
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use video::{Style, Use};

const AIGC: &str = "/api/v1/services/aigc/";
const TASKS: &str = "/api/v1/tasks/";
const NO_TASK: &str = "00000000-0000-4000-8000-000000000000";

/// The blocking form answers when the result is made.
const BLOCKING_TIMEOUT: Duration = Duration::from_secs(300);
const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// Seeds are below this.
const SEEDS: u64 = 1 << 31;

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

static CHAT: Completions = Completions(&DIALECT);

/// How a request is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// Text alone, as fields.
    Text,
    /// Pictures as a list of fields.
    Pictures,
    /// A message, answered when its pictures are made.
    Message,
    /// The same for a model that takes few parameters and refuses the others.
    BareMessage,
    /// A message that becomes a task.
    MessageTask,
    Clip(Style),
    Speech,
}

/// The forms of the catalogue: their wire without inputs, and with.
const FORMS: &[(&str, Wire, Wire)] = &[
    ("text2image", Wire::Text, Wire::Message),
    ("image2image", Wire::Text, Wire::Pictures),
    ("messages", Wire::Message, Wire::Message),
    ("messages-bare", Wire::BareMessage, Wire::BareMessage),
    ("image-generation", Wire::MessageTask, Wire::MessageTask),
    ("video-synthesis", Wire::Clip(Style::Fields), Wire::Clip(Style::Fields)),
    ("video-frames", Wire::Clip(Style::Frames), Wire::Clip(Style::Frames)),
    ("video-media", Wire::Clip(Style::Media), Wire::Clip(Style::Media)),
    ("speech", Wire::Speech, Wire::Speech),
];

impl Wire {
    fn of(card: &Model, has_inputs: bool) -> Option<Self> {
        let (_, plain, with_inputs) = FORMS.iter().find(|(name, ..)| *name == card.form)?;
        Some(if has_inputs { *with_inputs } else { *plain })
    }

    fn path(self) -> &'static str {
        match self {
            Self::Text => "text2image/image-synthesis",
            Self::Pictures => "image2image/image-synthesis",
            Self::Message | Self::BareMessage | Self::Speech => "multimodal-generation/generation",
            Self::MessageTask => "image-generation/generation",
            Self::Clip(_) => "video-generation/video-synthesis",
        }
    }

    fn is_blocking(self) -> bool {
        matches!(self, Self::Message | Self::BareMessage | Self::Speech)
    }
}

pub struct Dashscope;

impl Vendor for Dashscope {
    fn id(&self) -> &'static str {
        "dashscope"
    }

    fn speaks(&self, card: &Model) -> bool {
        Wire::of(card, false).is_some()
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        let warnings = plan::warnings(request, card)?;
        Ok(Plan { warnings, ..Plan::by_card(request, card) })
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        match upload::wanted(job).is_empty() {
            true => Ok((submit(job, &[])?, json!({}))),
            false => Ok((upload::ask(job)?, upload::mark(&[]))),
        }
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        match (text(mark, "/task_id"), reply) {
            ("", _) if upload::is_open(job, mark) => upload::next(job, mark, reply),
            ("", Reply::Due) => Err(DIALECT.gone()),
            ("", Reply::Answer(answer)) => match wire(job)?.is_blocking() {
                true => answer::made(job, mark, answer),
                false => answer::submitted(job, answer),
            },
            (id, Reply::Due) => Ok(Next::Send(poll(job, id), mark.clone())),
            (_, Reply::Answer(answer)) => answer::polled(job, mark, answer),
        }
    }

    /// A task that never was: its state is `UNKNOWN` to whoever has a good key.
    fn check(&self, credential: &Credential, base_url: &str, _service: Option<&str>) -> Option<HttpCall> {
        Some(free_get(credential, format!("{base_url}{TASKS}{NO_TASK}")))
    }

    fn checked(&self, credential: &Credential, answer: &Answer) -> Result<(), Error> {
        DIALECT.checked(credential, answer)
    }

    fn chat(&self, card: &Model) -> Option<&dyn Relay> {
        CHAT.of(card)
    }
}

fn wire(job: &Job<'_>) -> Result<Wire, Error> {
    let unknown = || Error::new(ErrorKind::Internal, format!("No wire form of '{}' is known.", job.card.id()));
    Wire::of(job.card, !job.inputs.is_empty()).ok_or_else(unknown)
}

/// The vendor's own id for what the inputs ask for; empty where the model cannot do without some.
fn vendor_model(card: &Model, usage: Use, has_last_frame: bool) -> &str {
    let mode = match usage {
        Use::References => Some(Mode::Reference),
        Use::Clip => Some(Mode::Extend),
        Use::Frames if has_last_frame => Some(Mode::FirstLast),
        Use::Frames | Use::Text => None,
    };
    card.vendor_model_for(mode, usage != Use::Text)
}

/// The paid call; `uploaded` are the addresses of what lies in the vendor's store.
fn submit(job: &Job<'_>, uploaded: &[String]) -> Result<Call, Error> {
    let wire = wire(job)?;
    let body = match wire {
        Wire::Text => image::text(job),
        Wire::Pictures => image::pictures(job),
        Wire::Message | Wire::BareMessage | Wire::MessageTask => image::message(job, wire),
        Wire::Clip(style) => video::body(job, style, uploaded),
        Wire::Speech => speech::body(job),
    };
    let mut call = call(job, &format!("{AIGC}{}", wire.path()), body);
    let mut enable = |name: &str| call.headers.push((name.to_owned(), Field::Plain("enable".to_owned())));
    if !uploaded.is_empty() {
        enable("x-dashscope-ossresourceresolve");
    }
    match wire.is_blocking() {
        true => call.timeout = BLOCKING_TIMEOUT,
        false => enable("x-dashscope-async"),
    }
    Ok(Call::Http(Box::new(call)))
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

/// A call that costs nothing.
fn ask(job: &Job<'_>, path: &str) -> Call {
    let call = call(job, path, Body::Empty);
    Call::Http(Box::new(HttpCall { method: Method::Get, repeat: Repeat::Safe, timeout: POLL_TIMEOUT, ..call }))
}

fn poll(job: &Job<'_>, id: &str) -> Call {
    ask(job, &format!("{TASKS}{id}"))
}

/// The parameters that pictures and clips share, with those that the card names.
fn parameters(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let params = &job.card.params;
    let mut all = Map::new();
    insert(&mut all, "watermark", Some(json!(false)));
    // Results of one task differ as the vendor's own several results do: by the next seed.
    insert(&mut all, "seed", request.seed.map(|seed| json!((seed % SEEDS + u64::from(job.first)) % SEEDS)));
    insert(&mut all, "prompt_extend", params.get("prompt_extend").map(|_| json!(plan::extends(request))));
    let own = request.extra.iter().filter(|(name, _)| *name != "prompt_extend" && params.contains_key(*name));
    all.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// The prompt, and what is not wanted beside it.
fn prompts(job: &Job<'_>) -> Map<String, Value> {
    let mut input = Map::from_iter([("prompt".to_owned(), json!(job.request.prompt))]);
    insert(&mut input, "negative_prompt", job.request.negative_prompt.as_ref().map(|text| json!(text)));
    input
}

fn insert(into: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    into.extend(value.map(|value| (name.to_owned(), value)));
}
