//! What the codes of the web pages mean: for a call, and for the session. They come with HTTP 200.

use super::dialect;
use crate::status::{Dialect, word};
use pixel_core::{
    Error, ErrorKind, SessionTrouble,
    vendor::{Answer, Job},
};
use std::time::Duration;

pub(super) const DIALECT: Dialect = Dialect {
    name: dialect::DIALECT.name,
    said: dialect::DIALECT.said,
    codes: &[
        ("10001", ErrorKind::VendorAuth),
        ("10002", ErrorKind::VendorAuth),
        ("10003", ErrorKind::VendorAuth),
        ("10004", ErrorKind::VendorAuth),
        ("10005", ErrorKind::VendorAuth),
        ("500200", ErrorKind::VendorAuth),
        // The sides of a picture.
        ("400", ErrorKind::VendorRefused),
        // 400011 to 400032.
        ("parameter", ErrorKind::VendorRefused),
        ("500043", ErrorKind::VendorBalance),
        ("500090", ErrorKind::VendorBalance),
        ("500044", ErrorKind::RateLimited),
        ("500054", ErrorKind::ModerationBlocked),
        ("500063", ErrorKind::ModerationBlocked),
        ("500064", ErrorKind::VendorDeleted),
        // The only one of the vendor's own faults that proves that nothing was made.
        ("500069", ErrorKind::VendorUnavailable),
        ("500100", ErrorKind::Unclear),
        ("99999", ErrorKind::Unclear),
    ],
};

/// What a code says of the session.
const SESSIONS: [(&str, SessionTrouble); 4] = [
    ("10001", SessionTrouble::Expired),
    ("10003", SessionTrouble::Expired),
    ("10005", SessionTrouble::Evicted),
    ("500200", SessionTrouble::Blocked),
];

/// How long to wait where the answer itself does not say.
const WAITS: [(&str, Duration); 2] = [("500044", Duration::from_secs(10)), ("500069", Duration::from_secs(30))];
const LIMIT_WAIT: Duration = Duration::from_secs(60);

/// What an answer says of the session: by its code, or by being a page or other text where JSON is
/// due. That is the guard before the vendor, which wants to see a person.
pub(super) fn session(answer: &Answer) -> Option<SessionTrouble> {
    let code = word(&answer.body, "/ErrCode");
    let said = SESSIONS.iter().find(|(known, _)| *known == code).map(|(_, trouble)| *trouble);
    let is_page = answer.text.as_ref().is_some_and(|text| {
        let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
        start.starts_with("<!doctype html") || start.starts_with("<html")
    });
    let is_guarded = match answer.status {
        200 | 403 => answer.text.is_some(),
        // A gateway in trouble says a few words as well.
        503 => is_page,
        _ => false,
    };
    said.or(is_guarded.then_some(SessionTrouble::Blocked))
}

fn completed(error: Error, answer: &Answer) -> Error {
    let code = word(&answer.body, "/ErrCode");
    let usual = WAITS.iter().find(|(known, _)| *known == code).map(|(_, wait)| *wait);
    let limited = (error.kind == ErrorKind::RateLimited).then_some(LIMIT_WAIT);
    let wait = error.retry_after.or(usual).or(limited);
    error.with_retry_after(wait).with_session(session(answer))
}

pub(super) fn error(job: &Job<'_>, answer: &Answer) -> Error {
    completed(DIALECT.error(job, answer), answer)
}

/// Whether the pages did what they were asked. HTTP 200 alone says nothing.
pub(super) fn is_good(answer: &Answer) -> bool {
    dialect::is_good(answer)
}

/// Reads the answer of the store, which has nothing to do with the session: whatever it refuses is
/// tried again with new rights.
pub(super) fn of_store(job: &Job<'_>, answer: &Answer) -> Result<(), Error> {
    match answer.is_success() {
        true => Ok(()),
        false => Err(DIALECT.because(job, answer, ErrorKind::Unclear, "its store did not take the picture")),
    }
}
