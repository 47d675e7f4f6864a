//! What the vendor's error codes mean. They come with HTTP 200, or with 429 and 5xx.

use crate::status::{Dialect, Said, text, word};
use pixel_core::{
    Error, ErrorKind,
    vendor::{Answer, Job},
};
use std::{borrow::Cow, time::Duration};

pub(super) const DIALECT: Dialect = Dialect {
    name: "PixVerse",
    said: |body| {
        let code = word(body, "/ErrCode");
        let family = match code.parse() {
            // More of these are in use than are listed.
            Ok(400_011..=400_032) => "parameter",
            _ => "",
        };
        let messages = [text(body, "/ErrMsg"), text(body, "/message"), text(body, "/error/message")];
        let message = messages.into_iter().find(|message| !message.is_empty()).unwrap_or_default();
        Said { codes: [code, Cow::Borrowed(family)], message }
    },
    codes: &[
        ("10001", ErrorKind::VendorAuth),
        ("10002", ErrorKind::VendorAuth),
        ("10003", ErrorKind::VendorAuth),
        ("10004", ErrorKind::VendorAuth),
        ("10005", ErrorKind::VendorAuth),
        ("400012", ErrorKind::VendorAuth),
        // 400011 empty, 400013 does not bind, 400017 invalid, 400018 and 400019 too long, 400032 unknown picture.
        ("parameter", ErrorKind::VendorRefused),
        ("500008", ErrorKind::VendorRefused),
        ("500020", ErrorKind::VendorAuth),
        ("500030", ErrorKind::VendorRefused),
        ("500031", ErrorKind::InputUnreachable),
        ("500032", ErrorKind::VendorRefused),
        ("500033", ErrorKind::VendorRefused),
        ("500041", ErrorKind::Unclear),
        ("500042", ErrorKind::InputUnreachable),
        ("500043", ErrorKind::VendorBalance),
        ("500044", ErrorKind::RateLimited),
        ("500054", ErrorKind::ModerationBlocked),
        ("500060", ErrorKind::VendorRefused),
        ("500063", ErrorKind::ModerationBlocked),
        ("500064", ErrorKind::VendorDeleted),
        // One of the few that prove that nothing was made.
        ("500069", ErrorKind::VendorUnavailable),
        ("500070", ErrorKind::VendorRefused),
        ("500071", ErrorKind::VendorRefused),
        ("500090", ErrorKind::VendorBalance),
        // Neither says whether the task was made before it broke.
        ("500100", ErrorKind::Unclear),
        ("99999", ErrorKind::Unclear),
    ],
};

/// How long to wait where the answer itself does not say: a slot is free again, the system less busy.
const WAITS: [(&str, Duration); 2] = [("500044", Duration::from_secs(10)), ("500069", Duration::from_secs(30))];

/// The error that an answer amounts to.
pub(super) fn error(job: &Job<'_>, answer: &Answer) -> Error {
    let error = DIALECT.error(job, answer);
    let code = word(&answer.body, "/ErrCode");
    let usual = WAITS.iter().find(|(known, _)| *known == code).map(|(_, wait)| *wait);
    let wait = error.retry_after.or(usual);
    error.with_retry_after(wait)
}

/// Whether the vendor did what it was asked. HTTP 200 alone says nothing.
pub(super) fn is_good(answer: &Answer) -> bool {
    answer.is_success() && word(&answer.body, "/ErrCode") == "0"
}

/// An id, which may be beyond 2^53, as text: it goes into addresses, and into bodies as a number.
pub(super) fn id(answer: &Answer, pointer: &str) -> Option<String> {
    let id: u64 = word(&answer.body, pointer).parse().ok()?;
    (id > 0).then(|| id.to_string())
}
