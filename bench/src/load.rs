//! Many connections that do the same thing over and over for a while.

use crate::{Result, http::Connection};
use futures_util::{TryStreamExt, stream::FuturesUnordered};
use std::{
    cell::Cell,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Nothing that is measured here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one run showed; times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
}

impl Sample {
    pub fn of(mut times: Vec<Duration>, length: Duration) -> Result<Self> {
        times.sort_unstable();
        let last = times.len().checked_sub(1).ok_or_else(|| format!("nothing was done within {length:?}"))?;
        let at = |share: f64| times[(last as f64 * share).round() as usize].as_secs_f64() * 1e3;
        Ok(Self { rate: times.len() as f64 / length.as_secs_f64(), p50: at(0.50), p99: at(0.99) })
    }

    pub fn parts(self) -> [Option<f64>; 3] {
        [Some(self.rate), Some(self.p50), Some(self.p99)]
    }

    /// Each number's own median.
    pub fn median(samples: &[Self]) -> Self {
        let of = |pick: fn(&Self) -> f64| median(samples.iter().map(pick).collect());
        Self { rate: of(|s| s.rate), p50: of(|s| s.p50), p99: of(|s| s.p99) }
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Where to, how wide, how long, how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub address: &'a str,
    pub connections: usize,
    pub length: Duration,
    pub runs: u32,
}

impl Plan<'_> {
    /// Does `act` for as long as planned, as often as planned: the median.
    pub async fn run(&self, act: impl AsyncFn(&mut Connection) -> Result<()>) -> Result<Sample> {
        let mut samples = Vec::new();
        for _ in 0..self.runs {
            samples.push(self.once(&act).await?);
        }
        Ok(Sample::median(&samples))
    }

    async fn once(&self, act: &impl AsyncFn(&mut Connection) -> Result<()>) -> Result<Sample> {
        let mut connections = self.open().await?;
        let end = Instant::now() + self.length;
        let work = connections.iter_mut().map(|connection| async move {
            let mut times = Vec::new();
            loop {
                let begin = Instant::now();
                act(connection).await?;
                let now = Instant::now();
                if now > end {
                    return Ok(times);
                }
                times.push(now - begin);
            }
        });
        let all: Vec<Vec<Duration>> =
            patiently(self.length, work.collect::<FuturesUnordered<_>>().try_collect()).await?;
        Sample::of(all.concat(), self.length)
    }

    /// Does `act` exactly so many times.
    pub async fn fill(&self, count: usize, act: impl AsyncFn(&mut Connection) -> Result<()>) -> Result<()> {
        let (mut connections, left) = (self.open().await?, Cell::new(count));
        let (act, left) = (&act, &left);
        let work = connections.iter_mut().map(|connection| async move {
            while let Some(rest) = left.get().checked_sub(1) {
                left.set(rest);
                act(connection).await?;
            }
            Ok(())
        });
        // A thousand in a second is slow for anything that is filled here.
        let expected = Duration::from_millis(count as u64);
        patiently(expected, work.collect::<FuturesUnordered<_>>().try_collect()).await
    }

    async fn open(&self) -> Result<Vec<Connection>> {
        let mut all = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            all.push(Connection::open(self.address).await?);
        }
        Ok(all)
    }
}

async fn patiently<T>(expected: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = expected + PATIENCE;
    timeout(limit, work).await.map_err(|_| format!("the server had not answered everything after {limit:?}"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_and_ranks() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let sample = Sample::of(times, Duration::from_secs(4)).unwrap();
        assert_eq!(sample, Sample { rate: 50.0, p50: 101.0, p99: 198.0 });
        assert!(Sample::of(Vec::new(), Duration::from_secs(1)).is_err());
    }

    #[test]
    fn the_median_is_taken_of_each_number() {
        let samples = [(1.0, 9.0), (3.0, 7.0), (2.0, 8.0)].map(|(rate, p50)| Sample { rate, p50, p99: 0.0 });
        assert_eq!(Sample::median(&samples), Sample { rate: 2.0, p50: 8.0, p99: 0.0 });
    }
}
