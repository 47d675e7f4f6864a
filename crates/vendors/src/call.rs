//! Calls in the form that most vendors share: the key as a bearer token, what is posted paid for, and
//! what is asked free.

use crate::status::is_plain;
use pixel_core::vendor::{Body, Call, Credential, HttpCall, Job, Method, Next, Repeat};
use serde_json::json;
use std::time::Duration;

const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// Whoever tries a key waits for it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// A call that costs money. Without a clear promise of its vendor a repeat may cost twice.
pub fn paid(job: &Job<'_>, path: &str, body: Body) -> HttpCall {
    let timeout = Duration::from_millis(job.card.times.submit_timeout_ms);
    HttpCall { method: Method::Post, body, repeat: Repeat::Never, timeout, ..question(job, path) }
}

/// A question about what was paid for, which costs nothing.
pub fn question(job: &Job<'_>, path: &str) -> HttpCall {
    HttpCall { timeout: POLL_TIMEOUT, ..free_get(job.credential, format!("{}{path}", job.base_url)) }
}

/// The same as a call.
pub fn ask(job: &Job<'_>, path: &str) -> Call {
    Call::Http(Box::new(question(job, path)))
}

/// A question outside any job.
pub fn free_get(credential: &Credential, url: String) -> HttpCall {
    HttpCall {
        method: Method::Get,
        url,
        headers: vec![("authorization".to_owned(), credential.bearer())],
        body: Body::Empty,
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: CHECK_TIMEOUT,
        sign: None,
    }
}

/// What follows from a submission that became a task: its mark has the vendor's id under this name.
/// Nothing where the answer is no success, or its id cannot become a part of an address.
pub fn accepted(is_good: bool, name: &str, id: &str) -> Option<Next> {
    (is_good && is_plain(id)).then(|| Next::Wait(None, json!({ name: id })))
}
