//! DashScope's images: the asynchronous form with polls, and the synchronous messages form.

use crate::{
    answer::Whole,
    media::size_of,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Unit, Vendor},
};
use http::Method;
use serde_json::{Value, json};

const SYNTHESIS: &str = "/api/v1/services/aigc/text2image/image-synthesis";
const GENERATION: &str = "/api/v1/services/aigc/multimodal-generation/generation";
const CHAT: &str = "/compatible-mode/v1/chat/completions";
const TASKS: &str = "/api/v1/tasks/";

const OWN_SIZE: (u32, u32) = (1328, 1328);
const KNOWN: [&str; 5] = ["qwen-image", "qwen-image-plus", "wan2.5-t2i-preview", "wan2.2-t2i-flash", "wan2.2-t2i-plus"];
const NO_BODY: &str = "Required body invalid, please check the request body format.";
const SUBMITTED_AT: &str = "2026-11-20 15:00:00.593";

pub(crate) struct Dashscope;

impl Vendor for Dashscope {
    fn id(&self) -> &'static str {
        "dashscope"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("DASHSCOPE_BASE_URL", "")
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, SYNTHESIS) => synthesis(asked),
            (&Method::POST, GENERATION) => generation(asked),
            (&Method::GET, path) => match path.strip_prefix(TASKS) {
                Some(id) if !id.is_empty() && !id.contains('/') => Ok(Ask::Poll(id.to_owned())),
                _ => Ok(Ask::Nothing),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        match refusal {
            Refusal::BadRequest => error(400, "InvalidParameter", "The parameter 'seed' is invalid."),
            Refusal::Unauthorized => error(401, "InvalidApiKey", "Invalid API-key provided."),
            Refusal::PaymentRequired => error(429, "PostpaidBillOverdue", "The account has an overdue bill."),
            Refusal::Forbidden => error(403, "AccessDenied", "Access denied."),
            Refusal::NotFound => error(404, "ModelNotFound", "The model does not exist."),
            Refusal::Unprocessable => error(422, "InvalidParameter", "The request cannot be processed."),
            Refusal::Moderation => error(400, "DataInspectionFailed", "Input data may contain inappropriate content."),
            Refusal::RateLimited => {
                error(429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later.")
            }
            Refusal::Error => error(
                500,
                "InternalError",
                "An internal error has occurred, please try again later or contact service support.",
            ),
        }
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        let id = &job.entry.job;
        let output = json!({ "task_status": "PENDING", "task_id": id });
        Whole::json(200, &json!({ "output": output, "request_id": format!("r-{id}") }))
    }

    fn id_at(&self) -> &'static str {
        "/output/task_id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let id = &job.entry.job;
        let going = |word: &str| json!({ "task_id": id, "task_status": word, "submit_time": SUBMITTED_AT });
        let failed = |code: &str, message: &str| {
            json!({ "task_id": id, "task_status": "FAILED", "submit_time": SUBMITTED_AT,
                    "end_time": "2026-11-20 15:00:01.100", "code": code, "message": message,
                    "task_metrics": { "TOTAL": 1, "SUCCEEDED": 0, "FAILED": 1 } })
        };
        let output = match state {
            State::Waiting => going("PENDING"),
            State::Running => going("RUNNING"),
            State::Strange => going("MEDITATING"),
            State::Lost => json!({ "task_id": id, "task_status": "UNKNOWN" }),
            State::Failed => failed("InvalidParameter", "Size is out of range [512*512, 2048*2048]."),
            State::Moderated => failed("DataInspectionFailed", "Output data may contain inappropriate content."),
            State::Done(results) => succeeded(job, results),
        };
        let usage = json!({ "image_count": output["task_metrics"]["SUCCEEDED"].as_u64().unwrap_or(0) });
        Whole::json(200, &json!({ "request_id": format!("poll-{id}"), "output": output, "usage": usage }))
    }

    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole {
        let links: Vec<&str> = links(results).collect();
        if job.entry.form == "speech" {
            let url = links.first();
            let audio = json!({ "data": "", "expires_at": 1_795_273_212, "id": "audio_r", "url": url });
            let output = json!({ "finish_reason": "stop", "audio": audio });
            let body = json!({ "request_id": "r", "output": output, "usage": { "characters": 12 } });
            return Whole::json(200, &body);
        }
        let choice = |url: &&str| {
            let message = json!({ "role": "assistant", "content": [{ "image": url }] });
            json!({ "finish_reason": "stop", "message": message })
        };
        let choices: Vec<Value> = links.iter().map(choice).collect();
        let (total, good) = (results.len(), choices.len());
        let metric = json!({ "TOTAL": total, "SUCCEEDED": good, "FAILED": total - good });
        let usage = json!({ "image_count": good, "width": job.entry.width, "height": job.entry.height });
        let output = json!({ "choices": choices, "task_metric": metric });
        Whole::json(200, &json!({ "request_id": "r", "output": output, "usage": usage }))
    }

    fn chat_path(&self) -> Option<&str> {
        Some(CHAT)
    }

    /// The compatible paths have an envelope, and some codes, of their own.
    fn chat_refused(&self, refusal: Refusal) -> Whole {
        let refused = self.refused(refusal);
        let said: Value = serde_json::from_slice(&refused.bytes).unwrap_or_default();
        let code = match said["code"].as_str() {
            Some("InvalidApiKey") => "invalid_api_key",
            Some("DataInspectionFailed") => "data_inspection_failed",
            other => other.unwrap_or_default(),
        };
        let kind = if refused.status < 500 { "invalid_request_error" } else { "server_error" };
        let error = json!({ "message": said["message"], "type": kind, "param": null, "code": code });
        Whole::json(refused.status, &json!({ "error": error, "request_id": "r" }))
    }
}

/// Answers with the job's id. Wrong parameters are found only later, in the job.
fn synthesis(asked: &Asked) -> Result<Ask, Whole> {
    if asked.header("x-dashscope-async") != Some("enable") {
        return Err(error(403, "AccessDenied", "current user api does not support synchronous calls"));
    }
    let body = asked.json().ok_or_else(|| error(400, "InvalidParameter", NO_BODY))?;
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    if !KNOWN.contains(&model.as_str()) {
        return Err(error(400, "InvalidParameter", "Model not exist."));
    }
    let parameters = &body["parameters"];
    let size = size_of(parameters["size"].as_str(), '*', OWN_SIZE);
    let in_range = |side: u32| (512..=2048).contains(&side);
    Ok(Ask::Submit(Box::new(Order {
        model,
        form: "text2image",
        prompt: body["input"]["prompt"].as_str().unwrap_or_default().to_owned(),
        size,
        outputs: count(parameters),
        flawed: !in_range(size.0) || !in_range(size.1),
        body,
        ..Order::default()
    })))
}

/// Pictures, or speech, at once.
fn generation(asked: &Asked) -> Result<Ask, Whole> {
    let body = asked.json().ok_or_else(|| error(400, "InvalidParameter", NO_BODY))?;
    let content = body["input"]["messages"][0]["content"].as_array().map_or(&[][..], Vec::as_slice);
    let speech = body["input"]["text"].as_str();
    let text = content.iter().find_map(|item| item["text"].as_str()).or(speech);
    let Some(prompt) = text.map(ToOwned::to_owned) else {
        return Err(error(400, "InvalidParameter", "Field required: input.text"));
    };
    let (form, unit) = if speech.is_some() { ("speech", Unit::Speech) } else { ("messages", Unit::Image) };
    let parameters = &body["parameters"];
    Ok(Ask::Submit(Box::new(Order {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        form,
        prompt,
        size: size_of(parameters["size"].as_str(), '*', OWN_SIZE),
        outputs: count(parameters),
        unit,
        blocking: true,
        body,
        ..Order::default()
    })))
}

fn count(parameters: &Value) -> u32 {
    parameters["n"].as_u64().and_then(|n| u32::try_from(n.clamp(1, 6)).ok()).unwrap_or(1)
}

fn succeeded(job: &Facts<'_>, results: &[Made]) -> Value {
    let one = |result: &Made| match result {
        Made::Link(url) => {
            json!({ "orig_prompt": job.prompt, "actual_prompt": format!("A delicate {}", job.prompt), "url": url })
        }
        Made::Inline(_) | Made::Failed => {
            json!({ "code": "InternalError.Timeout", "message": "An internal timeout error has occurred." })
        }
    };
    let (total, good) = (results.len(), links(results).count());
    json!({ "task_id": job.entry.job, "task_status": "SUCCEEDED", "submit_time": SUBMITTED_AT,
            "scheduled_time": "2026-11-20 15:00:00.640", "end_time": "2026-11-20 15:00:12.123",
            "results": results.iter().map(one).collect::<Vec<_>>(),
            "task_metrics": { "TOTAL": total, "SUCCEEDED": good, "FAILED": total - good } })
}

fn links(results: &[Made]) -> impl Iterator<Item = &str> {
    results.iter().filter_map(|result| match result {
        Made::Link(url) => Some(url.as_str()),
        Made::Inline(_) | Made::Failed => None,
    })
}

fn error(status: u16, code: &str, message: &str) -> Whole {
    Whole::json(status, &json!({ "request_id": "r", "code": code, "message": message }))
}
