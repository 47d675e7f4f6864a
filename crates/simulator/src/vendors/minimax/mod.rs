//! MiniMax: clips as tasks in two generations of its API, pictures and speech in one blocking call.
//! The first generation answers 200 to everything, and its number says how it went.

mod check;

use crate::{
    answer::Whole,
    state::hex,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use http::Method;
use serde_json::{Map, Value, json};

const CLIP: &str = "/v1/video_generation";
const CLIP_STATE: &str = "/v1/query/video_generation";
const FILE: &str = "/v1/files/retrieve";
const CLIP_V2: &str = "/v2/video_generation";
const LIST_V2: &str = "/v2/query/video_generation";
const STATE_V2: &str = "/v2/query/video_generation/";
const PICTURE: &str = "/v1/image_generation";
const SPEECH: &str = "/v1/t2a_v2";

/// A job's id is this and its number.
const FIRST_JOB: u64 = 106_916_112_212_032;
/// The id of its file is so much more: too large for a float, which would name another file.
const FILES: u64 = 9_007_199_254_740_993_000;

const CREATED_AT: u64 = 1_795_186_945;

pub(crate) struct MiniMax;

impl Vendor for MiniMax {
    fn id(&self) -> &'static str {
        "minimax"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("MINIMAX_BASE_URL", "")
    }

    fn chat_path(&self) -> Option<&str> {
        Some("/v1/chat/completions")
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, CLIP) => submit(asked, check::clip, clip),
            (&Method::POST, CLIP_V2) => submit(asked, check::clip_v2, clip_v2),
            (&Method::POST, PICTURE) => submit(asked, check::picture, picture),
            (&Method::POST, SPEECH) => submit(asked, check::speech, speech),
            (&Method::GET, CLIP_STATE) => match asked.parameter("task_id") {
                Some(id) if !id.is_empty() => Ok(Ask::Poll(id.to_owned())),
                _ => Err(wrong(asked, "task_id is required")),
            },
            (&Method::GET, FILE) => {
                let file = asked.parameter("file_id").and_then(|id| id.parse::<u64>().ok());
                match file.and_then(|file| file.checked_sub(FILES)) {
                    Some(job) => Ok(Ask::Retrieve(job.to_string())),
                    None => Err(wrong(asked, "file_id is not known")),
                }
            }
            (&Method::GET, LIST_V2) => {
                let whole = |name: &str| asked.parameter(name).is_none_or(|text| text.parse::<u32>().is_ok());
                match whole("page_num") && whole("page_size") {
                    true => Ok(Ask::Said(Whole::json(200, &json!({ "items": [], "total": 0 })))),
                    false => Err(wrong(asked, "page_num and page_size are numbers")),
                }
            }
            (&Method::GET, path) => match path.strip_prefix(STATE_V2) {
                Some(id) if !id.is_empty() && !id.contains('/') => Ok(Ask::Poll(id.to_owned())),
                _ => Ok(Ask::Nothing),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        let (code, words) = number_of(refusal);
        Whole::json(200, &json!({ "base_resp": base(code, words) }))
    }

    fn refused_to(&self, asked: &Asked, refusal: Refusal) -> Whole {
        let (code, words) = number_of(refusal);
        no(asked, code, words)
    }

    fn job_id(&self, number: u64) -> String {
        (FIRST_JOB + number).to_string()
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        let id = &job.entry.job;
        match job.entry.form.as_str() {
            "video-v2" => Whole::json(200, &json!({ "task_id": id })),
            _ => Whole::json(200, &json!({ "task_id": id, "base_resp": good() })),
        }
    }

    fn id_at(&self) -> &'static str {
        "/task_id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        match job.entry.form.as_str() {
            "video-v2" => polled_v2(job, state),
            _ => Whole::json(200, &polled(job, state)),
        }
    }

    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
        let mut body = match job.entry.form.as_str() {
            "speech" => spoken(results),
            _ => painted(job, results),
        };
        body["base_resp"] = good();
        Whole::json(200, &body)
    }

    fn retrieved(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
        let file = json!({ "file_id": file_of(job), "bytes": 5_896_337, "created_at": CREATED_AT,
                           "filename": "output_aigc.mp4", "purpose": "video_generation",
                           "download_url": links(results).next() });
        Whole::json(200, &json!({ "file": file, "base_resp": good() }))
    }
}

/// Reads a body, lets it be checked and makes an order of it.
fn submit(asked: &Asked, check: fn(&Value) -> Result<(), String>, order: fn(&Value) -> Order) -> Result<Ask, Whole> {
    let body = asked.json().filter(Value::is_object).ok_or_else(|| wrong(asked, "the body is no JSON object"))?;
    check(&body).map_err(|why| wrong(asked, &why))?;
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let order = order(&body);
    Ok(Ask::Submit(Box::new(Order { model, body, ..order })))
}

fn clip(body: &Value) -> Order {
    Order { form: "video", prompt: words(&body["prompt"]), outputs: 1, unit: Unit::Video, ..Order::default() }
}

fn clip_v2(body: &Value) -> Order {
    let text = body["content"].as_array().into_iter().flatten().find(|item| item["type"] == "text");
    let prompt = text.map(|item| words(&item["text"])).unwrap_or_default();
    Order { form: "video-v2", prompt, outputs: 1, unit: Unit::Video, ..Order::default() }
}

fn picture(body: &Value) -> Order {
    let side = |name: &str| body[name].as_u64().and_then(|side| u32::try_from(side).ok());
    let ratio = body["aspect_ratio"].as_str().and_then(check::size_of_ratio);
    Order {
        form: "image",
        prompt: words(&body["prompt"]),
        // The ratio wins.
        size: ratio.or(side("width").zip(side("height"))).unwrap_or((1024, 1024)),
        outputs: u32::try_from(body["n"].as_u64().unwrap_or(1).clamp(1, 9)).unwrap_or(1),
        blocking: true,
        inline: body["response_format"] == "base64",
        ..Order::default()
    }
}

fn speech(body: &Value) -> Order {
    Order {
        form: "speech",
        prompt: words(&body["text"]),
        outputs: 1,
        unit: Unit::Speech,
        blocking: true,
        inline: body["output_format"] != "url",
        ..Order::default()
    }
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn polled(job: &Facts<'_>, state: &State) -> Value {
    let id = &job.entry.job;
    // The field is there before there is a file.
    let say = |status: &str, file: String, base: Value| json!({ "task_id": id, "status": status, "file_id": file, "base_resp": base });
    let going = |status: &str| say(status, String::new(), good());
    let failed = |code, words| say("Fail", String::new(), base(code, words));
    match state {
        State::Waiting => going("Preparing"),
        State::Running => going("Processing"),
        State::Strange => going("Meditating"),
        State::Failed => failed(1013, "internal service error"),
        State::Moderated => failed(1027, "output new_sensitive"),
        State::Lost => json!({ "task_id": "", "base_resp": base(2013, "invalid params, task not found") }),
        State::Done(results) if links(results).next().is_none() => going("Fail"),
        State::Done(_) => {
            let mut done = say("Success", file_of(job).to_string(), good());
            (done["video_width"], done["video_height"]) = (json!(128), json!(72));
            done
        }
    }
}

fn polled_v2(job: &Facts<'_>, state: &State) -> Whole {
    let say = |status: &str, more: Value| {
        let mut task = json!({ "id": job.entry.job, "model": job.entry.model, "status": status, "error": null,
                               "created_at": CREATED_AT, "updated_at": CREATED_AT, "content": null,
                               "resolution": "768P", "duration": 5, "ratio": "16:9", "usage": null,
                               "task_type": "generation", "modality": "video" });
        if let (Some(task), Value::Object(more)) = (task.as_object_mut(), more) {
            task.extend(more);
        }
        Whole::json(200, &json!({ "task": task }))
    };
    // The code is text here.
    let failed = |code: &str, message: &str| say("failed", json!({ "error": { "code": code, "message": message } }));
    match state {
        State::Waiting => say("queued", json!({})),
        State::Running => say("running", json!({})),
        State::Strange => say("meditating", json!({})),
        State::Failed => failed("1013", "internal service error"),
        State::Moderated => failed("1027", "output new_sensitive"),
        State::Lost => error_v2(400, "bad_request_error", 2013, "task not found"),
        State::Done(results) => match links(results).next() {
            Some(url) => {
                let usage =
                    json!({ "total_seconds": 5, "input_seconds": 0, "output_seconds": 5, "input_image_count": 0 });
                say("succeeded", json!({ "content": { "url": url, "prompt": job.prompt }, "usage": usage }))
            }
            None => failed("1000", "unknown error"),
        },
    }
}

fn painted(job: &Facts<'_>, results: &[Made]) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let files: Vec<String> = results
        .iter()
        .filter_map(|result| match result {
            Made::Link(url) => Some(url.clone()),
            Made::Inline(file) => Some(STANDARD.encode(file)),
            Made::Failed => None,
        })
        .collect();
    let (made, name) = (files.len(), if job.entry.inline { "image_base64" } else { "image_urls" });
    // Numbers in quotation marks, as in the vendor's own sample.
    let counts = json!({ "success_count": made.to_string(), "failed_count": (results.len() - made).to_string() });
    json!({ "id": job.entry.job, "data": { name: files }, "metadata": counts })
}

fn spoken(results: &[Made]) -> Value {
    let mut data = Map::from_iter([("status".to_owned(), json!(2))]);
    let audio = results.iter().find_map(|result| match result {
        Made::Link(url) => Some(url.clone()),
        Made::Inline(file) => Some(hex(file)),
        Made::Failed => None,
    });
    data.extend(audio.map(|audio| ("audio".to_owned(), json!(audio))));
    let info = json!({ "audio_length": 1000, "audio_sample_rate": 24000, "audio_size": 48044, "bitrate": 128_000,
                       "word_count": 1, "invisible_character_ratio": 0, "usage_characters": 6,
                       "audio_format": "wav", "audio_channel": 1 });
    json!({ "data": data, "extra_info": info, "trace_id": "04ece790375f3ca2edbb44e8c4c200bf" })
}

fn links(results: &[Made]) -> impl Iterator<Item = &str> {
    results.iter().filter_map(|result| match result {
        Made::Link(url) => Some(url.as_str()),
        Made::Inline(_) | Made::Failed => None,
    })
}

/// A number in the file's own record, text in the task's.
fn file_of(job: &Facts<'_>) -> u64 {
    job.entry.job.parse::<u64>().map_or(FILES, |job| FILES + job)
}

fn good() -> Value {
    base(0, "success")
}

fn base(code: u32, words: &str) -> Value {
    json!({ "status_code": code, "status_msg": words })
}

fn number_of(refusal: Refusal) -> (u32, &'static str) {
    match refusal {
        Refusal::BadRequest => (2013, "invalid params"),
        Refusal::Unauthorized => (1004, "authentication failed"),
        Refusal::PaymentRequired => (1008, "insufficient balance"),
        Refusal::Forbidden => (2049, "invalid api key"),
        Refusal::NotFound => (2013, "invalid params, not found"),
        Refusal::Unprocessable => (2013, "invalid params, this cannot be made"),
        Refusal::Moderation => (1026, "input new_sensitive"),
        Refusal::RateLimited => (1002, "rate limit"),
        Refusal::Error => (1000, "unknown error"),
    }
}

fn wrong(asked: &Asked, why: &str) -> Whole {
    no(asked, 2013, &format!("invalid params, {why}"))
}

/// The second generation has statuses; the first has one, and leaves empty what it would have said.
fn no(asked: &Asked, code: u32, words: &str) -> Whole {
    if asked.path.starts_with("/v2/") {
        let (status, kind) = match code {
            1004 | 2049 => (401, "authorized_error"),
            1008 => (402, "insufficient_balance_error"),
            1026 => (422, "unprocessable_entity_error"),
            1002 => (429, "rate_limit_error"),
            1000 => (500, "server_error"),
            _ => (400, "bad_request_error"),
        };
        return error_v2(status, kind, code, words);
    }
    let empty = match asked.path.as_str() {
        PICTURE | SPEECH => ("data", Value::Null),
        FILE => ("file", Value::Null),
        _ => ("task_id", json!("")),
    };
    Whole::json(200, &json!({ (empty.0): empty.1, "base_resp": base(code, words) }))
}

fn error_v2(status: u16, kind: &str, code: u32, words: &str) -> Whole {
    let error = json!({ "type": kind, "message": format!("{words} ({code})"), "http_code": status.to_string() });
    Whole::json(status, &json!({ "type": "error", "error": error, "request_id": "r" }))
}
