//! PixVerse's platform: uploads, seven submissions, polls. Errors come with HTTP 200, ids are beyond
//! 2^53, and a trace id that was used before brings its first answer again. What is not below the
//! platform's prefix is the web application's.

mod account;
mod check;
mod upload;

use crate::{
    answer::Whole,
    vendor::{Ask, Asked, Facts, KEY, Made, Order, Refusal, State, Unit, Vendor},
};
use http::Method;
use serde_json::{Value, json};

const PREFIX: &str = "/openapi/v2";
const TRACE: &str = "ai-trace-id";
/// Ids of tasks begin here.
const JOBS: u64 = 629_000_000_000_000_000;

pub(crate) struct PixVerse;

impl Vendor for PixVerse {
    fn id(&self) -> &'static str {
        "pixverse"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("PIXVERSE_BASE_URL", "")
    }

    fn service(&self, path: &str) -> Option<&'static dyn Vendor> {
        if path.starts_with(PREFIX) { None } else { Some(&account::Account) }
    }

    /// A missing key is an error of its own, told where the request is read.
    fn admits(&self, asked: &Asked) -> bool {
        key(asked).is_none_or(|key| key == KEY)
    }

    fn replays<'a>(&self, asked: &'a Asked) -> Option<&'a str> {
        asked.header(TRACE).filter(|_| key(asked) == Some(KEY))
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        if key(asked).is_none() {
            return Err(no(10004, "api key is empty"));
        }
        let Some(trace) = asked.header(TRACE).filter(|id| !id.is_empty()) else {
            return Err(no(400_011, "Ai-trace-id is empty"));
        };
        let Some(path) = asked.path.strip_prefix(PREFIX) else { return Ok(Ask::Nothing) };
        match (&asked.method, path) {
            (&Method::POST, "/image/upload") => upload::picture(asked).map(Ask::Said),
            (&Method::POST, "/media/upload") => upload::media(asked).map(Ask::Said),
            (&Method::GET, "/account/balance") => {
                let monthly = if asked.is_empty() { 0 } else { 15_000 };
                Ok(Ask::Said(yes(&json!({
                    "account_id": 302_325_299_692_608_u64, "credit_monthly": monthly, "credit_package": 0,
                }))))
            }
            (&Method::POST, path) => match check::form_at(path) {
                Some(form) => submission(asked, trace, form),
                None => Ok(Ask::Nothing),
            },
            (&Method::GET, path) => match path.strip_prefix("/video/result/") {
                Some(id) if id.parse::<u64>().is_ok() => Ok(Ask::Poll(id.to_owned())),
                Some(_) => Err(no(400_013, "invalid video id")),
                None => Ok(Ask::Nothing),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        match refusal {
            Refusal::BadRequest => no(400_017, "invalid param"),
            Refusal::Unauthorized => no(10001, "api key is invalid"),
            Refusal::PaymentRequired => no(500_090, "insufficient balance"),
            Refusal::Forbidden => no(500_020, "no permission"),
            Refusal::NotFound => no(500_008, "data not found"),
            Refusal::Unprocessable => no(400_013, "invalid param type"),
            Refusal::Moderation => no(500_063, "content moderation: prompt"),
            Refusal::RateLimited => Whole { status: 429, ..no(500_044, "concurrent generations limit") },
            Refusal::Error => Whole { status: 500, ..no(99_999, "unknown error") },
        }
    }

    fn coded(&self, code: i64) -> Whole {
        no(code, "an error by its number")
    }

    fn job_id(&self, number: u64) -> String {
        JOBS.saturating_add(number).to_string()
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        yes(&json!({ "video_id": number(&job.entry.job), "credits": 45 }))
    }

    fn id_at(&self) -> &'static str {
        "/Resp/video_id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let (status, url) = match state {
            // A job that was never taken in has no number.
            State::Lost if job.entry.number == 0 => return self.refused(Refusal::NotFound),
            State::Lost => (6, ""),
            State::Waiting | State::Running => (5, ""),
            State::Strange => (11, ""),
            State::Failed => (8, ""),
            State::Moderated => (7, ""),
            State::Done(results) => match results.first() {
                Some(Made::Link(url)) => (1, url.as_str()),
                Some(Made::Inline(_) | Made::Failed) | None => (1, ""),
            },
        };
        let side = |side: u32| if status == 1 { side } else { 0 };
        let mut standing = json!({
            "id": number(&job.entry.job), "status": status, "url": url, "prompt": job.prompt,
            "outputWidth": side(job.entry.width), "outputHeight": side(job.entry.height), "size": 0,
            "create_time": "2026-11-20T10:00:00Z", "modify_time": "2026-11-20T10:00:05Z",
        });
        if status == 1 {
            standing["negative_prompt"] = json!("");
            standing["seed"] = json!(1_234_567);
            standing["has_audio"] = json!(false);
            standing["credits"] = json!(45);
        }
        yes(&standing)
    }

    fn made(&self, job: &Facts<'_>, _results: &[Made]) -> Whole {
        self.accepted(job)
    }
}

fn key(asked: &Asked) -> Option<&str> {
    asked.header("api-key").filter(|key| !key.is_empty())
}

fn submission(asked: &Asked, trace: &str, form: &check::Form) -> Result<Ask, Whole> {
    let body = asked.json().filter(Value::is_object).ok_or_else(|| no(400_013, "the body is no JSON"))?;
    let size = check::all(&body, form)?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Ok(Ask::Submit(Box::new(Order {
        model: text("model"),
        form: form.name,
        prompt: text(form.prompt),
        size,
        outputs: 1,
        unit: Unit::Video,
        // An answer that got lost is given again as well.
        key: Some(trace.to_owned()),
        body,
        ..Order::default()
    })))
}

fn number(id: &str) -> u64 {
    id.parse().unwrap_or_default()
}

fn yes(resp: &Value) -> Whole {
    Whole::json(200, &json!({ "ErrCode": 0, "ErrMsg": "success", "Resp": resp }))
}

fn no(code: i64, message: &str) -> Whole {
    Whole::json(200, &json!({ "ErrCode": code, "ErrMsg": message, "Resp": null }))
}
