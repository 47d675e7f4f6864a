//! What the simulator was asked. Accepted submissions are what a vendor would charge for.

use crate::{Memory, fault::Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Longer strings of a body, such as data URIs, are remembered by their beginning.
const STRING_MAX: usize = 512;
const PROMPT_CHARS: usize = 200;

/// One accepted submission, as it stands in the ledger's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, in order of acceptance.
    pub number: u64,
    /// When, as RFC 3339.
    pub at: String,
    pub vendor: String,
    pub model: String,
    /// Which of the vendor's wire forms.
    pub form: String,
    /// The vendor's id of the job.
    pub job: String,
    /// The word `mk-…` of the prompt, or nothing.
    pub marker: String,
    /// The prompt's beginning.
    pub prompt: String,
    /// The idempotency key, where the vendor takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The account that pays: by its key, where it is not the first one; by its name, where it
    /// signed in with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The caller's own reference, where the vendor takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What is paid, where the vendor has a balance in numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// Where the picture lies that it begins with, where that is a path of the vendor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Of the request's body, in hexadecimal digits.
    pub request_sha256: String,
    /// What is charged for: `image`, `video`, `speech` or `text`.
    pub unit: String,
    /// How many of them.
    pub outputs: u32,
    pub width: u32,
    pub height: u32,
    /// The vendor will find out later that it cannot be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flawed: bool,
    /// The result is the call's own answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocking: bool,
    /// The answer holds the media itself, not links.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inline: bool,
}

impl Entry {
    pub(crate) fn start_of(prompt: &str) -> String {
        prompt.chars().take(PROMPT_CHARS).collect()
    }
}

/// One submission that arrived, with its body.
#[derive(Clone, Debug)]
pub struct Submission {
    pub vendor: &'static str,
    pub accepted: bool,
    /// What struck it.
    pub fault: Option<Fault>,
    pub body: Value,
}

/// How often something was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Submissions that arrived with a known key and a readable body.
    pub received: u64,
    /// Those that are charged for.
    pub accepted: u64,
    /// Those that were refused, by script.
    pub refused: u64,
    /// Those that an idempotency key led to a job that was there already.
    pub repeated: u64,
    pub polls: u64,
    pub searches: u64,
    pub fetches: u64,
    /// Requests of any stage that a fault struck.
    pub struck: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.repeated += other.repeated;
        self.polls += other.polls;
        self.searches += other.searches;
        self.fetches += other.fetches;
        self.struck += other.struck;
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Accepted,
    Refused,
    Repeated,
}

pub(crate) struct Ledger {
    memory: Memory,
    accounts: BTreeMap<(String, &'static str), Counts>,
    /// By marker, in order of arrival.
    submissions: HashMap<String, Vec<Submission>>,
    entries: Vec<Entry>,
    last: u64,
    /// Requests that never became a submission: vendor and reason.
    turned_away: BTreeMap<(&'static str, &'static str), u64>,
    violations: Vec<String>,
}

impl Ledger {
    pub fn new(memory: Memory) -> Self {
        let (accounts, submissions, turned_away) = (BTreeMap::new(), HashMap::new(), BTreeMap::new());
        Self { memory, accounts, submissions, entries: Vec::new(), last: 0, turned_away, violations: Vec::new() }
    }

    /// An empty one that goes on counting after this number, since ids are made of it.
    pub fn after(memory: Memory, last: u64) -> Self {
        Self { last, ..Self::new(memory) }
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    /// The number of the next acceptance.
    pub fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// An entry of an earlier life.
    pub fn restore(&mut self, vendor: &'static str, entry: Entry) {
        self.last = self.last.max(entry.number);
        let counts = self.counts(vendor, &entry.marker);
        counts.received += 1;
        counts.accepted += 1;
        self.entries.push(entry);
    }

    /// Notes a submission.
    pub fn record(&mut self, vendor: &'static str, marker: &str, fate: Fate, fault: Option<Fault>, body: &Value) {
        let counts = self.counts(vendor, marker);
        counts.received += 1;
        match fate {
            Fate::Accepted => counts.accepted += 1,
            Fate::Refused => counts.refused += 1,
            Fate::Repeated => counts.repeated += 1,
        }
        if self.memory == Memory::Whole {
            let submission = Submission { vendor, accepted: fate == Fate::Accepted, fault, body: shortened(body) };
            self.submissions.entry(marker.to_owned()).or_default().push(submission);
        }
    }

    pub fn enter(&mut self, entry: Entry) {
        if self.memory == Memory::Whole {
            self.entries.push(entry);
        }
    }

    /// The figures of one marker at one vendor. With numbers only, markers share one account: a
    /// bench has a million of them.
    pub fn counts(&mut self, vendor: &'static str, marker: &str) -> &mut Counts {
        let key = if self.memory == Memory::Whole { marker } else { "" };
        self.accounts.entry((key.to_owned(), vendor)).or_default()
    }

    pub fn turn_away(&mut self, vendor: &'static str, reason: &'static str) {
        *self.turned_away.entry((vendor, reason)).or_default() += 1;
    }

    pub fn violate(&mut self, what: String) {
        self.violations.push(what);
    }

    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// The sum over a marker and a vendor; `None` is all of them.
    pub fn sum(&self, marker: Option<&str>, vendor: Option<&str>) -> Counts {
        let mut sum = Counts::default();
        let fits = |(m, v): &(String, &'static str)| marker.is_none_or(|x| x == m) && vendor.is_none_or(|x| x == *v);
        self.accounts.iter().filter(|(key, _)| fits(key)).for_each(|(_, counts)| sum.add(counts));
        sum
    }

    pub fn submissions(&self, marker: &str) -> Vec<Submission> {
        self.submissions.get(marker).cloned().unwrap_or_default()
    }

    pub fn entries<'a>(&'a self, marker: Option<&'a str>, vendor: Option<&'a str>) -> impl Iterator<Item = &'a Entry> {
        let fits = move |entry: &&Entry| {
            marker.is_none_or(|marker| marker == entry.marker) && vendor.is_none_or(|vendor| vendor == entry.vendor)
        };
        self.entries.iter().filter(fits)
    }

    pub fn to_json(&self, marker: Option<&str>, vendor: Option<&str>) -> Value {
        let turned_away: Vec<_> = self
            .turned_away
            .iter()
            .filter(|((v, _), _)| vendor.is_none_or(|vendor| vendor == *v))
            .map(|((vendor, reason), count)| json!({ "vendor": vendor, "reason": reason, "count": count }))
            .collect();
        json!({
            "accepted": self.entries(marker, vendor).collect::<Vec<_>>(),
            "counts": self.sum(marker, vendor),
            "turned_away": turned_away,
            "violations": self.violations,
        })
    }
}

fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > STRING_MAX => {
            Value::String(format!("{}… {} bytes", text.chars().take(STRING_MAX).collect::<String>(), text.len()))
        }
        Value::Array(items) => items.iter().map(shortened).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shortened(value))).collect(),
        other => other.clone(),
    }
}
