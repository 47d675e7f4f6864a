//! Calls and how they prove who sends them.

use crate::sign::jwt;
use pixel_core::vendor::{Body, Field, HttpCall, Job, Leaving, Method, Repeat, Secret, Signer};
use serde_json::json;
use std::time::Duration;

const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// A token is valid from a little before now, as the vendor's own example has it, and for 30 min.
const TOKEN_EARLY_S: i64 = 5;
const TOKEN_LIFETIME_S: i64 = 1800;

pub fn submit(job: &Job<'_>, path: &str, body: Body, repeat: Repeat) -> HttpCall {
    let timeout = Duration::from_millis(job.card.times.submit_timeout_ms);
    HttpCall { method: Method::Post, body, repeat, timeout, ..get(job, path) }
}

pub fn get(job: &Job<'_>, path: &str) -> HttpCall {
    let signer = Signer { credential: job.credential.clone(), hashes_body: false, sign: with_token };
    let bearer = vec![("authorization".to_owned(), job.credential.bearer())];
    HttpCall {
        method: Method::Get,
        url: format!("{}{path}", job.base_url),
        headers: if is_signed(job) { Vec::new() } else { bearer },
        body: Body::Empty,
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: POLL_TIMEOUT,
        sign: is_signed(job).then_some(signer),
        share: None,
    }
}

/// Whether the credential is an access key and its secret key, in place of one key.
pub fn is_signed(job: &Job<'_>) -> bool {
    job.credential.0.len() == 2
}

/// A token of its own for each call.
fn with_token(leaving: &Leaving<'_>) -> Vec<(String, Field)> {
    let [access, secret] = leaving.credential.0.as_slice() else { return Vec::new() };
    let now_s = leaving.now.0.div_euclid(1_000_000);
    let claims = json!({ "exp": now_s + TOKEN_LIFETIME_S, "iss": access.reveal(), "nbf": now_s - TOKEN_EARLY_S });
    let token = format!("Bearer {}", jwt(&claims, secret.reveal().as_bytes()));
    vec![("authorization".to_owned(), Field::Secret(Secret::new(token)))]
}
