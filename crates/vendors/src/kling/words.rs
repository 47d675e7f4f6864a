//! The vendor's error codes, and the free text that is all it says where it has none.

use super::call::is_signed;
use crate::status::{Dialect, Said, text, word};
use pixel_core::{
    Error, ErrorKind, Stamp,
    vendor::{Answer, Credential, Job},
};
use std::borrow::Cow;

pub const DIALECT: Dialect = Dialect {
    name: "Kling",
    said: |body| Said { codes: [word(body, "/code"), Cow::Borrowed("")], message: text(body, "/message") },
    codes: CODES,
};

/// Numbers on the wire, also below a status that says something else: an empty account is 429.
const CODES: &[(&str, ErrorKind)] = &[
    ("1000", ErrorKind::VendorAuth),
    ("1001", ErrorKind::VendorAuth),
    ("1002", ErrorKind::VendorAuth),
    ("1003", ErrorKind::VendorAuth),
    ("1004", ErrorKind::VendorAuth),
    // The account is in an abnormal state, which only its owner can mend.
    ("1100", ErrorKind::VendorAuth),
    ("1101", ErrorKind::VendorBalance),
    ("1102", ErrorKind::VendorBalance),
    // The key is good, only this model is not open to it.
    ("1103", ErrorKind::VendorRefused),
    ("1200", ErrorKind::VendorRefused),
    ("1201", ErrorKind::VendorRefused),
    ("1202", ErrorKind::VendorRefused),
    ("1203", ErrorKind::VendorRefused),
    ("1300", ErrorKind::ModerationBlocked),
    ("1301", ErrorKind::ModerationBlocked),
    ("1302", ErrorKind::RateLimited),
    // More at once than the account's pack allows: nothing was created.
    ("1303", ErrorKind::RateLimited),
    // This server's address is not on the account's list.
    ("1304", ErrorKind::VendorAuth),
    ("5000", ErrorKind::Unclear),
    ("5001", ErrorKind::Unclear),
    ("5002", ErrorKind::Unclear),
];

/// A failure after the start has no code. Any of these in its reason, in small letters, is the
/// safety system speaking.
const MODERATION: &str =
    "risk control|safety|sensitive|content policy|moderation|inappropriate|prohibited|violat|nsfw|风控|敏感|违规|审核";

/// How our id is called, in small letters, and what in a complaint about it means that it was used
/// before. No page says what the vendor answers then.
const OUR_ID: &str = "external_task_id|external task id|external_id|external id";
const USED: &str = "exist|duplicat|unique|repeat|already| used|重复|存在";

/// Whether a text has one of these words, which are in small letters.
fn holds(text: &str, words: &str) -> bool {
    let small = text.to_lowercase();
    words.split('|').any(|word| small.contains(word))
}

/// The error that the answer to a submission, or to a poll of a job that was accepted, amounts to.
pub fn refused(job: &Job<'_>, answer: &Answer, was_accepted: bool) -> Error {
    let reason = text(&answer.body, "/message");
    match &*word(&answer.body, "/code") {
        // One that was just accepted may not be known everywhere yet.
        _ if was_accepted && answer.status == 404 => unclear(job, answer, "it does not know the task yet"),
        // Our id is used once, so what was used before is this very submission: it can be searched.
        "1200" | "1201" if holds(reason, OUR_ID) && holds(reason, USED) => unclear(job, answer, reason),
        _ if is_untimely(job.credential, answer) => DIALECT.because(job, answer, ErrorKind::VendorUnavailable, reason),
        _ => DIALECT.error(job, answer),
    }
}

/// A token out of its time: that is a clock's fault, and the next call carries another.
fn is_untimely(credential: &Credential, answer: &Answer) -> bool {
    is_signed(credential) && matches!(&*word(&answer.body, "/code"), "1003" | "1004")
}

/// What the answer to a key's check says of the key.
pub fn of_key(credential: &Credential, answer: &Answer) -> Error {
    let reason = text(&answer.body, "/message");
    match is_untimely(credential, answer) {
        true => DIALECT.worded(credential, Stamp::default(), answer, ErrorKind::VendorUnavailable, reason),
        false => DIALECT.refusal(credential, Stamp::default(), answer),
    }
}

/// The end of work that was accepted.
pub fn failed(job: &Job<'_>, answer: &Answer, reason: &str) -> Error {
    DIALECT.ended(job, answer, if holds(reason, MODERATION) { "1300" } else { "" }, reason)
}

/// Whether a search says that there is no such job; any other refusal says nothing.
pub fn is_absent(answer: &Answer) -> bool {
    answer.status == 404 && word(&answer.body, "/code") == "1203"
}

/// An answer that does not tell how things stand.
pub fn unclear(job: &Job<'_>, answer: &Answer, reason: &str) -> Error {
    DIALECT.because(job, answer, ErrorKind::Unclear, reason)
}
