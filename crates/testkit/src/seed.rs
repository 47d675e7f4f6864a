//! What decides a run that is left to chance.

use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of the run: `PIXEL_TEST_SEED`, or the time. It is printed, so that a run can be repeated.
pub fn seed(what: &str) -> u64 {
    let given = std::env::var("PIXEL_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = given.unwrap_or_else(now);
    eprintln!("{what}: seed {seed} (repeat with PIXEL_TEST_SEED={seed})");
    seed
}
