//! Retention: what ended long ago loses its media and details, in steps that are small enough for
//! nobody to notice. The rules by which a file may go stand in the store's `retire.rs`.

use crate::Engine;
use futures_util::{StreamExt, future, stream};
use pixel_core::Stamp;
use pixel_store::{Doomed, StoreError, Sweep, now};
use std::time::{Duration, Instant};

/// Tasks of one step: a few milliseconds of the database's writer.
const STEP_TASKS: u32 = 32;
/// Files removed at the same time.
const AT_ONCE: usize = 8;
/// A step is followed by so many times its length of nothing, at least by the shortest pause.
const REST: u32 = 9;
const REST_MIN: Duration = Duration::from_millis(20);
const REST_MAX: Duration = Duration::from_secs(2);
/// Between two sweeps; a short retention is looked at more often.
const EVERY_MAX: Duration = Duration::from_secs(600);
const EVERY_MIN: Duration = Duration::from_millis(500);

impl Engine {
    /// Runs until the engine stops.
    pub(crate) async fn retain(&self, keep: Duration) {
        let every = (keep / 20).clamp(EVERY_MIN, EVERY_MAX);
        while !self.0.stopping.is_cancelled() {
            match self.sweep(keep).await {
                Ok((0, 0)) => {}
                Ok((tasks, files)) => tracing::info!(tasks, files, "retention removed media and details"),
                Err(error) => tracing::warn!(%error, "retention cannot go on; it will be tried again"),
            }
            self.rest(every).await;
        }
    }

    /// One sweep, to its end or until another server takes over: how many tasks and files went.
    async fn sweep(&self, keep: Duration) -> Result<(usize, usize), StoreError> {
        let (mut tasks, mut files) = (0, 0);
        let Some(mut sweep) = self.0.store.begin_sweep().await? else { return Ok((0, 0)) };
        let mut removed = Vec::new();
        while !self.0.stopping.is_cancelled() {
            let begun = Instant::now();
            let before = Stamp(now().0.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX)));
            let Some(swept) = sweep.step(std::mem::take(&mut removed), before, keep, STEP_TASKS).await? else {
                return Ok((tasks, files));
            };
            let pause = (begun.elapsed() * REST).clamp(REST_MIN, REST_MAX);
            removed = self.remove(swept.doomed, &sweep).await;
            (tasks, files) = (tasks + swept.tasks, files + removed.len());
            if swept.tasks == 0 && removed.is_empty() {
                break;
            }
            self.rest(pause).await;
        }
        sweep.end().await?;
        Ok((tasks, files))
    }

    /// Removes doomed files and says which are gone; the others are handed out again.
    async fn remove(&self, doomed: Vec<Doomed>, sweep: &Sweep) -> Vec<Doomed> {
        let until = sweep.may_remove_until();
        let remove = |one: Doomed| async move {
            if Instant::now() >= until {
                return None;
            }
            let done = self.0.blobs.remove(&one.sha256).await;
            done.inspect_err(|error| tracing::warn!(%error, sha256 = one.sha256, "a file cannot be removed")).ok()?;
            Some(one)
        };
        stream::iter(doomed).map(remove).buffer_unordered(AT_ONCE).filter_map(future::ready).collect().await
    }

    async fn rest(&self, length: Duration) {
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            () = self.0.stopping.cancelled() => {}
        }
    }
}
