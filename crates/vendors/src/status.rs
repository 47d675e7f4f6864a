//! Reads refusals: what a status, and the vendor's own code, say about a call.
//!
//! The status decides unless the vendor gave a code that its table knows; the table is data. A
//! status that does not prove a refusal (5xx, 408, a 2xx that cannot be read) is unclear: a paid
//! call may have been accepted, and a free one is simply repeated.

use pixel_core::{
    Error, ErrorKind, Stamp,
    task::Failure,
    vendor::{Answer, Body, Credential, HttpCall, Job, Method, Output, Repeat, Source},
};
use serde_json::Value;
use std::{borrow::Cow, time::Duration};

const REASON_CHARS: usize = 300;
const DETAIL_BYTES: usize = 2048;

/// How one vendor words its errors.
pub struct Dialect {
    /// As people know the vendor.
    pub name: &'static str,
    /// Kinds by code. `A.B` stands for `A.B.C` too, unless that has an entry of its own.
    pub codes: &'static [(&'static str, ErrorKind)],
    /// Finds the codes and the message in a body.
    pub said: for<'a> fn(&'a Value) -> Said<'a>,
}

/// What a body says went wrong; what is absent is empty.
pub struct Said<'a> {
    /// The most telling one first; see [`word`] for codes that are numbers.
    pub codes: [Cow<'a, str>; 2],
    pub message: &'a str,
}

impl Dialect {
    /// The error that an answer amounts to.
    pub fn error(&self, job: &Job<'_>, answer: &Answer) -> Error {
        self.refusal(job.credential, job.now, answer)
    }

    /// The same outside a job.
    pub fn refusal(&self, credential: &Credential, now: Stamp, answer: &Answer) -> Error {
        let said = (self.said)(&answer.body);
        let known = said.codes.iter().find_map(|code| self.by_code(code));
        let kind = known.unwrap_or_else(|| by_status(answer.status));
        let status = format!("HTTP {}", answer.status);
        let reason = if said.message.is_empty() { &status } else { said.message };
        self.worded(credential, now, answer, kind, reason)
    }

    /// An error of a kind that is already known, with the answer as its private detail.
    pub fn because(&self, job: &Job<'_>, answer: &Answer, kind: ErrorKind, reason: &str) -> Error {
        self.worded(job.credential, job.now, answer, kind, reason)
    }

    /// The same outside a job.
    pub fn worded(&self, credential: &Credential, now: Stamp, answer: &Answer, kind: ErrorKind, reason: &str) -> Error {
        Error::new(kind, self.sentence(kind, &public(reason, credential)))
            .with_detail(detail(answer, credential))
            .with_retry_after(answer.retry_after(now))
    }

    /// What the answer to a key's check says of the key. It is asked outside any job, without a clock.
    pub fn checked(&self, credential: &Credential, answer: &Answer) -> Result<(), Error> {
        if answer.is_success() { Ok(()) } else { Err(self.refusal(credential, Stamp::default(), answer)) }
    }

    /// The end of work that the vendor had accepted and that brought nothing.
    pub fn ended(&self, job: &Job<'_>, answer: &Answer, code: &str, reason: &str) -> Error {
        self.because(job, answer, self.failure_kind(code), first_of(reason, code))
    }

    /// One result that failed among others.
    pub fn failed_output(&self, job: &Job<'_>, index: u32, code: &str, reason: &str) -> Output {
        let kind = self.failure_kind(code);
        let reason = public(first_of(reason, code), job.credential);
        let failed = Some(Failure::new(kind, self.sentence(kind, &reason)));
        Output { index, media: Source::Missing, poster: None, failed }
    }

    /// As many outputs as the slot is to bring: those that the vendor left out are marked failed.
    /// Where it brought more, what it made goes before what it failed at.
    pub fn complete(&self, job: &Job<'_>, mut outputs: Vec<Output>) -> Vec<Output> {
        if outputs.len() > job.outputs as usize {
            outputs.sort_by_key(|output| output.failed.is_some());
            outputs.truncate(job.outputs as usize);
            (0..).zip(&mut outputs).for_each(|(index, output)| output.index = index);
        }
        for index in outputs.len()..job.outputs as usize {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            outputs.push(self.failed_output(job, index, "", "it returned fewer results than asked"));
        }
        outputs
    }

    /// A result whose link has died, at a call that cannot be asked again.
    pub fn gone(&self) -> Error {
        let message = format!("The result of {} could not be copied, and it cannot be asked for again.", self.name);
        Error::new(ErrorKind::ResultUnusable, message)
    }

    /// Why accepted work failed. Whatever the code, it is over: nothing here asks for a repeat.
    fn failure_kind(&self, code: &str) -> ErrorKind {
        use ErrorKind::{InputUnreachable, ModerationBlocked, VendorFailed, VendorRefused};
        let known = self.by_code(code);
        let kind = known.filter(|kind| matches!(kind, ModerationBlocked | InputUnreachable | VendorRefused));
        kind.unwrap_or(VendorFailed)
    }

    fn by_code(&self, code: &str) -> Option<ErrorKind> {
        let mut code = code;
        loop {
            if let Some((_, kind)) = self.codes.iter().find(|(known, _)| *known == code) {
                return Some(*kind);
            }
            code = code.rsplit_once('.')?.0;
        }
    }

    fn sentence(&self, kind: ErrorKind, reason: &str) -> String {
        let name = self.name;
        match kind {
            ErrorKind::ModerationBlocked => format!("The safety system of {name} refused the content: {reason}"),
            ErrorKind::VendorAuth => format!("{name} does not accept the configured credential: {reason}"),
            ErrorKind::VendorBalance => format!("The {name} account has no balance or quota left: {reason}"),
            ErrorKind::RateLimited => format!("{name} asks to slow down: {reason}"),
            ErrorKind::VendorUnavailable => format!("{name} is unavailable at the moment: {reason}"),
            ErrorKind::InputUnreachable => format!("{name} could not read an input: {reason}"),
            ErrorKind::VendorFailed => format!("{name} failed at the work: {reason}"),
            ErrorKind::VendorLost => format!("{name} no longer knows the job: {reason}"),
            ErrorKind::VendorDeleted => format!("{name} no longer has the result: {reason}"),
            ErrorKind::Unclear => format!("The answer of {name} does not tell what became of the request: {reason}"),
            _ => format!("{name} refused the request: {reason}"),
        }
    }
}

/// What a status says by itself.
pub fn by_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::VendorAuth,
        402 => ErrorKind::VendorBalance,
        429 => ErrorKind::RateLimited,
        408 => ErrorKind::Unclear,
        400..=499 => ErrorKind::VendorRefused,
        _ => ErrorKind::Unclear,
    }
}

fn first_of<'a>(reason: &'a str, code: &'a str) -> &'a str {
    [reason, code].into_iter().find(|text| !text.is_empty()).unwrap_or("it gave no reason")
}

/// A call that costs nothing, with the key as a bearer token.
pub fn free_get(credential: &Credential, url: String) -> HttpCall {
    HttpCall {
        method: Method::Get,
        url,
        headers: vec![("authorization".to_owned(), credential.bearer())],
        body: Body::Empty,
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: Duration::from_secs(10),
        sign: None,
        share: None,
    }
}

/// A string in a body, or nothing.
pub fn text<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A string or a whole number in a body, as text, or nothing: vendors write codes and ids as either.
/// A number beyond 64 bits is read as a float, which would be another id, and is nothing.
pub fn word<'a>(body: &'a Value, pointer: &str) -> Cow<'a, str> {
    match body.pointer(pointer) {
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(Value::Number(number)) if !number.is_f64() => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed(""),
    }
}

/// Whether an id of a vendor may become a part of an address.
pub fn is_plain(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !id.is_empty() && id.len() <= 128 && id.chars().all(plain)
}

/// A vendor's words made fit for the caller: short, on one line, without addresses and keys.
fn public(reason: &str, credential: &Credential) -> String {
    let hidden = hide(reason, credential);
    let is_key =
        |word: &str| word.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|w| w.starts_with("sk-"));
    let words = hidden.split_whitespace().map(|word| match word {
        word if word.contains("://") => "(address)",
        word if is_key(word) => "***",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ").chars().take(REASON_CHARS).collect()
}

fn detail(answer: &Answer, credential: &Credential) -> String {
    let said = answer.text.clone().unwrap_or_else(|| answer.body.to_string());
    let mut text = hide(&format!("HTTP {}: {said}", answer.status), credential);
    text.truncate(text.floor_char_boundary(DETAIL_BYTES));
    text
}

fn hide(text: &str, credential: &Credential) -> String {
    let secrets = credential.0.iter().map(|secret| secret.reveal()).filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ids_are_text_or_whole_numbers() {
        let body: Value = serde_json::from_str(
            r#"{"text":"a","small":1026,"large":9223372036854775809,"beyond":36893488147419103232,"part":1.5,"no":null}"#,
        )
        .unwrap();
        let read = |name: &str| word(&body, &format!("/{name}")).into_owned();
        assert_eq!((read("text"), read("small")), ("a".to_owned(), "1026".to_owned()));
        assert_eq!(read("large"), "9223372036854775809", "to the last digit");
        for name in ["beyond", "part", "no", "absent"] {
            assert_eq!(read(name), "", "{name}");
        }
    }

    #[test]
    fn only_plain_ids_become_addresses() {
        assert!(is_plain("205258526306433") && is_plain("a-B_9"));
        for id in ["", "../a", "a b", "a?b", "é", &"x".repeat(129)] {
            assert!(!is_plain(id), "{id}");
        }
    }
}
