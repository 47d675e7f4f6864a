//! The visual service (Jimeng): every call is a signed POST to one path, a poll too. Errors of the
//! gateway before it have an envelope of their own.

use crate::{
    KEY, SECRET,
    answer::Whole,
    state::hex,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const VERSION: &str = "2022-08-31";
const OK: u64 = 10_000;
/// A first id; its number is beyond what a float holds exactly.
const FIRST_ID: u64 = 7_392_616_336_519_610_000;
/// What each key makes, and from how many pictures.
const KEYS: &[(&str, Unit, &[usize])] = &[
    ("jimeng_t2i_v40", Unit::Image, &[0]),
    ("jimeng_t2v_v30", Unit::Video, &[0]),
    ("jimeng_t2v_v30_1080p", Unit::Video, &[0]),
    ("jimeng_i2v_first_v30", Unit::Video, &[1]),
    ("jimeng_i2v_first_v30_1080", Unit::Video, &[1]),
    ("jimeng_i2v_first_tail_v30", Unit::Video, &[2]),
    ("jimeng_i2v_first_tail_v30_1080", Unit::Video, &[2]),
    ("jimeng_ti2v_v30_pro", Unit::Video, &[0, 1]),
    ("jimeng_vgfm_t2v_l20", Unit::Video, &[0]),
];

pub(super) struct Visual;

impl Vendor for Visual {
    fn id(&self) -> &'static str {
        "volcengine"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("VOLCENGINE_BASE_URL", "")
    }

    fn admits(&self, asked: &Asked) -> bool {
        is_signed(asked).unwrap_or(false)
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        let known = asked.method == Method::POST && asked.parameter("Version") == Some(VERSION);
        let body = asked.json().unwrap_or_default();
        let key = KEYS.iter().find(|(key, ..)| body["req_key"] == *key);
        match (asked.parameter("Action").filter(|_| known), key) {
            (Some("CVSync2AsyncSubmitTask"), Some((key, unit, pictures))) => submit(key, *unit, pictures, body),
            (Some("CVSync2AsyncGetResult"), Some(_)) => match body["task_id"].as_str() {
                Some(id) if is_json_text(&body["req_json"]) => Ok(Ask::Poll(id.to_owned())),
                _ => Err(failed(400, 50_215, "Input invalid for this service.")),
            },
            (Some("CVSync2AsyncSubmitTask" | "CVSync2AsyncGetResult"), None) => {
                Err(failed(400, 50_215, "Input invalid for this service: req_key"))
            }
            _ => Err(gateway(404, "InvalidActionOrVersion", "Could not find operation.")),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        match refusal {
            Refusal::BadRequest => failed(400, 50_215, "Input invalid for this service."),
            Refusal::Unauthorized => gateway(
                401,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            ),
            Refusal::PaymentRequired => gateway(402, "AccountOverdue", "The account has an overdue balance."),
            Refusal::Forbidden => gateway(403, "AccessDenied", "The user is not authorized to do this."),
            Refusal::NotFound => gateway(404, "InvalidActionOrVersion", "Could not find operation."),
            Refusal::Unprocessable => failed(422, 50_215, "Input invalid for this service."),
            Refusal::Moderation => failed(400, 50_412, "Text Risk Not Pass"),
            Refusal::RateLimited => failed(429, 50_429, "Request Has Reached API Limit, Please Try Later"),
            Refusal::Error => failed(500, 50_500, "Internal Error"),
        }
    }

    fn job_id(&self, number: u64) -> String {
        FIRST_ID.saturating_add(number).to_string()
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        whole(200, OK, "Success", &json!({ "task_id": job.entry.job }))
    }

    fn id_at(&self) -> &'static str {
        "/data/task_id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let going = |word: &str| {
            let data = json!({ "status": word, "image_urls": null, "video_url": "", "binary_data_base64": null });
            whole(200, OK, "Success", &data)
        };
        match state {
            State::Waiting => going("in_queue"),
            State::Running => going("generating"),
            State::Strange => going("meditating"),
            State::Lost => going("not_found"),
            // Done, and yet not well.
            State::Failed => whole(200, 50_501, "Internal RPC Error", &json!({ "status": "done" })),
            State::Moderated => failed(400, 50_511, "Post Img Risk Not Pass"),
            State::Done(results) => {
                let links = results.iter().filter_map(|result| match result {
                    Made::Link(url) => Some(url.as_str()),
                    Made::Inline(_) | Made::Failed => None,
                });
                let links: Vec<&str> = links.collect();
                let is_clip = Unit::named(&job.entry.unit) == Unit::Video;
                let clip = links.first().filter(|_| is_clip).copied().unwrap_or_default();
                let pictures = if is_clip { Value::Null } else { json!(links) };
                let data = json!({ "status": "done", "image_urls": pictures, "video_url": clip,
                                   "binary_data_base64": [] });
                whole(200, OK, "Success", &data)
            }
        }
    }

    fn made(&self, job: &Facts<'_>, _results: &[Made]) -> Whole {
        self.accepted(job)
    }
}

fn submit(key: &str, unit: Unit, pictures: &[usize], body: Value) -> Result<Ask, Whole> {
    let invalid = |name: &str| failed(400, 50_215, &format!("Input invalid for this service: {name}"));
    let prompt = body["prompt"].as_str().unwrap_or_default().to_owned();
    if prompt.is_empty() {
        return Err(invalid("prompt"));
    }
    let list = |name: &str| body[name].as_array().map_or(&[][..], Vec::as_slice);
    let given = list("binary_data_base64");
    // Base64 alone: a data URI is none.
    let is_base64 = |file: &Value| file.as_str().is_some_and(|text| STANDARD.decode(text).is_ok_and(|b| !b.is_empty()));
    if !given.iter().all(is_base64) || !pictures.contains(&(given.len() + list("image_urls").len())) {
        return Err(invalid("binary_data_base64"));
    }
    let whole = |name: &str, fits: fn(i64) -> bool| body[name].is_null() || body[name].as_i64().is_some_and(fits);
    if !whole("frames", |frames| [121, 241].contains(&frames)) || !whole("seed", |seed| seed >= -1) {
        return Err(invalid("frames"));
    }
    let side =
        |name: &str| body[name].as_u64().and_then(|side| u32::try_from(side.clamp(1, 4096)).ok()).unwrap_or(2048);
    Ok(Ask::Submit(Box::new(Order {
        model: key.to_owned(),
        form: "visual",
        prompt,
        size: (side("width"), side("height")),
        outputs: 1,
        unit,
        body,
        ..Order::default()
    })))
}

fn is_json_text(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_ok())
}

/// Whether the signature is what the key and the secret make of this request.
fn is_signed(asked: &Asked) -> Option<bool> {
    let fields = asked.header("authorization")?.strip_prefix("HMAC-SHA256 ")?;
    let field = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let (access, scope) = field("Credential")?.split_once('/')?;
    let (names, given) = (field("SignedHeaders")?, field("Signature")?);
    let (date, hash) = (asked.header("x-date")?, asked.header("x-content-sha256")?);
    let day = date.get(..8)?;
    let is_whole = ["content-type", "host", "x-content-sha256", "x-date"].join(";") == names;
    if !is_whole || scope != format!("{day}/cn-north-1/cv/request") || hash != hex(&Sha256::digest(&asked.body)) {
        return Some(false);
    }
    let mut pairs: Vec<&str> = asked.query.split('&').collect();
    pairs.sort_unstable();
    let mut canonical = format!("{}\n/\n{}\n", asked.method, pairs.join("&"));
    for name in names.split(';') {
        canonical.push_str(&format!("{name}:{}\n", asked.header(name)?.trim()));
    }
    canonical.push_str(&format!("\n{names}\n{hash}"));
    let text = format!("HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = SECRET.as_bytes().to_vec();
    for step in [day, "cn-north-1", "cv", "request", &text] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(step.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    Some(access == KEY && given == hex(&key))
}

fn failed(status: u16, code: u64, message: &str) -> Whole {
    whole(status, code, message, &Value::Null)
}

fn whole(status: u16, code: u64, message: &str, data: &Value) -> Whole {
    let body = json!({ "code": code, "data": data, "message": message, "request_id": "r", "status": code,
                       "time_elapsed": "12.345ms" });
    Whole::json(status, &body)
}

fn gateway(status: u16, code: &str, message: &str) -> Whole {
    let metadata = json!({ "RequestId": "r", "Action": "", "Version": VERSION, "Service": "cv", "Region": "cn-north-1",
                           "Error": { "Code": code, "Message": message } });
    Whole::json(status, &json!({ "ResponseMetadata": metadata }))
}
