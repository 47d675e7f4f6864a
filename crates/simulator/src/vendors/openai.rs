//! The OpenAI API: images at once, base64 in the answer; speech at once, the sound as the answer; and
//! clips as jobs, whose file is brought with the key, as servers like it still make them.

use crate::{
    answer::Whole,
    form,
    media::size_of,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Map, Value, json};

const VOICES: [&str; 13] =
    ["alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar"];
const SOUNDS: [&str; 6] = ["mp3", "opus", "aac", "flac", "wav", "pcm"];

pub(crate) struct OpenAi;

impl Vendor for OpenAi {
    fn id(&self) -> &'static str {
        "openai"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("OPENAI_BASE_URL", "/v1")
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, "/v1/images/generations") => picture(asked, "generations"),
            (&Method::POST, "/v1/images/edits") => picture(asked, "edits"),
            (&Method::POST, "/v1/audio/speech") => speech(asked),
            (&Method::POST, "/v1/videos") => video(asked),
            (&Method::GET, "/v1/models") => Ok(Ask::Said(models())),
            (&Method::GET, path) => match path.strip_prefix("/v1/videos/").map(|tail| tail.split_once('/')) {
                None | Some(Some(("", _))) => Ok(Ask::Nothing),
                Some(Some((id, "content"))) => Ok(Ask::Retrieve(id.to_owned())),
                Some(Some(_)) => Ok(Ask::Nothing),
                Some(None) => Ok(Ask::Poll(path["/v1/videos/".len()..].to_owned())),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        let request = "invalid_request_error";
        match refusal {
            Refusal::BadRequest => invalid(Some("quality"), "invalid_value", "Invalid value: 'quality'."),
            Refusal::Unauthorized => error(401, request, "invalid_api_key", "Incorrect API key provided."),
            Refusal::PaymentRequired => {
                error(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota.")
            }
            Refusal::Forbidden => error(
                403,
                request,
                "unsupported_country_region_territory",
                "Country, region, or territory not supported.",
            ),
            Refusal::NotFound => error(404, request, "model_not_found", "The model does not exist."),
            Refusal::Unprocessable => error(422, request, "invalid_value", "The request cannot be processed."),
            Refusal::Moderation => error(
                400,
                "image_generation_user_error",
                "moderation_blocked",
                "Your request was rejected by the safety system.",
            ),
            Refusal::RateLimited => error(429, "requests", "rate_limit_exceeded", "Rate limit reached."),
            Refusal::Error => {
                error(500, "server_error", "server_error", "The server had an error while processing your request.")
            }
        }
    }

    fn chat_path(&self) -> Option<&str> {
        Some("/v1/chat/completions")
    }

    fn job_id(&self, number: u64) -> String {
        format!("video_{number:048x}")
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        Whole::json(200, &resource(job, "queued", 0))
    }

    fn id_at(&self) -> &'static str {
        "/id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let failed = |code: &str, message: &str| {
            let mut resource = resource(job, "failed", 40);
            resource["error"] = json!({ "code": code, "message": message });
            resource
        };
        let body = match state {
            State::Waiting => resource(job, "queued", 0),
            State::Running => resource(job, "in_progress", 40),
            State::Strange => resource(job, "dreaming", 40),
            State::Failed => failed("server_error", "The video could not be made."),
            State::Moderated => failed("moderation_blocked", "Blocked by the moderation system."),
            State::Lost => {
                let message = format!("Video with id '{}' not found.", job.entry.job);
                let error = json!({ "message": message, "type": "invalid_request_error", "param": "id", "code": null });
                return Whole::json(404, &json!({ "error": error }));
            }
            State::Done(_) => {
                let mut resource = resource(job, "completed", 100);
                (resource["completed_at"], resource["expires_at"]) = (json!(1_795_132_860), json!(1_795_136_460));
                resource
            }
        };
        Whole::json(200, &body)
    }

    fn retrieved(&self, _job: &Facts<'_>, results: &[Made]) -> Whole {
        match results.first() {
            Some(Made::Inline(file)) => Whole::new(200, "video/mp4", file.clone()),
            _ => self.refused(Refusal::NotFound),
        }
    }

    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
        if job.entry.form == "speech" {
            // The page says that nobody may rely on the type.
            let sound = results.iter().find_map(|result| match result {
                Made::Inline(file) => Some(file.clone()),
                Made::Link(_) | Made::Failed => None,
            });
            return Whole::new(200, "application/octet-stream", sound.unwrap_or_default());
        }
        let data: Vec<Value> = results
            .iter()
            .filter_map(|result| match result {
                Made::Inline(file) => Some(json!({ "b64_json": STANDARD.encode(file) })),
                Made::Link(url) => Some(json!({ "url": url })),
                Made::Failed => None,
            })
            .collect();
        let usage = json!({ "input_tokens": 13, "output_tokens": 272, "total_tokens": 285,
                            "input_tokens_details": { "text_tokens": 13, "image_tokens": 0 } });
        let (width, height) = (job.entry.width, job.entry.height);
        let body = json!({
            "created": 1_795_132_800, "background": "opaque", "output_format": "png",
            "size": format!("{width}x{height}"), "quality": "low", "data": data, "usage": usage,
        });
        Whole::json(200, &body).header("x-request-id", format!("req_{}", job.entry.job))
    }
}

fn models() -> Whole {
    let model = json!({ "id": "gpt-image-2", "object": "model", "created": 1_776_729_600, "owned_by": "openai" });
    Whole::json(200, &json!({ "object": "list", "data": [model] }))
}

/// A clip's job as it stands.
fn resource(job: &Facts<'_>, status: &str, progress: u8) -> Value {
    let entry = job.entry;
    json!({
        "id": entry.job, "object": "video", "model": entry.model, "status": status, "progress": progress,
        "created_at": 1_795_132_800, "completed_at": null, "expires_at": null, "prompt": job.prompt,
        "size": format!("{}x{}", entry.width, entry.height), "seconds": "4", "remixed_from_video_id": null,
        "error": null,
    })
}

fn picture(asked: &Asked, form: &'static str) -> Result<Ask, Whole> {
    let body = body(asked)?;
    check(&body)?;
    // A multipart field arrives as text.
    let n = body["n"].as_u64().or_else(|| body["n"].as_str()?.parse().ok()).unwrap_or(1);
    Ok(Ask::Submit(Box::new(Order {
        form,
        size: size_of(body["size"].as_str(), 'x', (1024, 1024)),
        outputs: u32::try_from(n.clamp(1, 10)).unwrap_or(1),
        unit: Unit::Image,
        blocking: true,
        inline: true,
        ..order(body, "prompt")
    })))
}

fn speech(asked: &Asked) -> Result<Ask, Whole> {
    let body = body(asked)?;
    let input = body["input"].as_str().unwrap_or_default().chars().count();
    let among = |name: &str, all: &[&str]| body[name].as_str().is_some_and(|word| all.contains(&word));
    if !among("model", &["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"]) {
        return Err(OpenAi.refused(Refusal::NotFound));
    }
    let speed = body["speed"].as_f64().unwrap_or(1.0);
    let flaws = [
        (input > 0, "input", "missing_required_parameter"),
        (input <= 4096, "input", "string_above_max_length"),
        (among("voice", &VOICES), "voice", "invalid_value"),
        (body["response_format"].is_null() || among("response_format", &SOUNDS), "response_format", "invalid_value"),
        ((0.25..=4.0).contains(&speed), "speed", "invalid_value"),
    ];
    if let Some((_, name, code)) = flaws.into_iter().find(|(good, ..)| !good) {
        return Err(invalid(Some(name), code, &format!("Invalid value: '{name}'.")));
    }
    let order = order(body, "input");
    Ok(Ask::Submit(Box::new(Order {
        form: "speech",
        outputs: 1,
        unit: Unit::Speech,
        blocking: true,
        inline: true,
        ..order
    })))
}

fn video(asked: &Asked) -> Result<Ask, Whole> {
    let body = body(asked)?;
    let seconds = &body["seconds"];
    let is_text = |text: &str| text.parse::<u32>().is_ok_and(|seconds| seconds > 0);
    let files = body["files"].as_array().map_or(&[][..], Vec::as_slice);
    let flaws = [
        (body["prompt"].as_str().is_some_and(|text| !text.is_empty()), "prompt", "missing_required_parameter"),
        // The page: the seconds are text.
        (seconds.is_null() || seconds.as_str().is_some_and(is_text), "seconds", "invalid_value"),
        (size_of(body["size"].as_str(), 'x', (720, 1280)) != (0, 0), "size", "invalid_value"),
        (files.iter().all(|file| file["field"] == "input_reference"), "input_reference", "unknown_parameter"),
    ];
    if let Some((_, name, code)) = flaws.into_iter().find(|(good, ..)| !good) {
        return Err(invalid(Some(name), code, &format!("Invalid value: '{name}'.")));
    }
    let size = size_of(body["size"].as_str(), 'x', (720, 1280));
    let order = order(body, "prompt");
    Ok(Ask::Submit(Box::new(Order { form: "video", size, outputs: 1, unit: Unit::Video, inline: true, ..order })))
}

fn order(body: Value, prompt: &str) -> Order {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Order { model: text("model"), prompt: text(prompt), body, ..Order::default() }
}

/// The body as JSON, whichever of the two encodings it came in; files by their length.
fn body(asked: &Asked) -> Result<Value, Whole> {
    let unread = || invalid(None, "invalid_value", "We could not parse the body of your request.");
    let Some(form) = form::fields(asked) else {
        return asked.json().filter(Value::is_object).ok_or_else(unread);
    };
    let (mut fields, mut files) = (Map::new(), Vec::new());
    for field in form {
        match field.value {
            form::Value::Text(text) => drop(fields.insert(field.name, Value::String(text))),
            form::Value::File { content_type, bytes } => {
                files.push(json!({ "field": field.name, "type": content_type, "bytes": bytes }));
            }
        }
    }
    fields.insert("files".to_owned(), Value::Array(files));
    Ok(Value::Object(fields))
}

/// Checks that the vendor makes before it accepts.
fn check(body: &Value) -> Result<(), Whole> {
    if body["prompt"].as_str().unwrap_or_default().is_empty() {
        return Err(invalid(Some("prompt"), "missing_required_parameter", "Missing required parameter: 'prompt'."));
    }
    if !body["model"].as_str().unwrap_or_default().starts_with("gpt-image-2") {
        return Err(OpenAi.refused(Refusal::NotFound));
    }
    if !body["response_format"].is_null() {
        return Err(invalid(Some("response_format"), "unknown_parameter", "Unknown parameter: 'response_format'."));
    }
    if let Some(text) = body["size"].as_str().filter(|size| *size != "auto") {
        let (width, height) = size_of(Some(text), 'x', (0, 0));
        let fits = |side: u32| (16..=3840).contains(&side) && side.is_multiple_of(16);
        if !fits(width) || !fits(height) || width > 3 * height || height > 3 * width {
            return Err(invalid(Some("size"), "invalid_value", "Invalid size."));
        }
    }
    Ok(())
}

fn invalid(param: Option<&str>, code: &str, message: &str) -> Whole {
    let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": code });
    Whole::json(400, &json!({ "error": error }))
}

fn error(status: u16, kind: &str, code: &str, message: &str) -> Whole {
    Whole::json(status, &json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }))
}
