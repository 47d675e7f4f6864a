//! ModelScope's pictures: a task that is submitted and polled, each with a header of its own.

use crate::{
    answer::Whole,
    media::size_of,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Vendor},
};
use http::Method;
use serde_json::{Value, json};

const SUBMIT: &str = "/v1/images/generations";
const TASKS: &str = "/v1/tasks/";
const MODELS: &str = "/v1/models";
const FIRST_JOB: u64 = 3_142_000;

/// The least and the largest side of each model, and whether it edits pictures.
const KNOWN: [(&str, u32, u32, bool); 6] = [
    ("Qwen/Qwen-Image", 64, 1664, false),
    ("Qwen/Qwen-Image-Edit", 64, 1664, true),
    ("Qwen/Qwen-Image-Edit-2509", 64, 1664, true),
    ("Tongyi-MAI/Z-Image-Turbo", 512, 2048, false),
    ("black-forest-labs/FLUX.1-Krea-dev", 64, 1024, false),
    ("MAILAND/majicflus_v1", 64, 1024, false),
];

pub(crate) struct ModelScope;

impl Vendor for ModelScope {
    fn id(&self) -> &'static str {
        "modelscope"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("MODELSCOPE_BASE_URL", "")
    }

    fn chat_path(&self) -> Option<&str> {
        Some("/v1/chat/completions")
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, SUBMIT) => submit(asked),
            (&Method::GET, MODELS) => {
                let models: Vec<Value> = KNOWN.iter().map(|(id, ..)| json!({ "id": id, "object": "model" })).collect();
                Ok(Ask::Said(Whole::json(200, &json!({ "object": "list", "data": models }))))
            }
            (&Method::GET, path) => match path.strip_prefix(TASKS) {
                Some(id) if !id.is_empty() && !id.contains('/') => {
                    match asked.header("x-modelscope-task-type") == Some("image_generation") {
                        true => Ok(Ask::Poll(id.to_owned())),
                        false => Err(error(400, "the task type is missing")),
                    }
                }
                _ => Ok(Ask::Nothing),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        match refusal {
            Refusal::BadRequest => error(400, "submit image generation task error"),
            Refusal::Unauthorized => error(401, "Please bind your Alibaba Cloud account before use."),
            // Nothing is paid for; what can be used up is the day.
            Refusal::PaymentRequired => limited("The quota of the day is used up.", "0"),
            Refusal::Forbidden => error(403, "The token may not do this."),
            Refusal::NotFound => error(404, "not found"),
            Refusal::Unprocessable => error(422, "The request cannot be processed."),
            Refusal::Moderation => error(400, "Input data may contain inappropriate content."),
            Refusal::RateLimited => limited("Request rate increased too quickly. Please retry later.", "1200"),
            Refusal::Error => error(500, "internal error"),
        }
    }

    fn job_id(&self, number: u64) -> String {
        (FIRST_JOB + number).to_string()
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        // The state is that of the submission: it says nothing about the picture.
        Whole::json(200, &json!({ "task_id": job.entry.job, "task_status": "SUCCEED", "request_id": "r" }))
    }

    fn id_at(&self) -> &'static str {
        "/task_id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let say = |word: &str, links: Vec<&str>| json!({ "task_id": job.entry.job, "task_status": word, "output_images": links, "request_id": "r" });
        let failed = |words: &str| {
            let mut body = say("FAILED", Vec::new());
            body["errors"] = json!({ "message": words });
            body
        };
        let body = match state {
            State::Waiting => say("PENDING", Vec::new()),
            State::Running => say("RUNNING", Vec::new()),
            State::Strange => say("MEDITATING", Vec::new()),
            State::Lost => return error(404, "task not found"),
            State::Failed => failed("image generation failed"),
            State::Moderated => failed("Output data may contain inappropriate content."),
            State::Done(results) => {
                let link = |result: &'_ Made| match result {
                    Made::Link(url) => Some(url.clone()),
                    Made::Inline(_) | Made::Failed => None,
                };
                let links: Vec<String> = results.iter().filter_map(link).collect();
                match links.is_empty() {
                    true => failed("image generation failed"),
                    false => say("SUCCEED", links.iter().map(String::as_str).collect()),
                }
            }
        };
        Whole::json(200, &body)
    }

    fn made(&self, job: &Facts<'_>, _results: &[Made]) -> Whole {
        self.accepted(job)
    }
}

fn submit(asked: &Asked) -> Result<Ask, Whole> {
    if asked.header("x-modelscope-async-mode") != Some("true") {
        return Err(error(400, "pictures are made asynchronously"));
    }
    let body = asked.json().filter(Value::is_object).ok_or_else(|| error(400, "the body is no JSON object"))?;
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let known = KNOWN.iter().find(|(id, ..)| *id == model);
    let (_, least, most, edits) = known.ok_or_else(|| error(400, "the model has no inference provider"))?;
    let size = size_of(body["size"].as_str(), 'x', (1024, 1024));
    let fits = |side: u32| (*least..=*most).contains(&side);
    let chars = |name: &str| body[name].as_str().unwrap_or_default().chars().count();
    let whole = |name: &str, most: u64| body[name].is_null() || body[name].as_u64().is_some_and(|n| n <= most);
    let guidance = body["guidance"].as_f64().unwrap_or(if body["guidance"].is_null() { 1.5 } else { 0.0 });
    let checks = [
        ((1..2000).contains(&chars("prompt")), "prompt is empty or too long"),
        (chars("negative_prompt") < 2000, "negative_prompt is too long"),
        (body["size"].is_null() || (fits(size.0) && fits(size.1)), "size is out of range"),
        (whole("seed", (1 << 31) - 1), "seed is out of range"),
        (whole("steps", 100) && body["steps"] != 0, "steps is out of range"),
        ((1.5..=20.0).contains(&guidance), "guidance is out of range"),
        (are_loras(&body["loras"]), "loras: at most 6 with weights that add up to 1.0"),
        (*edits != body["image_url"].is_null(), "image_url is for the models that edit, which need it"),
        (are_pictures(&body["image_url"]), "image_url is no picture"),
        (body["n"].is_null(), "n is not known"),
    ];
    if let Some((_, why)) = checks.iter().find(|(holds, _)| !holds) {
        return Err(error(400, why));
    }
    let prompt = body["prompt"].as_str().unwrap_or_default().to_owned();
    Ok(Ask::Submit(Box::new(Order { model, form: "images", prompt, size, outputs: 1, body, ..Order::default() })))
}

/// `"owner/lora"`, or each with its weight.
fn are_loras(value: &Value) -> bool {
    let is_name = |name: &str| name.split('/').filter(|part| !part.is_empty()).count() == 2;
    match value {
        Value::Null => true,
        Value::String(name) => is_name(name),
        Value::Object(all) => {
            let sum: f64 = all.values().filter_map(Value::as_f64).sum();
            (1..=6).contains(&all.len()) && all.keys().all(|name| is_name(name)) && (sum - 1.0).abs() < 1e-6
        }
        _ => false,
    }
}

/// One, or a list.
fn are_pictures(value: &Value) -> bool {
    let is_one = |text: &str| text.starts_with("https://") || text.starts_with("data:image/");
    match value {
        Value::Null => true,
        Value::String(text) => is_one(text),
        Value::Array(list) => !list.is_empty() && list.iter().all(|item| item.as_str().is_some_and(is_one)),
        _ => false,
    }
}

fn error(status: u16, words: &str) -> Whole {
    Whole::json(status, &json!({ "errors": { "message": words }, "request_id": "r" }))
}

/// Bursts and the end of the day's quota differ in a header only.
fn limited(words: &str, left: &str) -> Whole {
    let error = json!({ "code": "limit_burst_rate", "message": words });
    Whole::json(429, &json!({ "error": error, "request_id": "r" }))
        .header("modelscope-ratelimit-requests-limit", "2000")
        .header("modelscope-ratelimit-requests-remaining", left)
}
