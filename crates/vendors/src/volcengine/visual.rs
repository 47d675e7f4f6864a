//! The visual service (Jimeng): tasks, with every call signed as it leaves. The `req_key` names the
//! model and the way in which it uses its pictures, and a poll needs it too.

use super::{POLL_TIMEOUT, check_frames, errors::VISUAL, has, insert, listed, seconds, seed, submit};
use crate::{
    inline::json_with_base64,
    sign::{hex, hmac, sha256_hex},
    status::{is_plain, text, word},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Kind, Mode, Role, Warning},
    task::StoredInput,
    vendor::{
        Answer, Body, Call, Field, HttpCall, Job, Leaving, Mark, Method, Next, Output, Plan, Repeat, Reply, Secret,
        Signer, Source,
    },
};
use serde_json::{Map, Value, json};

const SUBMIT: &str = "/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31";
const RESULT: &str = "/?Action=CVSync2AsyncGetResult&Version=2022-08-31";
const OK: &str = "10000";
/// Seeds are below this.
const SEEDS: u64 = 1 << 31;
const FRAMES_PER_S: u32 = 24;
const CLIP_LIFETIME_S: u64 = 3600;
const SIGNED: &str = "content-type;host;x-content-sha256;x-date";

pub fn plan(request: &Checked, card: &Model) -> Result<Plan, Error> {
    let mut plan = Plan::by_card(request, card);
    super::warn_of_seed(&mut plan, request, SEEDS);
    let has_first = has(request, Role::FirstFrame) || has(request, Role::Reference);
    check_frames(request.mode, has_first, has(request, Role::LastFrame))?;
    if card.kind == Kind::Video && has_first && request.aspect_ratio.is_some() {
        let message = "A clip that begins with a picture has that picture's ratio; it was left out.";
        plan.warnings.push(Warning::new("aspectRatio", message));
    }
    Ok(plan)
}

pub fn first(job: &Job<'_>) -> (HttpCall, Mark) {
    let Job { request, card, inputs, .. } = *job;
    let (mut pictures, last): (Vec<_>, Vec<_>) = inputs.iter().partition(|input| input.role != Role::LastFrame);
    let mode = if last.is_empty() { request.mode } else { Some(Mode::FirstLast) };
    pictures.extend(last);
    let req_key = card.vendor_model_for(mode, !pictures.is_empty());
    let mut body = Map::new();
    insert(&mut body, "req_key", Some(json!(req_key)));
    insert(&mut body, "prompt", Some(json!(request.prompt)));
    insert(&mut body, "seed", seed(job, SEEDS).map(|seed| json!(seed)));
    match card.kind {
        Kind::Video => {
            insert(&mut body, "frames", Some(json!(seconds(job) * FRAMES_PER_S + 1)));
            let ratio = listed(job).filter(|_| pictures.is_empty());
            insert(&mut body, "aspect_ratio", ratio.map(|(_, ratio)| json!(ratio)));
        }
        _ => {
            insert(&mut body, "width", request.size.map(|size| json!(size.width)));
            insert(&mut body, "height", request.size.map(|size| json!(size.height)));
        }
    }
    let empty = (!pictures.is_empty()).then(|| json!(vec![Value::Null; pictures.len()]));
    insert(&mut body, "binary_data_base64", empty);
    let mark = json!({ "req_key": req_key });
    (signed(job, submit(job, SUBMIT, with_pictures(body, &pictures))), mark)
}

fn with_pictures(body: Map<String, Value>, pictures: &[&StoredInput]) -> Body {
    let place = |at| format!("/binary_data_base64/{at}");
    let files: Vec<_> = pictures.iter().enumerate().map(|(at, picture)| (place(at), *picture)).collect();
    json_with_base64(&Value::Object(body), &files)
}

fn signed(job: &Job<'_>, mut call: HttpCall) -> HttpCall {
    call.sign = Some(Signer { credential: job.credential.clone(), hashes_body: true, sign });
    call
}

pub fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    match (text(mark, "/task_id"), reply) {
        ("", Reply::Due) => Err(VISUAL.dialect.gone()),
        ("", Reply::Answer(answer)) => submitted(job, mark, answer),
        (_, Reply::Due) => Ok(Next::Send(poll(job, mark), mark.clone())),
        (_, Reply::Answer(answer)) => polled(job, mark, answer),
    }
}

fn poll(job: &Job<'_>, mark: &Mark) -> Call {
    // The vendor wants this one as a text that is JSON.
    let options = json!({ "return_url": true }).to_string();
    let body = json!({ "req_key": mark["req_key"], "task_id": mark["task_id"], "req_json": options });
    let call = signed(job, submit(job, RESULT, Body::json(&body)));
    Call::Http(Box::new(HttpCall { repeat: Repeat::Safe, timeout: POLL_TIMEOUT, ..call }))
}

fn submitted(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let id = word(&answer.body, "/data/task_id");
    match answer.is_success() && word(&answer.body, "/code") == OK && is_plain(&id) {
        true => Ok(Next::Wait(None, json!({ "req_key": mark["req_key"], "task_id": id }))),
        false => Err(error(job, answer)),
    }
}

fn polled(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let code = word(&answer.body, "/code");
    let failed = |kind, reason| Err(VISUAL.dialect.because(job, answer, kind, reason));
    match (&*code, text(&answer.body, "/data/status")) {
        // A task that was just accepted may not be known everywhere yet.
        _ if answer.status == 404 => failed(ErrorKind::Unclear, "it does not know the task yet"),
        _ if !answer.is_success() => Err(error(job, answer)),
        (OK, "") => Err(error(job, answer)),
        (OK, "done") => done(job, mark, answer),
        (OK, "not_found" | "expired") => failed(ErrorKind::VendorLost, "its records are kept for half a day"),
        (OK, _) => Ok(Next::Wait(None, mark.clone())),
        (code, "done") => Err(VISUAL.dialect.ended(job, answer, code, text(&answer.body, "/message"))),
        _ => Err(error(job, answer)),
    }
}

/// `Success` is no reason.
fn error(job: &Job<'_>, answer: &Answer) -> Error {
    match answer.is_success() && word(&answer.body, "/code") == OK {
        true => VISUAL.dialect.because(job, answer, ErrorKind::Unclear, "the answer names no task"),
        false => VISUAL.error(job, answer),
    }
}

fn done(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let data = &answer.body["data"];
    let clip = Some(text(data, "/video_url")).filter(|_| job.card.kind == Kind::Video);
    let pictures = data["image_urls"].as_array().filter(|_| clip.is_none()).map_or(&[][..], Vec::as_slice);
    let urls = clip.into_iter().chain(pictures.iter().filter_map(Value::as_str)).filter(|url| !url.is_empty());
    let lifetime_s = clip.map(|_| CLIP_LIFETIME_S);
    let link = |url: &str| Source::Link { url: url.to_owned(), lifetime_s };
    let outputs: Vec<_> =
        (0..).zip(urls).map(|(index, url)| Output { index, media: link(url), poster: None, failed: None }).collect();
    match outputs.is_empty() {
        true => Err(VISUAL.dialect.because(job, answer, ErrorKind::Unclear, "the answer holds no result")),
        false => Ok(Next::Done(VISUAL.dialect.complete(job, outputs), mark.clone())),
    }
}

/// The headers of a call that leaves now.
fn sign(leaving: &Leaving<'_>) -> Vec<(String, Field)> {
    let secret = |at: usize| leaving.credential.0.get(at).map_or("", Secret::reveal);
    let iso = leaving.now.to_iso();
    let seconds: String = iso.chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    let date = format!("{seconds}Z");
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/cn-north-1/cv/request");
    let steps = [day, "cn-north-1", "cv", "request"];
    let key = steps.iter().fold(secret(1).as_bytes().to_vec(), |key, step| hmac(&key, step.as_bytes()));
    let to_sign = format!("HMAC-SHA256\n{date}\n{scope}\n{}", sha256_hex(canonical(leaving, &date).as_bytes()));
    let signature = hex(&hmac(&key, to_sign.as_bytes()));
    let access = secret(0);
    let authorization =
        format!("HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={SIGNED}, Signature={signature}");
    vec![
        ("x-date".to_owned(), Field::Plain(date)),
        ("x-content-sha256".to_owned(), Field::Plain(leaving.body_sha256.to_owned())),
        ("authorization".to_owned(), Field::Secret(Secret::new(authorization))),
    ]
}

fn canonical(leaving: &Leaving<'_>, date: &str) -> String {
    let Leaving { url, content_type, body_sha256, .. } = leaving;
    let method = match leaving.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
    };
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let host = place.split_once("://").map_or(place, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let mut query: Vec<_> = query.split('&').collect();
    query.sort_unstable();
    let headers = format!("content-type:{content_type}\nhost:{host}\nx-content-sha256:{body_sha256}\nx-date:{date}\n");
    // The service's only path, whatever stands before it in an address of one's own.
    format!("{method}\n/\n{}\n{headers}\n{SIGNED}\n{body_sha256}", query.join("&"))
}
