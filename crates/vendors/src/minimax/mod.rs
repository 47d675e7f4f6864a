//! MiniMax: pictures and speech come in one blocking call, clips as tasks, in two generations of
//! its API. The first generation answers 200 to everything: its own number decides.
//!
//! No call takes a key or a reference of ours, so that a lost answer of a paid one stays lost.

mod clip;
mod h3;
mod image;
mod inputs;
mod shape;
mod speech;

use crate::chat::Completions;
use crate::status::{Dialect, Said, is_plain, text, word};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    chat::Relay,
    request::Checked,
    vendor::{Answer, Body, Call, HttpCall, Job, Mark, Method, Next, Output, Plan, Repeat, Reply, Source, Vendor},
};
use serde_json::{Map, Value, json};
use std::{borrow::Cow, time::Duration};

const POLL_TIMEOUT: Duration = Duration::from_secs(30);

static CHAT: Completions = Completions(&DIALECT);

const DIALECT: Dialect = Dialect {
    name: "MiniMax",
    said: |body| Said {
        codes: [number(body), word(body, "/error/type")],
        message: match text(body, "/base_resp/status_msg") {
            "" => text(body, "/error/message"),
            message => message,
        },
    },
    codes: &[
        ("1002", ErrorKind::RateLimited),
        ("1039", ErrorKind::RateLimited),
        ("1041", ErrorKind::RateLimited),
        ("2045", ErrorKind::RateLimited),
        // The window of a subscription is used up for hours.
        ("2056", ErrorKind::VendorBalance),
        ("1008", ErrorKind::VendorBalance),
        ("1004", ErrorKind::VendorAuth),
        ("2049", ErrorKind::VendorAuth),
        ("1026", ErrorKind::ModerationBlocked),
        ("1027", ErrorKind::ModerationBlocked),
        ("1042", ErrorKind::VendorRefused),
        ("1043", ErrorKind::VendorRefused),
        ("1044", ErrorKind::VendorRefused),
        ("2013", ErrorKind::VendorRefused),
        ("20132", ErrorKind::VendorRefused),
        ("2037", ErrorKind::VendorRefused),
        ("2039", ErrorKind::VendorRefused),
        ("2042", ErrorKind::VendorRefused),
        ("2048", ErrorKind::VendorRefused),
        // No page says that these mean "not accepted".
        ("1000", ErrorKind::Unclear),
        ("1001", ErrorKind::Unclear),
        ("1013", ErrorKind::Unclear),
        ("1024", ErrorKind::Unclear),
        ("1033", ErrorKind::Unclear),
        ("bad_request_error", ErrorKind::VendorRefused),
        ("authorized_error", ErrorKind::VendorAuth),
        ("insufficient_balance_error", ErrorKind::VendorBalance),
        ("unprocessable_entity_error", ErrorKind::ModerationBlocked),
        ("rate_limit_error", ErrorKind::RateLimited),
        ("server_error", ErrorKind::Unclear),
        ("overloaded_error", ErrorKind::Unclear),
    ],
};

/// The vendor's number. The second generation writes it behind its sentence: `… balance (1008)`.
fn number(body: &Value) -> Cow<'_, str> {
    let code = word(body, "/base_resp/status_code");
    if !code.is_empty() {
        return code;
    }
    let tail = text(body, "/error/message").rsplit_once('(').map(|(_, tail)| tail.trim_end());
    Cow::Borrowed(tail.and_then(|tail| tail.strip_suffix(')')).unwrap_or_default())
}

pub struct MiniMax;

impl Vendor for MiniMax {
    fn id(&self) -> &'static str {
        "minimax"
    }

    fn speaks(&self, card: &Model) -> bool {
        matches!(card.form.as_str(), "image-generation" | "video-generation" | "video-generation-v2" | "t2a")
    }

    fn chat(&self, card: &Model) -> Option<&dyn Relay> {
        CHAT.of(card)
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        let mut plan = Plan::by_card(request, card);
        plan.warnings = match card.form.as_str() {
            "video-generation" => clip::warnings(request, card)?,
            "video-generation-v2" => h3::warnings(request, card)?,
            "t2a" => speech::warnings(request),
            _ => Vec::new(),
        };
        Ok(plan)
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        let call = match job.card.form.as_str() {
            "video-generation" => submission(job, clip::PATH, clip::body(job)?),
            "video-generation-v2" => submission(job, h3::PATH, h3::body(job)?),
            "t2a" => speech::call(job),
            _ => submission(job, image::PATH, image::body(job)?),
        };
        Ok((Call::Http(Box::new(call)), json!({})))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        match (job.card.form.as_str(), reply) {
            ("video-generation", _) => clip::next(job, mark, reply),
            ("video-generation-v2", _) => h3::next(job, mark, reply),
            (_, Reply::Due) => Err(DIALECT.gone()),
            ("t2a", Reply::Answer(answer)) => speech::made(job, mark, answer),
            (_, Reply::Answer(answer)) => image::made(job, mark, answer),
        }
    }
}

/// A call that costs money.
fn submission(job: &Job<'_>, path: &str, body: Body) -> HttpCall {
    HttpCall {
        method: Method::Post,
        url: format!("{}{path}", job.base_url),
        headers: vec![("authorization".to_owned(), job.credential.bearer())],
        body,
        repeat: Repeat::Never,
        media: Vec::new(),
        timeout: Duration::from_millis(job.card.times.submit_timeout_ms),
        sign: None,
        share: None,
    }
}

/// A question about a task or a file.
fn question(job: &Job<'_>, path: &str) -> Call {
    let call = submission(job, path, Body::Empty);
    Call::Http(Box::new(HttpCall { method: Method::Get, repeat: Repeat::Safe, timeout: POLL_TIMEOUT, ..call }))
}

/// Parameters by the vendor's own names, as the model's entry lists them.
fn extras(job: &Job<'_>) -> Map<String, Value> {
    let given = |name: &String| Some((name.clone(), job.request.extra.get(name)?.clone()));
    job.card.params.keys().filter_map(given).collect()
}

/// The answer to the submission of a task.
fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let id = word(&answer.body, "/task_id");
    match is_good(answer) && is_plain(&id) {
        true => Ok(Next::Wait(None, json!({ "task_id": id }))),
        false => Err(bad(job, answer, "it names no task")),
    }
}

/// Whether nothing in an answer says that something went wrong.
fn is_good(answer: &Answer) -> bool {
    answer.is_success() && matches!(&*number(&answer.body), "0" | "")
}

/// The error of an answer that lacks something: the vendor's own, where it has one.
fn bad(job: &Job<'_>, answer: &Answer, lacks: &str) -> Error {
    match is_good(answer) {
        true => DIALECT.because(job, answer, ErrorKind::Unclear, lacks),
        false => DIALECT.error(job, answer),
    }
}

/// As [`bad`], about work that was paid for: what the vendor does not find may not be there yet,
/// and it has no word for that but the one for wrong parameters.
fn not_yet(job: &Job<'_>, answer: &Answer, lacks: &str) -> Error {
    let error = bad(job, answer, lacks);
    let said = (DIALECT.said)(&answer.body).message;
    match error.kind {
        ErrorKind::VendorRefused => {
            DIALECT.because(job, answer, ErrorKind::Unclear, &format!("it does not find that: {said}"))
        }
        _ => error,
    }
}

fn link(index: u32, url: &str, lifetime_s: Option<u64>) -> Output {
    Output { index, media: Source::Link { url: url.to_owned(), lifetime_s }, poster: None, failed: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::{
        catalog::Catalog,
        id::ModelId,
        request::{Input, Origin, Role},
    };

    fn plan(model: &str, role: Option<Role>) -> Result<Plan, ErrorKind> {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        let id = ModelId::parse(model).unwrap();
        let card = catalog.model(&id).unwrap();
        let input = |role| Input { role, origin: Origin::Url(String::new()), field: String::new() };
        let inputs = role.map(input).into_iter().collect();
        let request = Checked { inputs, ..Checked::plain(card.kind, id, "a kite") };
        MiniMax.plan(&request, card).map_err(|error| error.kind)
    }

    #[test]
    fn what_is_made_of_inputs_only_is_refused_without_them() {
        assert_eq!(plan("minimax/hailuo-2.3-fast", None), Err(ErrorKind::InvalidRequest));
        assert!(plan("minimax/hailuo-2.3-fast", Some(Role::FirstFrame)).is_ok());
        assert_eq!(plan("minimax/h3", Some(Role::Audio)), Err(ErrorKind::InvalidRequest));
        assert!(plan("minimax/h3", None).is_ok() && plan("minimax/h3", Some(Role::Video)).is_ok());
    }
}
