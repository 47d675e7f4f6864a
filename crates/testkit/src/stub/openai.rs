//! Images of the OpenAI API: synchronous, base64 in the answer.

use super::{
    End, Media, Order, Running, Shared, Submit,
    picture::size_of,
    wire::{Answer, Asked, HTML},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// `POST /v1/images/generations` and `/v1/images/edits`.
pub(super) async fn images(asked: &Asked, shared: &Shared) -> Answer {
    if !asked.has_the_key() {
        return error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.");
    }
    let Some(body) = read(asked).await else {
        return error(400, "invalid_request_error", "invalid_value", "We could not parse the body of your request.");
    };
    if let Some(refusal) = check(&body) {
        return refusal;
    }
    let prompt = body["prompt"].as_str().unwrap_or_default();
    let order = shared.state().submit("openai", prompt, &body);
    let _running = Running::begin(shared);
    order.script.delay().await;
    answer(&order, &body, shared)
}

/// The body as JSON, whichever of the two encodings it came in; files by their length.
async fn read(asked: &Asked) -> Option<Value> {
    let content_type = asked.header("content-type")?;
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return serde_json::from_slice(&asked.body).ok();
    };
    let body = asked.body.clone();
    let whole = futures_util::stream::once(async move { Ok::<Bytes, std::convert::Infallible>(body) });
    let mut form = multer::Multipart::new(whole, boundary);
    let (mut fields, mut files) = (Map::new(), Vec::new());
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name()?.to_owned();
        if field.file_name().is_some() {
            files.push(json!({ "field": name, "type": field.content_type().map(ToString::to_string),
                               "bytes": field.bytes().await.ok()?.len() }));
        } else {
            fields.insert(name, Value::String(field.text().await.ok()?));
        }
    }
    fields.insert("files".to_owned(), Value::Array(files));
    Some(Value::Object(fields))
}

/// Checks that the vendor makes before it accepts.
fn check(body: &Value) -> Option<Answer> {
    let invalid = |param: &str, code: &str, message: &str| {
        let error = json!({ "message": message, "type": "invalid_request_error", "param": param, "code": code });
        Some(Answer::json(400, json!({ "error": error })))
    };
    if body["prompt"].as_str().unwrap_or_default().is_empty() {
        return invalid("prompt", "missing_required_parameter", "Missing required parameter: 'prompt'.");
    }
    let model = body["model"].as_str().unwrap_or_default();
    if !model.starts_with("gpt-image-2") {
        return Some(error(404, "invalid_request_error", "model_not_found", "The model does not exist."));
    }
    if !body["response_format"].is_null() {
        return invalid("response_format", "unknown_parameter", "Unknown parameter: 'response_format'.");
    }
    if let Some(text) = body["size"].as_str().filter(|size| *size != "auto") {
        let (width, height) = size_of(Some(text), 'x', (0, 0));
        let fits = |side: u32| side > 0 && side.is_multiple_of(16);
        if !fits(width) || !fits(height) || width > 3 * height || height > 3 * width {
            return invalid("size", "invalid_value", "Invalid size.");
        }
    }
    None
}

fn answer(order: &Order, body: &Value, shared: &Shared) -> Answer {
    match &order.submit {
        Submit::Accept => ended(order, body, shared),
        Submit::RateLimited(wait) => {
            let headers = wait.map(|wait| ("retry-after", wait.to_owned())).into_iter().collect();
            let error = json!({ "message": "Rate limit reached.", "type": "requests", "param": null, "code": "rate_limit_exceeded" });
            Answer::Json(429, headers, json!({ "error": error }))
        }
        Submit::NoBalance => error(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
        Submit::BadKey => error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
        Submit::BadParameter => error(400, "invalid_request_error", "invalid_value", "Invalid value: 'quality'."),
        Submit::Moderation => moderation(),
        Submit::ErrorBeforeAccept | Submit::ErrorAfterAccept => {
            error(500, "server_error", "server_error", "The server had an error while processing your request.")
        }
        Submit::HangAfterAccept => Answer::Silence,
        Submit::ResetAfterAccept => Answer::Reset,
        Submit::GarbageAfterAccept => Answer::text(200, "application/json", "{\"created\": 17951328"),
    }
}

/// A synchronous call ends with its answer.
fn ended(order: &Order, body: &Value, shared: &Shared) -> Answer {
    match order.script.end(order.ordinal) {
        End::Success | End::WithoutResult(_) => success(order, body, shared),
        End::Moderation => moderation(),
        _ => error(500, "server_error", "server_error", "The server had an error while processing your request."),
    }
}

fn success(order: &Order, body: &Value, shared: &Shared) -> Answer {
    let size = order.script.size.unwrap_or_else(|| size_of(body["size"].as_str(), 'x', (1024, 1024)));
    // A multipart field arrives as text.
    let n = body["n"].as_u64().or_else(|| body["n"].as_str()?.parse().ok()).unwrap_or(1);
    let state = shared.state();
    let data: Vec<Value> = (0..n)
        .map(|at| {
            let file = state.pictures.make(size, &format!("{} {} {at}", order.marker, order.ordinal));
            json!({ "b64_json": STANDARD.encode(served(&file, &order.script.media)) })
        })
        .collect();
    Answer::json(
        200,
        json!({
            "created": 1_795_132_800, "background": "opaque", "output_format": "png",
            "size": format!("{}x{}", size.0, size.1), "quality": "low", "data": data,
            "usage": { "input_tokens": 13, "output_tokens": 272, "total_tokens": 285,
                       "input_tokens_details": { "text_tokens": 13, "image_tokens": 0 } },
        }),
    )
}

fn served(file: &Bytes, media: &Media) -> Bytes {
    match media {
        Media::CutWithLength | Media::CutWithoutLength => file.slice(..file.len() / 2),
        Media::Html => Bytes::from_static(HTML.as_bytes()),
        Media::These(bytes) => bytes.clone(),
        Media::Empty => Bytes::new(),
        Media::Whole | Media::ExpiredLinks(_) | Media::Redirect(_) => file.clone(),
    }
}

fn moderation() -> Answer {
    error(400, "image_generation_user_error", "moderation_blocked", "Your request was rejected by the safety system.")
}

fn error(status: u16, kind: &str, code: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }))
}
