//! DashScope: pictures, clips and speech, as tasks with polls or at once, and its store for inputs.

mod check;
mod store;

use crate::{
    answer::Whole,
    media::size_of,
    vendor::{Ask, Asked, Facts, KEY, Made, Order, Refusal, State, Unit, Vendor},
};
use check::Path;
use http::Method;
use serde_json::{Value, json};

/// Where each path begins to be read, and what its jobs are called.
const PATHS: &[(&str, Path, &str)] = &[
    ("text2image/image-synthesis", Path::Text2Image, "text2image"),
    ("image2image/image-synthesis", Path::Image2Image, "image2image"),
    ("multimodal-generation/generation", Path::Multimodal, "messages"),
    ("image-generation/generation", Path::Generation, "image-generation"),
    ("video-generation/video-synthesis", Path::Video, "video"),
];
const SERVICES: &str = "/api/v1/services/aigc/";
const UPLOADS: &str = "/api/v1/uploads";
const CHAT: &str = "/compatible-mode/v1/chat/completions";
const TASKS: &str = "/api/v1/tasks/";

const OWN_SIZE: (u32, u32) = (1328, 1328);
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

    /// The store knows policies, not keys.
    fn admits(&self, asked: &Asked) -> bool {
        asked.path == store::PATH || asked.bearer() == Some(KEY)
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        let service = asked.path.strip_prefix(SERVICES).and_then(|tail| PATHS.iter().find(|(path, ..)| *path == tail));
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, store::PATH) => store::upload(asked).map(Ask::Said),
            (&Method::POST, _) => match service {
                Some((_, Path::Multimodal, _)) => generation(asked),
                Some((_, path, form)) => task(asked, *path, form),
                None => Ok(Ask::Nothing),
            },
            (&Method::GET, UPLOADS) => store::policy(asked).map(Ask::Said),
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
        let (id, is_clip) = (&job.entry.job, job.entry.form == "video");
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
            State::Failed if is_clip => failed("InvalidParameter", "Field required: input.media"),
            State::Failed => failed("InvalidParameter", "Size is out of range [512*512, 2048*2048]."),
            State::Moderated => failed("DataInspectionFailed", "Output data may contain inappropriate content."),
            // A clip is all that its task makes.
            State::Done(results) if is_clip && links(results).next().is_none() => {
                failed("InternalError.Timeout", "An internal timeout error has occurred.")
            }
            State::Done(results) => succeeded(job, results),
        };
        let usage = match is_clip {
            true => json!({ "duration": 5, "video_count": 1, "SR": job.entry.height }),
            false => json!({ "image_count": output["task_metrics"]["SUCCEEDED"].as_u64().unwrap_or(0) }),
        };
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
        let choices = choices(&links);
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

fn choices(links: &[&str]) -> Vec<Value> {
    let choice = |url: &&str| {
        let message = json!({ "role": "assistant", "content": [{ "image": url }] });
        json!({ "finish_reason": "stop", "message": message })
    };
    links.iter().map(choice).collect()
}

/// Answers with the job's id. Wrong parameters are found only later, in the job.
fn task(asked: &Asked, path: Path, form: &'static str) -> Result<Ask, Whole> {
    if asked.header("x-dashscope-async") != Some("enable") {
        return Err(error(403, "AccessDenied", "current user api does not support synchronous calls"));
    }
    let body = asked.json().ok_or_else(|| error(400, "InvalidParameter", NO_BODY))?;
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    if !check::is_known(&model, path) {
        return Err(error(400, "InvalidParameter", "Model not exist."));
    }
    let (input, parameters) = (&body["input"], &body["parameters"]);
    let urls = urls(input);
    let is_clip = path == Path::Video;
    let flawed = match path {
        Path::Video => check::is_flawed_clip(&body),
        Path::Generation => message(input).is_none() || check::picture_flaw(&body, path, &urls).is_some(),
        _ => check::picture_flaw(&body, path, &urls).is_some(),
    };
    let flawed = flawed || !check::are_readable(asked, &model, &urls);
    let prompt = message(input).or(input["prompt"].as_str()).unwrap_or_default().to_owned();
    let size = match is_clip {
        true => check::clip_size(parameters),
        false => size_of(parameters["size"].as_str(), '*', OWN_SIZE),
    };
    let outputs = check::count(&model, path, parameters);
    let unit = if is_clip { Unit::Video } else { Unit::Image };
    Ok(Ask::Submit(Box::new(Order { model, form, prompt, size, outputs, unit, flawed, body, ..Order::default() })))
}

/// Pictures, or speech, at once.
fn generation(asked: &Asked) -> Result<Ask, Whole> {
    if asked.header("x-dashscope-async").is_some() {
        return Err(error(403, "AccessDenied", "current user api does not support asynchronous calls"));
    }
    let wrong = |why: &str| error(400, "InvalidParameter", why);
    let body = asked.json().ok_or_else(|| wrong(NO_BODY))?;
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let (input, parameters) = (&body["input"], &body["parameters"]);
    let speech = input["text"].as_str();
    let (prompt, flaw) = match speech {
        Some(text) => (text, check::speech_flaw(&body)),
        None if !check::is_known(&model, Path::Multimodal) => return Err(wrong("Model not exist.")),
        None => {
            let text = message(input).ok_or_else(|| wrong("Field required: input.text"))?;
            (text, check::picture_flaw(&body, Path::Multimodal, &urls(input)))
        }
    };
    if let Some(flaw) = flaw {
        return Err(wrong(flaw));
    }
    if !check::are_readable(asked, &model, &urls(input)) {
        return Err(error(400, "InvalidURL", "The URL of an input cannot be read."));
    }
    let (form, unit) = if speech.is_some() { ("speech", Unit::Speech) } else { ("messages", Unit::Image) };
    Ok(Ask::Submit(Box::new(Order {
        form,
        prompt: prompt.to_owned(),
        size: size_of(parameters["size"].as_str(), '*', OWN_SIZE),
        outputs: check::count(&model, Path::Multimodal, parameters),
        model,
        unit,
        blocking: true,
        body,
        ..Order::default()
    })))
}

/// The text of the one message, which holds exactly one.
fn message(input: &Value) -> Option<&str> {
    let messages = input["messages"].as_array().filter(|messages| messages.len() == 1)?;
    let content = messages[0]["content"].as_array().filter(|_| messages[0]["role"] == "user")?;
    let mut texts = content.iter().filter_map(|item| item["text"].as_str());
    texts.next().filter(|_| texts.next().is_none())
}

/// Every address of an input, wherever it stands.
fn urls(input: &Value) -> Vec<&str> {
    let list = |at: &str| input.pointer(at).and_then(Value::as_array).map_or(&[][..], Vec::as_slice).iter();
    let fields = ["img_url", "first_frame_url", "last_frame_url", "audio_url"].into_iter().map(|name| &input[name]);
    let plain = list("/images").chain(list("/reference_urls")).chain(fields);
    let items = list("/messages/0/content").map(|item| &item["image"]).chain(list("/media").map(|item| &item["url"]));
    plain.chain(items).filter_map(Value::as_str).collect()
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
    let mut output = json!({ "task_id": job.entry.job, "task_status": "SUCCEEDED", "submit_time": SUBMITTED_AT,
            "scheduled_time": "2026-11-20 15:00:00.640", "end_time": "2026-11-20 15:00:12.123",
            "task_metrics": { "TOTAL": total, "SUCCEEDED": good, "FAILED": total - good } });
    match job.entry.form.as_str() {
        "video" => {
            output["video_url"] = json!(links(results).next());
            output["orig_prompt"] = json!(job.prompt);
        }
        "image-generation" => {
            output["choices"] = json!(choices(&links(results).collect::<Vec<_>>()));
            output["finished"] = json!(true);
        }
        _ => output["results"] = results.iter().map(one).collect(),
    }
    output
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
