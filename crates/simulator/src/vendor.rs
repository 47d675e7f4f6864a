//! The seam: what one vendor's wire form must say. Everything else (keys, jobs, links, the ledger,
//! scripts and faults) is the same for all and knows no vendor.
//!
//! To add a vendor: its file in `vendors`, written from the vendor's documents and never from an
//! adapter, and its line in the list `vendors::ALL`.

use crate::{
    answer::{Answer, Whole},
    state::Shared,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use serde_json::Value;

/// The key of the account that is there from the start. `test-key-2` to `test-key-9` are keys of
/// accounts of their own: none knows of the others' jobs, references and idempotency keys.
pub const KEY: &str = "test-key";
pub(crate) const NUMBERS: [&str; 8] = ["-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9"];
/// The key of an account that has nothing left: what is free is answered, and nothing is sold.
pub const EMPTY_KEY: &str = "test-key-empty";
/// The second part, where a vendor's scheme has two.
pub const SECRET: &str = "test-secret";

pub(crate) trait Vendor: Send + Sync {
    /// Its prefix on the port, and its name in the ledger.
    fn id(&self) -> &'static str;

    /// The variables that point Pixel, and other clients, at the simulator, as in the vendor's
    /// documents: name, and what follows the prefix.
    fn base_url(&self) -> (&'static str, &'static str);

    /// Who answers at this path, where a vendor has services with a credential and words of their own.
    fn service(&self, _path: &str) -> Option<&'static dyn Vendor> {
        None
    }

    /// Takes requests into its own hands where answers depend on who is signed in.
    fn takes<'a>(&'static self, _asked: &'a Asked, _shared: &'a Shared) -> Option<BoxFuture<'a, Answer>> {
        None
    }

    /// Whether the request carries the key, or a signature made with key and secret.
    fn admits(&self, asked: &Asked) -> bool {
        asked.bearer() == Some(KEY) || asked.account().is_some()
    }

    /// What names a request: the vendor answers a name that it knows with its first answer.
    fn replays<'a>(&self, _asked: &'a Asked) -> Option<&'a str> {
        None
    }

    /// What a request wants. The error is the vendor's own answer to one that is malformed.
    fn read(&self, asked: &Asked) -> Result<Ask, Whole>;

    /// Says no in the vendor's words.
    fn refused(&self, refusal: Refusal) -> Whole;

    /// The same, for a vendor whose words depend on what was asked.
    fn refused_to(&self, _asked: &Asked, refusal: Refusal) -> Whole {
        self.refused(refusal)
    }

    /// Says no by a number of the vendor's own, where it has such numbers.
    fn coded(&self, _code: i64) -> Whole {
        self.refused(Refusal::Error)
    }

    /// Says no to a reference that was used before, where one must be [`Order::unique`].
    fn used_reference(&self) -> Whole {
        self.refused(Refusal::BadRequest)
    }

    /// The vendor's id of its so-manyeth job.
    fn job_id(&self, number: u64) -> String {
        // As long and as plain as vendors' own ids are.
        format!("0385dc79-5ff8-4d82-bcb6-{number:012}")
    }

    /// A job was accepted and is worked on.
    fn accepted(&self, job: &Facts<'_>) -> Whole;

    /// Where the id stands in that answer, as a JSON pointer.
    fn id_at(&self) -> &'static str;

    /// The same where it stands elsewhere for some jobs.
    fn id_of(&self, _job: &Facts<'_>) -> &'static str {
        self.id_at()
    }

    /// Whether a job is known at the path that was asked.
    fn knows(&self, _job: &Facts<'_>, _asked: &Asked) -> bool {
        true
    }

    /// How a job stands.
    fn polled(&self, job: &Facts<'_>, state: &State) -> Whole;

    /// The answer of a call that blocks until its results are there.
    fn made(&self, job: &Facts<'_>, results: &[Made]) -> Whole;

    /// The answer to a request for the links of a finished job.
    fn retrieved(&self, _job: &Facts<'_>, _results: &[Made]) -> Whole {
        self.refused(Refusal::NotFound)
    }

    /// The answer to a search by the caller's reference.
    fn found(&self, _job: Option<&Facts<'_>>) -> Whole {
        self.refused(Refusal::NotFound)
    }

    /// Where chat completions are taken, for a vendor that has them.
    fn chat_path(&self) -> Option<&str> {
        None
    }

    /// Says no to a chat in the vendor's words, where they are others.
    fn chat_refused(&self, refusal: Refusal) -> Whole {
        self.refused(refusal)
    }
}

/// A request, read to its end. The path begins after the vendor's prefix.
pub(crate) struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether its connection has carried a request before.
    pub reused: bool,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The account of a numbered key; none is the first account.
    pub fn account(&self) -> Option<&str> {
        self.bearer().filter(|key| key.strip_prefix(KEY).is_some_and(|rest| NUMBERS.contains(&rest)))
    }

    /// Whether the account that asks has nothing left.
    pub fn is_empty(&self) -> bool {
        let named = ["api-key", "x-api-key", "x-api-app-id"].into_iter().filter_map(|name| self.header(name));
        self.bearer().into_iter().chain(named).any(|key| key == EMPTY_KEY)
    }

    /// A parameter of the query; plain words need no decoding.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, v)| v)
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// What a request wants.
pub(crate) enum Ask {
    Submit(Box<Order>),
    /// The job with this id.
    Poll(String),
    /// The job that was submitted with this reference.
    Search(String),
    /// Fresh links to the results of the job with this id.
    Retrieve(String),
    /// Something that is answered at once and costs nothing: an upload, a balance, a list.
    Said(Whole),
    /// There is nothing at this path.
    Nothing,
}

/// A submission, as far as it matters to everybody.
#[derive(Default)]
pub(crate) struct Order {
    pub model: String,
    /// Which of the vendor's wire forms, for the vendor itself.
    pub form: &'static str,
    pub prompt: String,
    /// What arrived, for the record.
    pub body: Value,
    pub size: (u32, u32),
    pub outputs: u32,
    pub unit: Unit,
    /// The answer waits for the result.
    pub blocking: bool,
    /// The answer holds the media itself, not links.
    pub inline: bool,
    pub key: Option<String>,
    pub reference: Option<String>,
    /// Who pays, where it is not told by the key.
    pub account: Option<String>,
    /// What is paid, where the vendor says so in numbers.
    pub cost: Option<u64>,
    /// Where the picture lies that it begins with.
    pub picture: Option<String>,
    /// A reference that was used before is refused.
    pub unique: bool,
    /// The vendor finds out only while it works that this cannot be done.
    pub flawed: bool,
}

/// What is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    #[default]
    Image,
    Video,
    Speech,
    Text,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Speech => "speech",
            Self::Text => "text",
        }
    }

    /// By its name in the ledger.
    pub fn named(name: &str) -> Self {
        [Self::Video, Self::Speech, Self::Text].into_iter().find(|unit| unit.name() == name).unwrap_or_default()
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Image => "png",
            Self::Video => "mp4",
            Self::Speech => "wav",
            Self::Text => "txt",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Image => "image/png",
            Self::Video => "video/mp4",
            Self::Speech => "audio/wav",
            Self::Text => "text/plain",
        }
    }
}

/// What a vendor's words may depend on.
pub(crate) struct Facts<'a> {
    pub entry: &'a crate::Entry,
    /// The whole prompt, as long as this simulator lives.
    pub prompt: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest,
    Unauthorized,
    PaymentRequired,
    Forbidden,
    NotFound,
    Unprocessable,
    Moderation,
    RateLimited,
    /// 500, in the vendor's words.
    Error,
}

/// How a job stands.
pub(crate) enum State {
    Waiting,
    Running,
    /// A state that no document names.
    Strange,
    Failed,
    Moderated,
    /// No longer known, or never.
    Lost,
    Done(Vec<Made>),
}

/// One result.
pub(crate) enum Made {
    Link(String),
    Inline(Bytes),
    Failed,
}
