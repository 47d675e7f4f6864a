//! Images of the OpenAI API: synchronous, base64 in the answer.

use crate::{
    answer::Whole,
    media::size_of,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::FutureExt;
use http::Method;
use serde_json::{Map, Value, json};

pub(crate) struct OpenAi;

impl Vendor for OpenAi {
    fn id(&self) -> &'static str {
        "openai"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("OPENAI_BASE_URL", "/v1")
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        let form = match (&asked.method, asked.path.as_str()) {
            (&Method::POST, "/v1/images/generations") => "generations",
            (&Method::POST, "/v1/images/edits") => "edits",
            (&Method::GET, "/v1/models") => return Ok(Ask::Said(models())),
            _ => return Ok(Ask::Nothing),
        };
        let Some(body) = body(asked) else {
            return Err(invalid(None, "invalid_value", "We could not parse the body of your request."));
        };
        check(&body)?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        // A multipart field arrives as text.
        let n = body["n"].as_u64().or_else(|| body["n"].as_str()?.parse().ok()).unwrap_or(1);
        Ok(Ask::Submit(Box::new(Order {
            model: text("model"),
            form,
            prompt: text("prompt"),
            size: size_of(body["size"].as_str(), 'x', (1024, 1024)),
            outputs: u32::try_from(n.clamp(1, 10)).unwrap_or(1),
            unit: Unit::Image,
            blocking: true,
            inline: true,
            body,
            ..Order::default()
        })))
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

    fn accepted(&self, _job: &Facts<'_>) -> Whole {
        // Nothing here is worked on after its answer.
        self.refused(Refusal::NotFound)
    }

    fn id_at(&self) -> &'static str {
        ""
    }

    fn polled(&self, _job: &Facts<'_>, _state: &State) -> Whole {
        self.refused(Refusal::NotFound)
    }

    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
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

/// The body as JSON, whichever of the two encodings it came in; files by their length.
fn body(asked: &Asked) -> Option<Value> {
    let Ok(boundary) = multer::parse_boundary(asked.header("content-type")?) else {
        return asked.json().filter(Value::is_object);
    };
    // All of it is in memory, so nothing is waited for.
    form(asked.body.clone(), boundary).now_or_never().flatten()
}

async fn form(body: Bytes, boundary: String) -> Option<Value> {
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
