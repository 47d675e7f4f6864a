//! How long to wait: growth, caps and jitter. Free operations are patient; paid ones have their
//! own rule in [`crate::unknown`].

use pixel_core::catalog::Times;
use std::time::Duration;

const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The wait before try number `tries` (the first retry is 1), doubling to a minute.
pub(crate) fn retry(tries: u32) -> Duration {
    let grown = RETRY_FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10));
    jitter(grown.min(RETRY_MAX))
}

/// The wait before poll number `polls` (from 0), growing by half to the model's limit.
pub(crate) fn poll(times: &Times, poll_min: Option<Duration>, polls: u32) -> Duration {
    let first = poll_min.unwrap_or(Duration::from_millis(times.poll_ms));
    let cap = Duration::from_millis(times.poll_max_ms).max(first);
    let grown = first.mul_f64(1.5_f64.powi(i32::try_from(polls.min(40)).unwrap_or(40)));
    jitter(grown.min(cap))
}

/// Spreads a wait by a tenth either way, so that equal waits do not end together.
pub(crate) fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stop_growing() {
        assert!(retry(1) <= Duration::from_millis(550));
        assert!(retry(40) <= RETRY_MAX.mul_f64(1.1));
        let times = Times { poll_ms: 2_000, poll_max_ms: 15_000, ..Times::default() };
        assert!(poll(&times, None, 0) >= Duration::from_millis(1_800));
        assert!(poll(&times, None, 99) <= Duration::from_millis(16_500));
        assert!(poll(&times, Some(Duration::from_millis(50)), 0) <= Duration::from_millis(55));
    }
}
