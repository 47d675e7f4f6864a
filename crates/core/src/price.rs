//! Money in integer micro-units: 1,000,000 of them are one unit of the currency.

use crate::request::Checked;
use serde::{Deserialize, Serialize};

/// What one unit of a model's work costs, with where the figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub per: Per,
    pub micros: u64,
    /// ISO 4217.
    pub currency: String,
    /// Where the figure was read, and when.
    pub source: String,
    pub date: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Image,
    Second,
    Character,
    Token,
}

/// The cost of a task: before it ran, and for what it really made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub currency: String,
    pub estimate_micros: u64,
    /// Set when the task has ended.
    #[serde(rename = "final_micros")]
    pub settled_micros: Option<u64>,
}

impl Price {
    /// What `outputs` results of this request cost.
    pub fn of(&self, request: &Checked, outputs: u32) -> u64 {
        let units = match self.per {
            Per::Image => u64::from(outputs),
            Per::Second => u64::from(request.duration_ms.unwrap_or(0)).div_ceil(1000) * u64::from(outputs),
            Per::Character => request.prompt.chars().count() as u64 * u64::from(outputs),
            Per::Token => 0,
        };
        units.saturating_mul(self.micros)
    }
}
