//! The seam of the product: what a vendor is.
//!
//! A vendor is pure. It opens no socket, sleeps nowhere, reads no clock and holds no media. It
//! turns our request into a [`Call`], which is data, and its own answers into a [`Next`]; the
//! engine stores the [`Mark`] *before* every send, so that a crash resumes at the right step.

pub use crate::local::{Desk, Local, LocalWork};
pub use crate::secret::{Credential, Field, Secret};
use crate::{
    Error, Stamp,
    catalog::Model,
    chat::Relay,
    price::Cost,
    request::{Checked, Warning},
    task::StoredInput,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

pub trait Vendor: Send + Sync {
    /// The id of its catalogue file.
    fn id(&self) -> &'static str;

    /// Whether this adapter speaks the wire form of the model.
    fn speaks(&self, card: &Model) -> bool;

    /// Splits a request into slots and says what it will not honour and what it should cost.
    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error>;

    /// The first call of a slot.
    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error>;

    /// What follows from a reply. [`Reply::Due`] says that a wait is over, or that we restarted:
    /// answer with the call that fits the mark. An error says what kind it is; the engine knows
    /// from it whether a paid call was refused, or may have been accepted.
    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error>;

    /// What names the vendor's job among all of its jobs, by the mark of an accepted submission;
    /// `None` where the answer itself was the result. A name that another task has is a lie.
    fn job_name(&self, mark: &Mark) -> Option<String> {
        mark.as_object().is_some_and(|fields| !fields.is_empty()).then(|| mark.to_string())
    }

    /// The call that looks for a lost submission by our reference, where the vendor can.
    fn search(&self, _job: &Job<'_>, _mark: &Mark) -> Option<HttpCall> {
        None
    }

    /// Reads the answer of [`Vendor::search`]: the mark of the job that was found, or nothing.
    fn found(&self, _job: &Job<'_>, _mark: &Mark, _answer: &Answer) -> Result<Option<Mark>, Error> {
        Ok(None)
    }

    /// The cheapest call that costs nothing and tells a good key from a bad one, where there is one.
    /// The service is that of [`Model::service`].
    fn check(&self, _credential: &Credential, _base_url: &str, _service: Option<&str>) -> Option<HttpCall> {
        None
    }

    /// Reads the answer of [`Vendor::check`]. Only `VendorAuth` and
    /// `VendorBalance` speak against the key.
    fn checked(&self, _credential: &Credential, answer: &Answer) -> Result<(), Error> {
        Error::of_key(answer.status).map_or(Ok(()), Err)
    }

    /// Who passes chats with the model on, where the vendor has chat.
    fn chat(&self, _card: &Model) -> Option<&dyn Relay> {
        None
    }
}

/// What a request becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Results of each slot, one entry a slot, in order.
    pub slots: Vec<u32>,
    pub warnings: Vec<Warning>,
    pub cost: Option<Cost>,
}

impl Plan {
    /// The usual plan: as many slots as `n_per_call` makes necessary, priced by the card.
    pub fn by_card(request: &Checked, card: &Model) -> Self {
        let (n, per) = (request.n, card.n_per_call.max(1));
        let slots = (0..n.div_ceil(per)).map(|at| per.min(n - at * per)).collect();
        let cost = card.price.as_ref().map(|price| Cost {
            currency: price.currency.clone(),
            estimate_micros: price.of(request, n),
            settled_micros: None,
        });
        Self { slots, warnings: Vec::new(), cost }
    }
}

/// One slot of a task, as a vendor sees it.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub request: &'a Checked,
    pub card: &'a Model,
    pub inputs: &'a [StoredInput],
    /// Ours, unique to this submission; vendors that take a key or a reference get this.
    pub reference: &'a str,
    /// Position of this slot's first result among the task's.
    pub first: u32,
    /// Results that this slot is to bring.
    pub outputs: u32,
    pub credential: &'a Credential,
    /// Without a slash at its end.
    pub base_url: &'a str,
    /// Further addresses of the service, in the order of [`crate::catalog::Session::urls`]; none for most.
    pub urls: &'a [String],
    pub now: Stamp,
}

/// The vendor's own small progress: uploaded, submitted id, …
pub type Mark = Value;

/// Something to carry out.
#[derive(Clone, Debug)]
pub enum Call {
    Http(Box<HttpCall>),
    /// Asks whether a link that an answer holds leads to anything. It is guarded as every link is, and
    /// free; the answer has a status and headers, and the status 0 where nothing answered.
    Probe(String),
    Local(LocalWork),
}

/// One HTTP exchange, as data. The door carries it out.
#[derive(Clone, Debug)]
pub struct HttpCall {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, Field)>,
    pub body: Body,
    pub repeat: Repeat,
    /// Where media sits in the answer; it is decoded into staged blobs while it streams.
    pub media: Vec<MediaAt>,
    /// The whole exchange.
    pub timeout: Duration,
    /// Headers that can be made only when the call leaves.
    pub sign: Option<Signer>,
    /// Of a free call: others may have its answer.
    pub share: Option<Share>,
}

/// Equal calls of one key are sent once, and every slot that waits gets the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// What is asked; the engine keeps those of different keys apart.
    pub key: String,
    /// An answer this young serves those who ask later, unless it began before they had submitted.
    pub fresh: Duration,
}

/// Makes the headers that must be fresh at every send: signatures, short-lived tokens, trace ids.
#[derive(Clone, Debug)]
pub struct Signer {
    pub credential: Credential,
    /// Whether [`Leaving::body_sha256`] is wanted; the body is then read twice.
    pub hashes_body: bool,
    pub sign: fn(&Leaving<'_>) -> Vec<(String, Field)>,
}

/// A call at the moment in which it leaves.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    pub method: Method,
    pub url: &'a str,
    /// As it is sent; empty when there is no body.
    pub content_type: &'a str,
    /// Lower-case hex; empty unless [`Signer::hashes_body`].
    pub body_sha256: &'a str,
    pub credential: &'a Credential,
    pub now: Stamp,
    /// 128 random bits in hex, new at every send.
    pub nonce: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
}

#[derive(Clone, Debug)]
pub enum Body {
    Empty,
    /// Content type and the parts, which are sent one behind the other.
    Parts(String, Vec<Part>),
    Multipart(Vec<FormField>),
}

impl Body {
    /// A JSON body without blobs.
    pub fn json(value: &Value) -> Self {
        Self::Parts("application/json".to_owned(), vec![Part::Bytes(value.to_string().into_bytes())])
    }
}

/// A piece of a body: bytes, or a stored blob that the door streams in the form the vendor wants.
#[derive(Clone, Debug)]
pub enum Part {
    Bytes(Vec<u8>),
    Blob { sha256: String, bytes: u64, form: BlobForm },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobForm {
    Raw,
    Base64,
    Hex,
}

#[derive(Clone, Debug)]
pub struct FormField {
    pub name: String,
    pub value: FormValue,
}

#[derive(Clone, Debug)]
pub enum FormValue {
    Text(String),
    File { file_name: String, content_type: String, sha256: String, bytes: u64 },
}

/// Whether sending a call twice can cost twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Free: repeat at will.
    Safe,
    /// Paid; the vendor knows a repeated key for this long and does not charge again.
    Keyed { key_lifetime: Duration },
    /// Paid; a lost one can be searched by our reference, and is visible after `settle`.
    Searchable { settle: Duration },
    /// Paid; only certain proof that it was not accepted allows another send.
    Never,
}

impl Repeat {
    pub fn is_paid(self) -> bool {
        self != Self::Safe
    }
}

/// Where media sits in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaAt {
    /// The whole body.
    Body,
    /// A string at a JSON pointer in which `*` stands for any index or name.
    Json { pointer: String, encoding: Encoding },
    /// The body is a row of JSON documents, one behind the other or as the `data:` lines of an
    /// event stream, and each may hold a piece at the pointer (without `*`). The pieces are decoded
    /// one by one and joined into one staged blob, the first of [`Answer::staged`]; the answer's
    /// body is the list of the documents, each piece left empty.
    Joined { pointer: String, encoding: Encoding },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Base64,
    Hex,
}

/// What came of a call, or that a wait is over.
#[derive(Clone, Debug)]
pub enum Reply {
    Due,
    Answer(Answer),
}

/// A vendor's answer, its media taken out.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The JSON, in which each media string has become `{"$staged": handle}`; null when it is none.
    pub body: Value,
    /// The start of a body that was no JSON, at most 2 KiB.
    pub text: Option<String>,
    /// Media that was the whole body, or that local work made, in order.
    pub staged: Vec<Staged>,
}

/// A handle of decoded media that is not yet anyone's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Staged(pub String);

impl Staged {
    /// The JSON that stands where a media string stood.
    pub fn to_json(&self) -> Value {
        serde_json::json!({ "$staged": self.0 })
    }

    pub fn from_json(value: &Value) -> Option<Self> {
        value.get("$staged")?.as_str().map(|handle| Self(handle.to_owned()))
    }
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After` in seconds, capped at an hour; a date is judged against `now`.
    pub fn retry_after(&self, now: Stamp) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc2822).ok()?;
                Stamp(at.unix_timestamp().saturating_mul(1_000_000)).since(now)
            }
        };
        Some(wait.min(Duration::from_secs(3600)))
    }
}

#[derive(Clone, Debug)]
pub enum Next {
    /// Make this call; the mark is stored before it leaves.
    Send(Call, Mark),
    /// The vendor works; ask again after the wait (the engine adds growth and jitter when `None`).
    Wait(Option<Duration>, Mark),
    /// The results. The mark stays valid for asking once more when a link has expired.
    Done(Vec<Output>, Mark),
}

/// One result, by where its media is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Position within the slot.
    pub index: u32,
    pub media: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poster: Option<Source>,
    /// A result that the vendor reports as failed among others that it made: code and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<crate::task::Failure>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Staged(Staged),
    /// A vendor's link; it lives about this long, and a repeated poll brings a fresh one.
    Link {
        url: String,
        lifetime_s: Option<u64>,
    },
    /// Nothing: the vendor failed at this one.
    Missing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(text: &str) -> Option<u64> {
        // 2026-02-11T10:00:00Z
        let now = Stamp(1_770_804_000_000_000);
        let answer = Answer { headers: vec![("retry-after".to_owned(), text.to_owned())], ..Answer::default() };
        answer.retry_after(now).map(|wait| wait.as_secs())
    }

    #[test]
    fn hints_are_seconds_or_a_date_and_never_long() {
        assert_eq!(retry_after("7"), Some(7));
        assert_eq!(retry_after("Wed, 11 Feb 2026 10:00:30 GMT"), Some(30));
        assert_eq!(retry_after("Wed, 11 Feb 2026 09:00:00 GMT"), Some(0), "a moment that has passed");
        assert_eq!(retry_after("315360000"), Some(3600), "ten years are an hour");
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn secrets_print_as_stars() {
        let credential = Credential(vec![Secret::new("hunter2")]);
        assert!(!format!("{credential:?} {:?} {}", credential.bearer(), credential.0[0]).contains("hunter2"));
    }
}
