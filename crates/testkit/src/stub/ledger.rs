//! What the vendor was asked. Accepted submissions are what it would charge for.

use super::Memory;
use serde_json::Value;
use std::collections::HashMap;

/// Longer strings of a body, such as data URIs, are remembered by their beginning.
const STRING_MAX: usize = 512;

/// One submission that arrived.
#[derive(Clone, Debug)]
pub struct Submission {
    pub vendor: &'static str,
    pub accepted: bool,
    pub body: Value,
}

pub(super) struct Ledger {
    memory: Memory,
    of_marker: HashMap<String, Account>,
    accepted_in_all: u64,
    received_in_all: u64,
}

#[derive(Default)]
struct Account {
    accepted: usize,
    received: usize,
    polls: usize,
    fetches: usize,
    submissions: Vec<Submission>,
}

impl Ledger {
    pub fn new(memory: Memory) -> Self {
        Self { memory, of_marker: HashMap::new(), accepted_in_all: 0, received_in_all: 0 }
    }

    /// Notes a submission; returns how many of this marker were accepted before it.
    pub fn record(&mut self, vendor: &'static str, marker: &str, accepted: bool, body: &Value) -> usize {
        self.accepted_in_all += u64::from(accepted);
        self.received_in_all += 1;
        let account = self.account(marker);
        let before = account.accepted;
        account.received += 1;
        account.accepted += usize::from(accepted);
        if self.memory == Memory::Whole {
            self.account(marker).submissions.push(Submission { vendor, accepted, body: shortened(body) });
        }
        before
    }

    pub fn record_poll(&mut self, marker: &str) {
        self.account(marker).polls += 1;
    }

    pub fn record_fetch(&mut self, marker: &str) {
        self.account(marker).fetches += 1;
    }

    /// With numbers only, markers share one account: a bench has a million of them.
    fn account(&mut self, marker: &str) -> &mut Account {
        let key = if self.memory == Memory::Whole { marker } else { "" };
        self.of_marker.entry(key.to_owned()).or_default()
    }

    pub fn accepted(&self, marker: &str) -> usize {
        self.of_marker.get(marker).map_or(0, |account| account.accepted)
    }

    pub fn received(&self, marker: &str) -> usize {
        self.of_marker.get(marker).map_or(0, |account| account.received)
    }

    pub fn polls(&self, marker: &str) -> usize {
        self.of_marker.get(marker).map_or(0, |account| account.polls)
    }

    pub fn fetches(&self, marker: &str) -> usize {
        self.of_marker.get(marker).map_or(0, |account| account.fetches)
    }

    pub fn of(&self, marker: &str) -> Vec<Submission> {
        self.of_marker.get(marker).map(|account| account.submissions.clone()).unwrap_or_default()
    }

    pub fn received_in_all(&self) -> u64 {
        self.received_in_all
    }

    pub fn accepted_in_all(&self) -> u64 {
        self.accepted_in_all
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
