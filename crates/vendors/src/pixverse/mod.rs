//! PixVerse's clips, by the key of its platform: inputs are uploaded, then one paid submission names
//! them, then it is polled. Its consumer accounts are another service, with another wire form: see
//! [`account`].
// tidy: two services that share a name and a few codes, and neither paths, bodies nor states

mod account;
mod account_calls;
mod account_errors;
mod body;
mod dialect;
mod form;

use crate::{
    sign::sha256_hex,
    status::{text, word},
};
use dialect::{DIALECT, error, id, is_good};
use form::{Form, choose};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Role},
    task::StoredInput,
    vendor::{
        Answer, Body, Call, Credential, Field, FormField, FormValue, HttpCall, Job, Leaving, Mark, Method, Next,
        Output, Plan, Repeat, Reply, Signer, Source, Vendor,
    },
};
use serde_json::{Value, json};
use std::time::Duration;

const PREFIX: &str = "/openapi/v2";
const TRACE: &str = "ai-trace-id";
const POLL_TIMEOUT: Duration = Duration::from_secs(30);
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// A new task is not known everywhere at once, and it is the question that was refused, not a task
/// that was paid for: how often in a row, and the first wait.
const REFUSED_MAX: u64 = 5;
const REFUSED_WAIT: Duration = Duration::from_secs(2);

/// The numbers of a task's state that end it without a result. Every other is "generating": some
/// are documented so (2, 3, 5), one is read in contrary ways (10), and one may be new.
const ENDS: [(&str, ErrorKind, &str); 4] = [
    ("6", ErrorKind::VendorDeleted, "the video was deleted"),
    ("7", ErrorKind::ModerationBlocked, "the video did not pass the moderation of its contents"),
    ("8", ErrorKind::VendorFailed, "the generation failed"),
    ("9", ErrorKind::VendorFailed, "the generation failed"),
];

pub struct PixVerse;

impl Vendor for PixVerse {
    fn id(&self) -> &'static str {
        "pixverse"
    }

    fn speaks(&self, card: &Model) -> bool {
        card.form == "generate" || card.form == account::FORM
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        if card.form == account::FORM {
            return account::plan(request, card);
        }
        let roles: Vec<Role> = request.inputs.iter().map(|input| input.role).collect();
        let form = choose(request.mode, &roles)?;
        let mut plan = Plan::by_card(request, card);
        plan.warnings = body::judge(form, request, card)?;
        // The price is that of a new clip; what works on a given one is charged in another way.
        plan.cost = plan.cost.filter(|_| form.carries("duration"));
        Ok(plan)
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        if job.card.form == account::FORM {
            return account::first(job);
        }
        let form = form_of(job)?;
        form.files(job.inputs).into_iter().try_for_each(|(role, file)| body::check(role, file))?;
        Ok(ahead(job, form, &[]))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        if job.card.form == account::FORM {
            return account::next(job, mark, reply);
        }
        let form = form_of(job)?;
        let media = uploaded(mark);
        match (text(mark, "/video_id"), reply) {
            // The mark of a form without uploads stands for a submission: that is made once.
            ("", Reply::Due) if form.inputs.is_empty() => Err(DIALECT.gone()),
            ("", Reply::Due) => Ok(send(ahead(job, form, &media))),
            ("", Reply::Answer(answer)) if media.len() < form.inputs.len() => stored(job, form, media, answer),
            ("", Reply::Answer(answer)) => submitted(job, answer),
            (id, Reply::Due) => Ok(Next::Send(poll(job, id), mark.clone())),
            (id, Reply::Answer(answer)) => polled(job, id, mark, answer),
        }
    }

    /// A slot's progress beside its video changes; that is the job.
    fn job_name(&self, mark: &Mark) -> Option<String> {
        let id = text(mark, "/video_id");
        (!id.is_empty()).then(|| named(id).to_string())
    }

    fn check(&self, credential: &Credential, base_url: &str, service: Option<&str>) -> Option<HttpCall> {
        service.map(|_| account_calls::credits(credential, base_url))
    }

    fn checked(&self, credential: &Credential, answer: &Answer) -> Result<(), Error> {
        account_errors::checked(credential, answer)
    }
}

fn form_of(job: &Job<'_>) -> Result<&'static Form, Error> {
    let roles: Vec<Role> = job.inputs.iter().map(|input| input.role).collect();
    choose(job.request.mode, &roles)
}

/// The ids of what was uploaded so far.
fn uploaded(mark: &Mark) -> Vec<String> {
    let ids = mark.get("media").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The next upload, or the submission when nothing is left to upload.
fn ahead(job: &Job<'_>, form: &Form, media: &[String]) -> (Call, Mark) {
    let call = match form.files(job.inputs).get(media.len()) {
        Some((role, file)) => upload(job, *role, file),
        None => submit(job, form, media),
    };
    (Call::Http(Box::new(call)), json!({ "media": media }))
}

fn send((call, mark): (Call, Mark)) -> Next {
    Next::Send(call, mark)
}

fn call(job: &Job<'_>, path: &str, body: Body) -> HttpCall {
    let key = job.credential.0.first().cloned();
    HttpCall {
        method: Method::Post,
        url: format!("{}{PREFIX}{path}", job.base_url),
        headers: key.map(|key| ("api-key".to_owned(), Field::Secret(key))).into_iter().collect(),
        body,
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: POLL_TIMEOUT,
        sign: Some(Signer { credential: job.credential.clone(), hashes_body: false, sign: trace }),
        share: None,
    }
}

/// The vendor answers a trace id that it knows with its first answer, whatever is asked.
fn trace(leaving: &Leaving<'_>) -> Vec<(String, Field)> {
    vec![(TRACE.to_owned(), Field::Plain(uuid(leaving.nonce)))]
}

/// A UUID of version 4 out of 32 hexadecimal digits.
fn uuid(hex: &str) -> String {
    let place = |(at, digit): (usize, char)| {
        let digit = match at {
            12 => '4',
            16 => '8',
            _ => digit,
        };
        let dash = matches!(at, 8 | 12 | 16 | 20).then_some('-');
        dash.into_iter().chain([digit])
    };
    hex.chars().take(32).enumerate().flat_map(place).collect()
}

fn upload(job: &Job<'_>, role: Role, file: &StoredInput) -> HttpCall {
    let (path, name) = match role {
        Role::Video | Role::Audio => ("/media/upload", "file"),
        Role::Reference | Role::FirstFrame | Role::LastFrame => ("/image/upload", "image"),
    };
    let facts = &file.facts;
    let value = FormValue::File {
        file_name: format!("input.{}", facts.ext),
        content_type: facts.content_type.clone(),
        sha256: facts.sha256.clone(),
        bytes: facts.bytes,
    };
    let body = Body::Multipart(vec![FormField { name: name.to_owned(), value }]);
    HttpCall { timeout: UPLOAD_TIMEOUT, ..call(job, path, body) }
}

/// A trace id is no promise about a repeat, so this is sent again only where nothing was accepted.
/// Such an attempt needs another id, or it would be answered with the refusal of the one before.
fn submit(job: &Job<'_>, form: &Form, media: &[String]) -> HttpCall {
    let mut call = call(job, form.path, body::submission(job, form, media));
    let digest = sha256_hex(format!("{} {}", job.reference, job.now.0).as_bytes());
    call.headers.push((TRACE.to_owned(), Field::Plain(uuid(&digest))));
    let timeout = Duration::from_millis(job.card.times.submit_timeout_ms);
    HttpCall { repeat: Repeat::Never, sign: None, timeout, ..call }
}

fn poll(job: &Job<'_>, id: &str) -> Call {
    let call = call(job, &format!("/video/result/{id}"), Body::Empty);
    Call::Http(Box::new(HttpCall { method: Method::Get, ..call }))
}

fn stored(job: &Job<'_>, form: &Form, mut media: Vec<String>, answer: &Answer) -> Result<Next, Error> {
    let files = form.files(job.inputs);
    let pointer = match files.get(media.len()) {
        Some((Role::Video | Role::Audio, _)) => "/Resp/media_id",
        _ => "/Resp/img_id",
    };
    media.push(id_or_error(job, answer, pointer)?);
    Ok(send(ahead(job, form, &media)))
}

fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let id = id_or_error(job, answer, "/Resp/video_id")?;
    Ok(Next::Wait(None, named(&id)))
}

fn id_or_error(job: &Job<'_>, answer: &Answer, pointer: &str) -> Result<String, Error> {
    match id(answer, pointer) {
        _ if !is_good(answer) => Err(error(job, answer)),
        Some(id) => Ok(id),
        None => Err(DIALECT.because(job, answer, ErrorKind::Unclear, "the answer holds no id")),
    }
}

fn named(id: &str) -> Mark {
    json!({ "video_id": id })
}

fn polled(job: &Job<'_>, id: &str, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    if !is_good(answer) {
        return not_told(job, id, mark, answer);
    }
    let state = word(&answer.body, "/Resp/status");
    let about = word(&answer.body, "/Resp/id");
    if state.is_empty() || !(about.is_empty() || about == id) {
        let reason = "the answer says nothing of this video";
        return Err(DIALECT.because(job, answer, ErrorKind::Unclear, reason));
    }
    match (state.as_ref(), text(&answer.body, "/Resp/url")) {
        // A finished one without an address is not there yet.
        ("1", url) if !url.is_empty() => {
            let media = Source::Link { url: url.to_owned(), lifetime_s: None };
            let clip = Output { index: 0, media, poster: None, failed: None };
            Ok(Next::Done(DIALECT.complete(job, vec![clip]), named(id)))
        }
        (state, _) => match ENDS.iter().find(|(known, ..)| *known == state) {
            Some((_, kind, reason)) => Err(DIALECT.because(job, answer, *kind, reason)),
            None => Ok(Next::Wait(None, named(id))),
        },
    }
}

/// A refusal comes with HTTP 200, by which the engine cannot tell it from the end of the task.
fn not_told(job: &Job<'_>, id: &str, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let error = error(job, answer);
    let times = mark.get("refused").and_then(Value::as_u64).unwrap_or(0) + 1;
    let is_refusal = matches!(error.kind, ErrorKind::VendorRefused | ErrorKind::InputUnreachable);
    match u32::try_from(times) {
        Ok(count) if is_refusal && answer.is_success() && times <= REFUSED_MAX => {
            Ok(Next::Wait(Some(REFUSED_WAIT * count), json!({ "video_id": id, "refused": times })))
        }
        _ if word(&answer.body, "/ErrCode") == "500008" => {
            Err(DIALECT.because(job, answer, ErrorKind::VendorLost, text(&answer.body, "/ErrMsg")))
        }
        _ => Err(error),
    }
}
