//! What is aimed at, per processor core. A figure without a target is there to be seen.

use pixel_testkit::rig::Rows;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Open,
}

use Goal::{AtLeast, AtMost, Open};

impl Goal {
    /// `None` where nothing is aimed at.
    pub fn is_met(self, value: f64) -> Option<bool> {
        match self {
            AtLeast(least) => Some(value >= least),
            AtMost(most) => Some(value <= most),
            Open => None,
        }
    }
}

/// Of a sample: its rate, p50 and p99.
pub type Goals = [Goal; 3];

pub fn creates(rows: Rows, connections: usize) -> Goals {
    let rate = match (rows, connections) {
        (Rows::Sqlite, 32) => AtLeast(12_000.0),
        (Rows::Sqlite, 128) => AtLeast(20_000.0),
        (Rows::Postgres, 32) => AtLeast(10_000.0),
        (Rows::Postgres, 128) => AtLeast(18_000.0),
        _ => Open,
    };
    match connections {
        1 => [rate, AtMost(0.6), AtMost(1.5)],
        32 => [rate, AtMost(2.5), AtMost(6.0)],
        _ => [rate, Open, Open],
    }
}

pub fn reads(rows: Rows) -> Goals {
    let rate = if rows == Rows::Sqlite { 30_000.0 } else { 18_000.0 };
    [AtLeast(rate), Open, Open]
}

pub const ONE_IMAGE: Goals = [Open, AtMost(2.5), AtMost(6.0)];
pub const IMAGES: Goals = [AtLeast(3_500.0), Open, Open];
pub const POLLED: Goals = [AtLeast(2_500.0), Open, Open];
pub const MEMORY_IDLE: Goal = AtMost(20.0);
pub const MEMORY_LOAD: Goal = AtMost(50.0);
pub const MEMORY_IN_FLIGHT: Goal = AtMost(10.0);
pub const BUSY_IN_FLIGHT: Goal = AtMost(6.0);
/// Of a rate on an empty database, what is left of it on one that has grown.
pub const GROWTH: f64 = 0.8;
pub const START: Goal = AtMost(2.0);
pub const CLAIM: Goal = AtMost(50.0);
pub const SUSTAINED: Goal = AtMost(100.0);
pub const MEMORY_BACKLOG: Goal = AtMost(400.0);
pub const MEMORY_FLAT: Goal = AtMost(250.0);
