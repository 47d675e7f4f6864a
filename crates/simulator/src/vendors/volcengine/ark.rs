//! Ark: pictures in one blocking call, clips as tasks that are polled. Parameters are checked at the
//! submission, the model first.

use super::{
    checks::{Bad, check_image, check_video, side_of},
    speech::Speech,
    visual::Visual,
};
use crate::{
    answer::Whole,
    media::size_of,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Map, Value, json};

const IMAGES: &str = "/api/v3/images/generations";
const TASKS: &str = "/api/v3/contents/generations/tasks";
const MODELS: &str = "/api/v3/models";
/// Where the other services are.
const SPEECH: &str = "/api/v3/tts/";
const VISUAL: &str = "/";
const CREATED: u64 = 1_795_186_800;
const MODERATED: &str = "The request failed because the output may contain sensitive information.";

pub(crate) struct Ark;

impl Vendor for Ark {
    fn id(&self) -> &'static str {
        "volcengine"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("VOLCENGINE_BASE_URL", "")
    }

    fn service(&self, path: &str) -> Option<&'static dyn Vendor> {
        match path {
            VISUAL => Some(&Visual),
            path if path.starts_with(SPEECH) => Some(&Speech),
            _ => None,
        }
    }

    fn chat_path(&self) -> Option<&str> {
        Some("/api/v3/chat/completions")
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, IMAGES) => image(asked),
            (&Method::POST, TASKS) => video(asked),
            (&Method::GET, MODELS) => {
                let model = json!({ "id": "doubao-seedream-4-0-250828", "object": "model", "status": "Retiring" });
                Ok(Ask::Said(Whole::json(200, &json!({ "object": "list", "data": [model] }))))
            }
            (&Method::GET, path) => match path.strip_prefix(TASKS).and_then(|rest| rest.strip_prefix('/')) {
                Some(id) if !id.is_empty() && !id.contains('/') => Ok(Ask::Poll(id.to_owned())),
                _ => Ok(Ask::Nothing),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        let (status, code, message, kind) = match refusal {
            Refusal::BadRequest => (400, "InvalidParameter", "A parameter is not valid.", "BadRequest"),
            Refusal::Unauthorized => {
                (401, "AuthenticationError", "The API key in the request is missing or invalid.", "Unauthorized")
            }
            Refusal::PaymentRequired => {
                (403, "AccountOverdueError", "The account has an overdue balance.", "Forbidden")
            }
            Refusal::Forbidden => (403, "AccessDenied", "The request is not permitted.", "Forbidden"),
            Refusal::NotFound => {
                (404, "InvalidEndpointOrModel.NotFound", "The model or endpoint does not exist.", "NotFound")
            }
            Refusal::Unprocessable => (422, "InvalidParameter", "The request cannot be processed.", "BadRequest"),
            Refusal::Moderation => (
                400,
                "InputTextSensitiveContentDetected",
                "The request failed because the input text may contain sensitive information.",
                "BadRequest",
            ),
            Refusal::RateLimited => (
                429,
                "ModelAccountRpmRateLimitExceeded",
                "The request has exceeded the rate limit of the account for this model.",
                "TooManyRequests",
            ),
            Refusal::Error => {
                (500, "InternalServiceError", "The service encountered an unexpected error.", "InternalServerError")
            }
        };
        error(status, code, message, kind)
    }

    fn job_id(&self, number: u64) -> String {
        format!("cgt-20261120150000-{number:05}")
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        Whole::json(200, &json!({ "id": job.entry.job }))
    }

    fn id_at(&self) -> &'static str {
        "/id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let failed = |code: &str, message: &str| json!({ "error": { "code": code, "message": told(message) } });
        let (word, more) = match state {
            State::Waiting => ("queued", json!({})),
            State::Running => ("running", json!({})),
            State::Strange => ("meditating", json!({})),
            State::Lost => return error(404, "NotFound", "The task is not found.", "NotFound"),
            State::Failed => ("failed", failed("InternalServiceError", "The service encountered an unexpected error.")),
            State::Moderated => ("failed", failed("OutputVideoSensitiveContentDetected", MODERATED)),
            State::Done(results) => ("succeeded", clip(job, results)),
        };
        let mut body = json!({ "id": job.entry.job, "model": job.entry.model, "status": word, "created_at": CREATED,
                               "updated_at": CREATED + 10, "service_tier": "default" });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        Whole::json(200, &body)
    }

    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
        let size = format!("{}x{}", job.entry.width, job.entry.height);
        let one = |result: &Made| match result {
            Made::Link(url) => json!({ "url": url, "size": size }),
            Made::Inline(file) => json!({ "b64_json": STANDARD.encode(file), "size": size }),
            Made::Failed => json!({ "error": { "code": "OutputImageSensitiveContentDetected", "message": MODERATED } }),
        };
        let good = results.iter().filter(|result| !matches!(result, Made::Failed)).count() as u64;
        let tokens = good * u64::from(job.entry.width) * u64::from(job.entry.height) / 256;
        let usage = json!({ "generated_images": good, "output_tokens": tokens, "total_tokens": tokens });
        let data: Vec<Value> = results.iter().map(one).collect();
        Whole::json(200, &json!({ "model": job.entry.model, "created": CREATED, "data": data, "usage": usage }))
    }
}

fn clip(job: &Facts<'_>, results: &[Made]) -> Value {
    let url = results.iter().find_map(|result| match result {
        Made::Link(url) => Some(url.as_str()),
        Made::Inline(_) | Made::Failed => None,
    });
    let tokens = u64::from(job.entry.width) * u64::from(job.entry.height) * 24 * 5 / 1024;
    let mut content = Map::new();
    content.extend(url.map(|url| ("video_url".to_owned(), json!(url))));
    json!({ "content": content, "seed": 58_944, "duration": 5, "framespersecond": 24,
            "usage": { "completion_tokens": tokens, "total_tokens": tokens } })
}

fn image(asked: &Asked) -> Result<Ask, Whole> {
    let body = body(asked)?;
    let preset = check_image(&body).map_err(malformed)?;
    let size = match preset {
        Some(side) => (side, side),
        None => size_of(body["size"].as_str(), 'x', (2048, 2048)),
    };
    let is_set = body["sequential_image_generation"] == "auto";
    let most = body["sequential_image_generation_options"]["max_images"].as_u64().unwrap_or(15);
    Ok(Ask::Submit(Box::new(Order {
        model: text(&body, "model"),
        form: "images",
        prompt: text(&body, "prompt"),
        size,
        outputs: if is_set { u32::try_from(most.clamp(1, 15)).unwrap_or(1) } else { 1 },
        blocking: true,
        inline: body["response_format"] == "b64_json",
        body,
        ..Order::default()
    })))
}

fn video(asked: &Asked) -> Result<Ask, Whole> {
    let body = body(asked)?;
    check_video(&body).map_err(malformed)?;
    let content = body["content"].as_array().map_or(&[][..], Vec::as_slice);
    let prompt = content.iter().find_map(|item| item["text"].as_str()).unwrap_or_default().to_owned();
    Ok(Ask::Submit(Box::new(Order {
        model: text(&body, "model"),
        form: "contents",
        prompt,
        size: side_of(&body),
        outputs: 1,
        unit: Unit::Video,
        body,
        ..Order::default()
    })))
}

fn body(asked: &Asked) -> Result<Value, Whole> {
    let body = asked.json().filter(Value::is_object);
    body.ok_or_else(|| error(400, "InvalidParameter", "The request body is not valid JSON.", "BadRequest"))
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}

fn malformed(bad: Bad) -> Whole {
    match bad {
        Bad::Model => Ark.refused(Refusal::NotFound),
        Bad::Parameter(name) => error(
            400,
            "InvalidParameter",
            &format!("The parameter `{name}` specified in the request is not valid."),
            "BadRequest",
        ),
        Bad::Missing(name) => {
            error(400, "MissingParameter", &format!("The request is missing `{name}` parameter."), "BadRequest")
        }
        Bad::Task(why) => error(400, "InvalidParameter.TaskTypeConstraint", why, "BadRequest"),
    }
}

fn told(message: &str) -> String {
    format!("{message} Request id: 0217")
}

fn error(status: u16, code: &str, message: &str, kind: &str) -> Whole {
    Whole::json(status, &json!({ "error": { "code": code, "message": told(message), "param": "", "type": kind } }))
}
