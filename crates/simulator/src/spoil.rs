//! Turns a good answer into what a fault makes of it.

use crate::{
    answer::{Answer, HTML, Raw, Whole},
    fault::{Fault, Group, Stage},
    media,
    script::Rule,
    vendor::Refusal,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

const TEN_YEARS_S: u64 = 10 * 365 * 24 * 3600;
/// How far ahead the date of a rate limit is.
const DATE_AHEAD: Duration = Duration::from_secs(2);
/// Where a redirect leads that names no other place.
const PRIVATE: &str = "http://127.0.0.2:9/latest/meta-data/";

/// An answer of a vendor's API. `refused` has the vendor's words; `good` is only asked for when the
/// fault needs it.
pub(crate) fn api(
    rule: &Rule,
    refused: impl Fn(Refusal) -> Whole,
    pace: Duration,
    good: impl FnOnce() -> Whole,
) -> Answer {
    if let Some(refusal) = refusal(rule.kind) {
        return waiting(rule, refused(refusal)).into();
    }
    match rule.kind {
        Fault::ErrorBeforeAccept | Fault::ErrorAfterAccept => refused(Refusal::Error).into(),
        Fault::EndlessBody => Answer::Endless(Whole { bytes: Bytes::from_static(b"{\"pad\":\""), ..good() }),
        Fault::GarbageJson => Whole::new(200, "application/json", "{\"output\": {\"task_st").into(),
        Fault::HtmlPage => Whole::new(200, "text/html", HTML).into(),
        Fault::WrongSchema => Whole::json(200, &json!({ "ok": true, "items": [{ "value": 1 }] })).into(),
        kind => transport(kind, pace, good),
    }
}

/// An answer of the media host.
pub(crate) fn media(rule: &Rule, pace: Duration, good: Whole) -> Answer {
    if let Some(refusal) = refusal(rule.kind) {
        return waiting(rule, store_error(status_of(refusal), "AccessDenied")).into();
    }
    let whole = |bytes: Bytes| Whole { bytes, ..good.clone() };
    match rule.kind {
        Fault::ErrorBeforeAccept => store_error(500, "InternalError").into(),
        Fault::ExpiredLink => store_error(403, "AccessDenied").into(),
        Fault::PrivateRedirect => {
            Whole::new(302, "text/plain", "").header("location", rule.to.as_deref().unwrap_or(PRIVATE)).into()
        }
        Fault::CutWithLength => Answer::Cut(good),
        Fault::CutWithoutLength => Answer::UntilClose(good),
        Fault::EmptyMedia => whole(Bytes::new()).into(),
        Fault::WrongType => Whole { content_type: "text/plain", ..good }.into(),
        Fault::HtmlMedia => whole(Bytes::from_static(HTML.as_bytes())).into(),
        Fault::EndlessBody | Fault::TenGigabytes => Answer::Endless(whole(good.bytes.slice(..good.bytes.len() / 2))),
        Fault::MediaBomb => whole(media::bomb()).into(),
        Fault::WrongChecksum => {
            let checksum = STANDARD.encode(Sha256::digest(&good.bytes));
            whole(media::damaged(&good.bytes)).header("x-amz-checksum-sha256", checksum).into()
        }
        kind => transport(kind, pace, || good),
    }
}

/// Media inside an answer.
pub(crate) fn inline(kind: Fault, file: Bytes) -> Bytes {
    match kind {
        Fault::CutWithLength | Fault::CutWithoutLength => file.slice(..file.len() / 2),
        Fault::HtmlMedia => Bytes::from_static(HTML.as_bytes()),
        Fault::EmptyMedia => Bytes::new(),
        Fault::MediaBomb => media::bomb(),
        Fault::WrongChecksum => media::damaged(&file),
        _ => file,
    }
}

/// What happens to any answer on its way.
fn transport(kind: Fault, pace: Duration, good: impl FnOnce() -> Whole) -> Answer {
    match kind {
        Fault::BadGateway => page(502, "Bad Gateway").into(),
        Fault::ServiceUnavailable => page(503, "Service Temporarily Unavailable").into(),
        Fault::GatewayTimeout => page(504, "Gateway Time-out").into(),
        Fault::NoAnswer => Answer::Silence,
        Fault::Reset => Answer::Raw(Raw::Reset),
        Fault::ClosedOnReuse => Answer::Raw(Raw::Close),
        Fault::SlowHeaders => Answer::Raw(Raw::SlowHeaders(pace)),
        Fault::SlowBody => Answer::Drip(good(), pace),
        Fault::GzipBomb => Answer::Inflating(good()),
        Fault::HalfOpen => Answer::Stall(good()),
        _ => good().into(),
    }
}

/// A clear no, in the vendor's words.
pub(crate) fn refusal(kind: Fault) -> Option<Refusal> {
    Some(match kind {
        Fault::BadRequest => Refusal::BadRequest,
        Fault::Unauthorized => Refusal::Unauthorized,
        Fault::PaymentRequired => Refusal::PaymentRequired,
        Fault::Forbidden => Refusal::Forbidden,
        Fault::NotFound | Fault::NotYetKnown => Refusal::NotFound,
        Fault::Unprocessable => Refusal::Unprocessable,
        Fault::Moderation => Refusal::Moderation,
        _ if kind.group() == Group::Refusal && kind.strikes_at(Stage::Fetch) => Refusal::RateLimited,
        _ => return None,
    })
}

fn status_of(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::BadRequest | Refusal::Moderation => 400,
        Refusal::Unauthorized => 401,
        Refusal::PaymentRequired => 402,
        Refusal::Forbidden => 403,
        Refusal::NotFound => 404,
        Refusal::Unprocessable => 422,
        Refusal::RateLimited => 429,
        Refusal::Error => 500,
    }
}

/// Adds `Retry-After` where the fault has one.
fn waiting(rule: &Rule, whole: Whole) -> Whole {
    let wait = match rule.kind {
        Fault::RateLimitSeconds => Some(rule.wait.clone().unwrap_or_else(|| "1".to_owned())),
        Fault::RateLimitDate => http_date(OffsetDateTime::now_utc() + DATE_AHEAD),
        Fault::RateLimitTenYears => Some(TEN_YEARS_S.to_string()),
        _ => None,
    };
    match wait {
        Some(wait) => whole.header("retry-after", wait),
        None => whole,
    }
}

fn http_date(at: OffsetDateTime) -> Option<String> {
    Some(at.format(&Rfc2822).ok()?.replace("+0000", "GMT"))
}

fn page(status: u16, words: &str) -> Whole {
    let text =
        format!("<html><head><title>{status} {words}</title></head><body><h1>{status} {words}</h1></body></html>");
    Whole::new(status, "text/html", text)
}

/// An error as object stores word it.
pub(crate) fn store_error(status: u16, code: &str) -> Whole {
    let words = if status == 403 { "Request has expired." } else { "The request cannot be served." };
    Whole::new(status, "application/xml", format!("<Error><Code>{code}</Code><Message>{words}</Message></Error>"))
}
