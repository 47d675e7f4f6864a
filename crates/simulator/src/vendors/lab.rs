//! A vendor of our own making, for the promises that no real vendor gives: one model takes an
//! idempotency key, one can be searched by the caller's reference, one does neither.

use crate::{
    answer::Whole,
    vendor::{Ask, Asked, Facts, Made, Order, Refusal, State, Vendor},
};
use http::Method;
use serde_json::{Value, json};

const JOBS: &str = "/v1/jobs";
const OUTPUTS_MAX: u64 = 10;

pub(crate) struct Lab;

impl Vendor for Lab {
    fn id(&self) -> &'static str {
        "lab"
    }

    fn base_url(&self) -> (&'static str, &'static str) {
        ("LAB_BASE_URL", "")
    }

    fn read(&self, asked: &Asked) -> Result<Ask, Whole> {
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, JOBS) => submit(asked),
            (&Method::GET, JOBS) => match asked.parameter("reference") {
                Some(reference) => Ok(Ask::Search(reference.to_owned())),
                None => Err(error(400, "bad_request", "Name a reference.")),
            },
            (&Method::GET, path) => match path.strip_prefix(JOBS).and_then(|rest| rest.strip_prefix('/')) {
                Some(id) if !id.is_empty() && !id.contains('/') => Ok(Ask::Poll(id.to_owned())),
                _ => Ok(Ask::Nothing),
            },
            _ => Ok(Ask::Nothing),
        }
    }

    fn refused(&self, refusal: Refusal) -> Whole {
        match refusal {
            Refusal::BadRequest => error(400, "bad_request", "A parameter is wrong."),
            Refusal::Unauthorized => error(401, "unauthorized", "The key is not known."),
            Refusal::PaymentRequired => error(402, "payment_required", "The account is empty."),
            Refusal::Forbidden => error(403, "forbidden", "The key may not do this."),
            Refusal::NotFound => error(404, "not_found", "There is no such thing."),
            Refusal::Unprocessable => error(422, "unprocessable", "This cannot be made."),
            Refusal::Moderation => error(400, "moderation", "The prompt was refused."),
            Refusal::RateLimited => error(429, "rate_limited", "Slow down."),
            Refusal::Error => error(500, "internal", "Something broke."),
        }
    }

    fn accepted(&self, job: &Facts<'_>) -> Whole {
        Whole::json(200, &json!({ "id": job.entry.job, "state": "waiting" }))
    }

    fn id_at(&self) -> &'static str {
        "/id"
    }

    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole {
        let id = &job.entry.job;
        let going = |word: &str| json!({ "id": id, "state": word });
        let failed = |code: &str| json!({ "id": id, "state": "failed", "error": code });
        let body = match state {
            State::Waiting => going("waiting"),
            State::Running => going("running"),
            State::Strange => going("meditating"),
            State::Lost => return error(410, "gone", "The job is no longer known."),
            State::Failed => failed("failed"),
            State::Moderated => failed("moderation"),
            State::Done(results) => {
                let one = |result: &Made| match result {
                    Made::Link(url) => json!({ "url": url }),
                    Made::Inline(_) | Made::Failed => json!({ "error": "failed" }),
                };
                json!({ "id": id, "state": "done", "results": results.iter().map(one).collect::<Vec<Value>>() })
            }
        };
        Whole::json(200, &body)
    }

    fn made(&self, job: &Facts<'_>, _results: &[Made]) -> Whole {
        self.accepted(job)
    }

    fn found(&self, job: Option<&Facts<'_>>) -> Whole {
        let jobs: Vec<Value> = job.iter().map(|job| json!({ "id": job.entry.job })).collect();
        Whole::json(200, &json!({ "jobs": jobs }))
    }
}

fn submit(asked: &Asked) -> Result<Ask, Whole> {
    let body =
        asked.json().filter(Value::is_object).ok_or_else(|| error(400, "bad_request", "The body is no JSON."))?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (model, prompt, reference) = (text("model"), text("prompt"), text("reference"));
    let key = asked.header("idempotency-key").map(ToOwned::to_owned);
    let form = match model.as_str() {
        "keyed" if key.is_none() => return Err(error(400, "bad_request", "This model wants an Idempotency-Key.")),
        "keyed" => "keyed",
        "searchable" if reference.is_empty() => return Err(error(400, "bad_request", "This model wants a reference.")),
        "searchable" => "searchable",
        "plain" => "plain",
        _ => return Err(Lab.refused(Refusal::NotFound)),
    };
    if prompt.is_empty() {
        return Err(error(400, "bad_request", "The prompt is empty."));
    }
    let side = |name: &str| body[name].as_u64().and_then(|side| u32::try_from(side.clamp(1, 4096)).ok()).unwrap_or(64);
    Ok(Ask::Submit(Box::new(Order {
        model,
        form,
        prompt,
        size: (side("width"), side("height")),
        outputs: u32::try_from(body["n"].as_u64().unwrap_or(1).clamp(1, OUTPUTS_MAX)).unwrap_or(1),
        // The other models neither remember a key nor find a reference.
        key: key.filter(|_| form == "keyed"),
        reference: Some(reference).filter(|_| form == "searchable"),
        body,
        ..Order::default()
    })))
}

fn error(status: u16, code: &str, message: &str) -> Whole {
    Whole::json(status, &json!({ "error": { "code": code, "message": message } }))
}
