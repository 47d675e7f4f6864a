//! Kling: clips by both generations of its API, pictures and speech by the older one. A task is
//! asked for one at a time; the lists of tasks judge what they are asked and are empty.

use crate::{
    KEY, SECRET,
    answer::Whole,
    vendor::{Ask, Asked, Facts, Made, Refusal, State, Vendor},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;

mod current;
mod legacy;

/// Ids are numbers beyond what a float holds, written as text.
const FIRST_ID: u64 = 874_910_000_000_000_000;
const CLIP_RATIOS: &[&str] = &["16:9", "9:16", "1:1"];
const AT_MS: u64 = 1_795_186_800_000;

pub(crate) struct Kling;

impl Vendor for Kling {
    fn id(&self) -> &'static str {
        "kling"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("KLING_BASE_URL", "")
    }

    /// The key, or on the older paths a token that was made with key and secret. Its time is judged
    /// later, for it has words of its own.
    fn admits(&self, asked: &Asked) -> bool {
        let token = asked.bearer().unwrap_or_default();
        token == KEY || (asked.path.starts_with("/v1/") && claims(token).is_some())
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        if let Some(claims) = claims(asked.bearer().unwrap_or_default()) {
            in_time(&claims)?;
        }
        let path = asked.path.trim_matches('/');
        match (&asked.method, path.split_once('/')) {
            (&Method::POST, None) if path == current::FORM => current::list(asked),
            (&Method::POST, Some(("v1", path))) => legacy::read(asked, path),
            (&Method::POST, Some((kind, model))) if current::takes(kind) => current::submit(asked, kind, model),
            (&Method::GET, None) if path == current::FORM => tasks(asked),
            (&Method::GET, Some(("v1", path))) if legacy::is_list(path) => legacy::list(asked),
            (&Method::GET, Some(("v1", path))) => match path.rsplit_once('/') {
                Some((_, id)) if is_own(id) => Ok(Ask::Poll(id.to_owned())),
                Some((_, reference)) => Ok(Ask::Search(reference.to_owned())),
                None => Ok(Ask::Nothing),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn knows(&self, job: &Facts<'_>, asked: &Asked) -> bool {
        asked.path.split('/').any(|part| part == job.entry.form)
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        match refusal {
            Refusal::BadRequest => bad("Invalid parameter: seed"),
            Refusal::Unauthorized => error(401, 1002, "Authorization is invalid"),
            Refusal::PaymentRequired => error(429, 1102, "Account balance not enough"),
            Refusal::Forbidden => error(403, 1103, "No permission to access this model"),
            Refusal::NotFound => error(404, 1203, "The requested resource does not exist"),
            Refusal::Unprocessable => error(400, 1200, "Invalid request parameters"),
            Refusal::Moderation => error(400, 1301, "The content triggers the content safety policy"),
            Refusal::RateLimited => error(429, 1303, "parallel task over resource pack limit"),
            Refusal::Error => error(500, 5000, "Server internal error"),
        }
    }

    fn used_reference(&self) -> Whole {
        bad("external_task_id already exists")
    }

    fn job_id(&self, number: u64) -> String {
        (FIRST_ID + number).to_string()
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        match is_current(job) {
            true => good(&current::task(job, "submitted", "")),
            false => good(&legacy::task(job, "submitted", "")),
        }
    }

    fn id_at(&self) -> &'static str {
        "/data/task_id"
    }

    fn id_of(&self, job: &Facts<'_>) -> &'static str {
        if is_current(job) { "/data/id" } else { self.id_at() }
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let current = is_current(job);
        let (word, reason) = match state {
            State::Lost => return self.refused(Refusal::NotFound),
            State::Waiting => ("submitted", ""),
            State::Running => ("processing", ""),
            State::Strange => ("meditating", ""),
            State::Failed => ("failed", "The service is busy, generation failed"),
            State::Moderated => ("failed", "Failure to pass the risk control system"),
            State::Done(_) => (if current { "succeeded" } else { "succeed" }, ""),
        };
        let made: &[Made] = if let State::Done(results) = state { results } else { &[] };
        match current {
            true => {
                let mut task = current::task(job, word, reason);
                task["outputs"] = links(made).map(|(at, url)| current::output(job, at, url)).collect();
                task["billing"] = json!([{ "charge_type": "unit", "amount": "3", "package_type": "video" }]);
                good(&json!([task]))
            }
            false => {
                let mut task = legacy::task(job, word, reason);
                // There before anything is made, and empty.
                task["task_result"] = legacy::result(job, made);
                task["final_unit_deduction"] = json!("2.5");
                good(&task)
            }
        }
    }

    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
        let mut task = legacy::task(job, "succeed", "");
        let audio = |(at, url): (usize, &str)| json!({ "id": format!("a{at}"), "url": url, "duration": "1.0" });
        task["task_result"] = json!({ "audios": links(results).map(audio).collect::<Vec<_>>() });
        task["final_unit_deduction"] = json!("0.05");
        good(&task)
    }

    fn found(&self, job: Option<&Facts<'_>>) -> Whole {
        match job {
            None => self.refused(Refusal::NotFound),
            Some(job) if is_current(job) => good(&json!([current::task(job, "processing", "")])),
            Some(job) => good(&legacy::task(job, "processing", "")),
        }
    }
}

/// The claims of a token whose signature is right.
fn claims(token: &str) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (head, claims) = signed.split_once('.')?;
    let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).ok()?;
    mac.update(signed.as_bytes());
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    part(claims).filter(|claims| claims["iss"] == KEY && part(head).is_some_and(|head| head["alg"] == "HS256"))
}

fn in_time(claims: &Value) -> Result<(), Whole> {
    let now_s = OffsetDateTime::now_utc().unix_timestamp();
    match (claims["nbf"].as_i64(), claims["exp"].as_i64()) {
        (Some(from), Some(_)) if now_s < from => Err(error(401, 1003, "Authorization is not yet valid")),
        (Some(_), Some(to)) if now_s < to => Ok(()),
        (Some(_), Some(_)) => Err(error(401, 1004, "Authorization expired")),
        _ => Err(error(401, 1000, "Authorization failed")),
    }
}

/// `GET /tasks`: by ids of one kind only.
fn tasks(asked: &Asked) -> Result<Ask, Whole> {
    match (asked.parameter("task_ids"), asked.parameter("external_task_ids")) {
        (Some(id), None) if !id.contains(',') => Ok(Ask::Poll(id.to_owned())),
        (None, Some(reference)) if !reference.contains(',') => Ok(Ask::Search(reference.to_owned())),
        _ => Err(bad("Give either task_ids or external_task_ids")),
    }
}

fn is_own(id: &str) -> bool {
    id.parse::<u64>().is_ok_and(|number| number > FIRST_ID)
}

fn object(asked: &Asked) -> Result<Value, Whole> {
    asked.json().filter(Value::is_object).ok_or_else(|| error(400, 1200, "The request body is no JSON"))
}

fn must<E>(holds: bool, otherwise: impl FnOnce() -> E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn known_fields(object: &Value, known: &[&str]) -> Result<(), Whole> {
    let odd = object.as_object().and_then(|fields| fields.keys().find(|name| !known.contains(&name.as_str())));
    odd.map_or(Ok(()), |name| Err(bad(&format!("unknown parameter: {name}"))))
}

fn one_of(object: &Value, name: &str, offered: &[&str]) -> Result<(), Whole> {
    let value = &object[name];
    let fits = value.is_null() || value.as_str().is_some_and(|text| offered.contains(&text));
    must(fits, || bad(&format!("{name} is invalid")))
}

fn is_address(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("https://") || text.starts_with("http://"))
}

/// An address, or a picture as base64; no page of the newer generation forbids a prefix.
fn picture_in(value: &Value, prefix: bool) -> Result<(), Whole> {
    let text = value.as_str().unwrap_or_default();
    let base64 = match text.split_once(";base64,") {
        Some((head, rest)) if prefix && head.starts_with("data:image/") => rest,
        _ => text,
    };
    let is_picture = |bytes: &[u8]| bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"\xFF\xD8\xFF");
    let fits = is_address(value) || STANDARD.decode(base64).is_ok_and(|bytes| is_picture(&bytes));
    must(fits, || bad("File is not in a valid base64 format"))
}

fn pictures_in(body: &Value, most: usize) -> Result<(), Whole> {
    let list = body["image_list"].as_array().map_or(&[][..], Vec::as_slice);
    must(list.len() <= most, || bad("image_list is too long"))?;
    list.iter().try_for_each(|item| picture_in(&item["image"], false))
}

fn clip_size(level: Option<&str>, ratio: Option<&str>) -> (u32, u32) {
    let (long, short) = match level {
        Some("1080p") => (1920, 1080),
        Some("4k") => (3840, 2160),
        _ => (1280, 720),
    };
    match ratio {
        Some("9:16") => (short, long),
        Some("1:1") => (short, short),
        _ => (long, short),
    }
}

fn is_current(job: &Facts<'_>) -> bool {
    job.entry.form == current::FORM
}

fn links(results: &[Made]) -> impl Iterator<Item = (usize, &str)> {
    results.iter().enumerate().filter_map(|(at, result)| match result {
        Made::Link(url) => Some((at, url.as_str())),
        Made::Inline(_) | Made::Failed => None,
    })
}

fn good(data: &Value) -> Whole {
    Whole::json(200, &json!({ "code": 0, "message": "SUCCEED", "request_id": "r", "data": data }))
}

fn bad(message: &str) -> Whole {
    error(400, 1201, message)
}

fn error(status: u16, code: u32, message: &str) -> Whole {
    Whole::json(status, &json!({ "code": code, "message": message, "request_id": "r", "data": null }))
}
