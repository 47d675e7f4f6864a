//! DashScope's images: the asynchronous form with polls, and the synchronous messages form.

use super::{
    End, Link, Media, Order, Shared, State, Submit,
    picture::size_of,
    script::Script,
    wire::{Answer, Asked},
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// An accepted asynchronous job.
pub(super) struct Job {
    marker: String,
    script: Arc<Script>,
    end: End,
    files: Vec<Bytes>,
    prompt: String,
    polls: u32,
    links: u32,
}

/// `POST …/text2image/image-synthesis`: answers with the job's id. Wrong parameters are found
/// only later, in the job.
pub(super) async fn submit(asked: &Asked, shared: &Shared) -> Answer {
    if let Some(refusal) = check_key(asked) {
        return refusal;
    }
    if asked.header("x-dashscope-async") != Some("enable") {
        return error(403, "AccessDenied", "current user api does not support synchronous calls");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&asked.body) else {
        return error(400, "InvalidParameter", "Required body invalid, please check the request body format.");
    };
    let known = ["qwen-image", "qwen-image-plus", "wan2.5-t2i-preview", "wan2.2-t2i-flash", "wan2.2-t2i-plus"];
    if !known.contains(&body["model"].as_str().unwrap_or_default()) {
        return error(400, "InvalidParameter", "Model not exist.");
    }
    let prompt = body["input"]["prompt"].as_str().unwrap_or_default().to_owned();
    let order = shared.state().submit("dashscope", &prompt, &body);
    // The job exists from here on; the client may be gone before it hears so.
    let id = order.submit.is_accepted().then(|| open_job(&mut shared.state(), &order, &body, prompt));
    order.script.delay().await;
    match order.submit {
        Submit::Accept => Answer::json(
            200,
            json!({
                "output": { "task_status": "PENDING", "task_id": id }, "request_id": request_id(shared),
            }),
        ),
        other => refused(&other),
    }
}

fn open_job(state: &mut State, order: &Order, body: &Value, prompt: String) -> String {
    let parameters = &body["parameters"];
    let size = size_of(parameters["size"].as_str(), '*', (1328, 1328));
    let n = parameters["n"].as_u64().unwrap_or(1);
    let made = order.script.size.unwrap_or(size);
    let make = |at| state.pictures.make(&order.script, made, &format!("{} {} {at}", order.marker, order.ordinal));
    let in_range = |side: u32| (512..=2048).contains(&side);
    let good = in_range(size.0) && in_range(size.1);
    let job = Job {
        marker: order.marker.clone(),
        script: order.script.clone(),
        end: if good { order.script.end(order.ordinal) } else { End::Failed },
        files: (0..n).map(make).collect(),
        prompt,
        polls: 0,
        links: 0,
    };
    let id = format!("0385dc79-5ff8-4d82-bcb6-{:012}", state.number());
    state.jobs.insert(id.clone(), job);
    id
}

/// `GET /api/v1/tasks/{id}`.
pub(super) fn poll(asked: &Asked, shared: &Shared) -> Answer {
    if let Some(refusal) = check_key(asked) {
        return refusal;
    }
    let id = asked.path.rsplit('/').next().unwrap_or_default().to_owned();
    let root = format!("http://{}", shared.address);
    let mut state = shared.state();
    let state = &mut *state;
    let output = match state.jobs.remove(&id) {
        None => json!({ "task_id": id, "task_status": "UNKNOWN" }),
        Some(mut job) => {
            state.ledger.record_poll(&job.marker);
            job.polls += 1;
            let output = output(state, &id, &mut job, &root);
            state.jobs.insert(id, job);
            output
        }
    };
    let usage = json!({ "image_count": output["task_metrics"]["SUCCEEDED"].as_u64().unwrap_or(0) });
    Answer::json(200, json!({ "request_id": format!("poll-{}", state.number()), "output": output, "usage": usage }))
}

fn output(state: &mut State, id: &str, job: &mut Job, root: &str) -> Value {
    let failed = |code: &str, message: &str| {
        json!({ "task_id": id, "task_status": "FAILED", "submit_time": "2026-11-20 15:00:00.593",
                "end_time": "2026-11-20 15:00:01.100", "code": code, "message": message,
                "task_metrics": { "TOTAL": 1, "SUCCEEDED": 0, "FAILED": 1 } })
    };
    if job.polls <= job.script.polls || job.end == End::Never {
        let status = if job.polls == 1 { "PENDING" } else { "RUNNING" };
        return json!({ "task_id": id, "task_status": status, "submit_time": "2026-11-20 15:00:00.593" });
    }
    match job.end {
        End::UnknownState => json!({ "task_id": id, "task_status": "MEDITATING" }),
        End::Lost => json!({ "task_id": id, "task_status": "UNKNOWN" }),
        End::Failed => failed("InvalidParameter", "Size is out of range [512*512, 2048*2048]."),
        End::Moderation => failed("DataInspectionFailed", "Output data may contain inappropriate content."),
        End::Success | End::Never => succeeded(state, id, job, root, None),
        End::WithoutResult(at) => succeeded(state, id, job, root, Some(at)),
    }
}

fn succeeded(state: &mut State, id: &str, job: &mut Job, root: &str, missing: Option<usize>) -> Value {
    job.links += 1;
    let expired = matches!(job.script.media, Media::ExpiredLinks(count) if job.links <= count);
    let mut results = Vec::new();
    for (at, file) in job.files.iter().enumerate() {
        if missing == Some(at) {
            results
                .push(json!({ "code": "InternalError.Timeout", "message": "An internal timeout error has occurred." }));
            continue;
        }
        let url = hand_out(
            state,
            root,
            "png",
            Link { marker: job.marker.clone(), file: file.clone(), media: job.script.media.clone(), expired },
        );
        results.push(
            json!({ "orig_prompt": job.prompt, "actual_prompt": format!("A delicate {}", job.prompt), "url": url }),
        );
    }
    let (total, good) = (job.files.len(), results.iter().filter(|result| result["url"].is_string()).count());
    json!({ "task_id": id, "task_status": "SUCCEEDED", "submit_time": "2026-11-20 15:00:00.593",
            "scheduled_time": "2026-11-20 15:00:00.640", "end_time": "2026-11-20 15:00:12.123", "results": results,
            "task_metrics": { "TOTAL": total, "SUCCEEDED": good, "FAILED": total - good } })
}

fn hand_out(state: &mut State, root: &str, ext: &str, link: Link) -> String {
    let path = format!("/media/{}.{ext}", state.number());
    let url = format!("{root}{path}?Expires=1795273212&Signature=t");
    state.links.insert(path, link);
    url
}

/// `POST …/multimodal-generation/generation`: pictures, or speech, at once.
pub(super) async fn generate(asked: &Asked, shared: &Shared) -> Answer {
    if let Some(refusal) = check_key(asked) {
        return refusal;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&asked.body) else {
        return error(400, "InvalidParameter", "Required body invalid, please check the request body format.");
    };
    let content = body["input"]["messages"][0]["content"].as_array().cloned().unwrap_or_default();
    let text = content.iter().find_map(|item| item["text"].as_str()).or_else(|| body["input"]["text"].as_str());
    let Some(text) = text else { return error(400, "InvalidParameter", "Field required: input.text") };
    let order = shared.state().submit("dashscope", text, &body);
    order.script.delay().await;
    if order.submit != Submit::Accept {
        return refused(&order.submit);
    }
    match order.script.end(order.ordinal) {
        End::Moderation => refused(&Submit::Moderation),
        End::Success | End::WithoutResult(_) => generated(&order, &body, shared),
        _ => refused(&Submit::ErrorAfterAccept),
    }
}

fn generated(order: &Order, body: &Value, shared: &Shared) -> Answer {
    let root = format!("http://{}", shared.address);
    let mut state = shared.state();
    let state = &mut *state;
    let link =
        |file: Bytes| Link { marker: order.marker.clone(), file, media: order.script.media.clone(), expired: false };
    if body["input"]["text"].is_string() {
        let url = hand_out(state, &root, "wav", link(crate::media::wav(24_000, 1_000).into()));
        let audio = json!({ "data": "", "expires_at": 1_795_273_212, "id": "audio_r", "url": url });
        return Answer::json(
            200,
            json!({ "request_id": "r", "output": { "finish_reason": "stop", "audio": audio },
                                         "usage": { "characters": 12 } }),
        );
    }
    let size = order.script.size.unwrap_or_else(|| size_of(body["parameters"]["size"].as_str(), '*', (1328, 1328)));
    let n = body["parameters"]["n"].as_u64().unwrap_or(1);
    let choices: Vec<Value> = (0..n)
        .map(|at| {
            let file = state.pictures.make(&order.script, size, &format!("{} {} {at}", order.marker, order.ordinal));
            let image = hand_out(state, &root, "png", link(file));
            json!({ "finish_reason": "stop", "message": { "role": "assistant", "content": [{ "image": image }] } })
        })
        .collect();
    Answer::json(
        200,
        json!({
            "request_id": "r", "output": { "choices": choices, "task_metric": { "TOTAL": n, "SUCCEEDED": n, "FAILED": 0 } },
            "usage": { "image_count": n, "width": size.0, "height": size.1 },
        }),
    )
}

fn refused(submit: &Submit) -> Answer {
    match submit {
        Submit::Accept => unreachable!("it was accepted"),
        Submit::RateLimited(wait) => {
            let headers = wait.map(|wait| ("retry-after", wait.to_owned())).into_iter().collect();
            let body = json!({ "request_id": "r", "code": "Throttling.RateQuota",
                               "message": "Requests rate limit exceeded, please try again later." });
            Answer::Json(429, headers, body)
        }
        Submit::NoBalance => error(429, "PostpaidBillOverdue", "The account has an overdue bill."),
        Submit::BadKey => error(401, "InvalidApiKey", "Invalid API-key provided."),
        Submit::BadParameter => error(400, "InvalidParameter", "The parameter 'seed' is invalid."),
        Submit::Moderation => error(400, "DataInspectionFailed", "Input data may contain inappropriate content."),
        Submit::ErrorBeforeAccept | Submit::ErrorAfterAccept => error(
            500,
            "InternalError",
            "An internal error has occurred, please try again later or contact service support.",
        ),
        Submit::HangAfterAccept => Answer::Silence,
        Submit::ResetAfterAccept => Answer::Reset,
        Submit::GarbageAfterAccept => Answer::text(200, "application/json", "{\"output\": {\"task_st"),
    }
}

fn check_key(asked: &Asked) -> Option<Answer> {
    (!asked.has_the_key()).then(|| error(401, "InvalidApiKey", "Invalid API-key provided."))
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "request_id": "r", "code": code, "message": message }))
}

fn request_id(shared: &Shared) -> String {
    format!("4909100c-7b5a-9f92-bfe5-{:012}", shared.state().number())
}
