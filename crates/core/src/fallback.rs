//! What a task of an alias may go on with, after a model that certainly accepted nothing of it.

use crate::{
    ErrorKind,
    price::Cost,
    request::{Checked, Warning},
    task::{Shown, Work},
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The models of an alias that a task has not come to yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fallback {
    /// The failures that lead to the next one.
    pub on: Vec<ErrorKind>,
    /// How many came before the present one; it tells their submissions from each other.
    #[serde(default)]
    pub passed: u32,
    /// What the caller is warned of whoever serves.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    pub next: VecDeque<Candidate>,
}

/// A model that may carry a task out, and what the task is for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub vendor: String,
    pub model: String,
    pub request: Checked,
    /// Results of each slot.
    pub slots: Vec<u32>,
    #[serde(default)]
    pub warnings: Vec<Warning>,
    #[serde(default)]
    pub cost: Option<Cost>,
}

impl Fallback {
    /// Whether a failure with this public code leads to the next model.
    pub fn follows(&self, code: &str) -> bool {
        !self.next.is_empty() && self.on.iter().any(|kind| kind.code() == code)
    }

    /// Notes that a model did not serve, and why.
    pub fn pass(&mut self, model: &str, why: &str) {
        self.passed += 1;
        let why = why.trim_end_matches('.');
        self.warnings.push(Warning::new("model", format!("'{model}' did not serve, another model took over: {why}.")));
    }
}

impl Candidate {
    /// The work of this model, in place of that of another which came to nothing.
    pub fn work(&self, before: &Work, kept: &[Warning]) -> Work {
        Work {
            inputs: before.inputs.clone(),
            request_id: before.request_id.clone(),
            warnings: kept.iter().chain(&self.warnings).cloned().collect(),
            cost: self.cost.clone(),
            shown: Shown { progress: 0, attention: None, ..before.shown.clone() },
            ..Work::planned(&self.slots)
        }
    }
}

impl Work {
    /// Whether certainly no vendor has accepted anything of it, and none ever had to be asked.
    pub fn is_clear(&self) -> bool {
        self.in_doubt.is_none() && self.slots.iter().all(crate::task::Slot::is_clear)
    }
}
