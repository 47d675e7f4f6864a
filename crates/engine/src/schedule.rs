//! Decides what to work on: leases queued tasks as their vendors' lanes admit, and every task
//! whose due time has come.

use crate::{
    Engine,
    lane::{Lane, LaneState},
    run::Run,
};
use pixel_store::{Claimed, StoreError};
use std::{sync::atomic::Ordering, time::Duration};

/// Rows leased by one claim, at most.
const CLAIM_MAX: usize = 256;
/// Due times closer together than this are taken together.
const GRAIN: Duration = Duration::from_millis(5);
/// How often the rows are looked at when other processes may change them.
const SHARED_TICK: Duration = Duration::from_secs(1);
const ALONE_TICK: Duration = Duration::from_secs(5);

impl Engine {
    /// Runs until the engine stops.
    pub(crate) async fn schedule(&self) {
        while !self.0.stopping.is_cancelled() {
            let taken = match self.claim_all().await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::error!(%error, "tasks cannot be claimed");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            if taken > 0 {
                continue;
            }
            let wait = self.idle_wait().await;
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(wait) => self.suspect_news(wait),
                () = self.0.stopping.cancelled() => {}
            }
        }
    }

    /// After a quiet tick, every queue may hold something that this process was not told of.
    fn suspect_news(&self, waited: Duration) {
        if waited >= SHARED_TICK {
            self.0.lanes.values().for_each(|lane| lane.pending.store(true, Ordering::Release));
        }
    }

    async fn claim_all(&self) -> Result<usize, StoreError> {
        let mut taken = 0;
        for lane in self.0.lanes.values() {
            taken += self.claim_lane(lane).await?;
        }
        let room = self.0.runs.available_permits().min(CLAIM_MAX);
        if room > 0 {
            let due = self.0.store.claim_due(u32::try_from(room).unwrap_or(u32::MAX)).await?;
            taken += due.len();
            due.into_iter().for_each(|task| self.begin(task));
        }
        Ok(taken)
    }

    async fn claim_lane(&self, lane: &Lane) -> Result<usize, StoreError> {
        let room = lane.capacity().min(self.0.runs.available_permits()).min(CLAIM_MAX);
        if room == 0 || !lane.pending.swap(false, Ordering::AcqRel) {
            return Ok(0);
        }
        let vendor = lane.options.vendor.id();
        let claimed = self.0.store.claim_queued(vendor, u32::try_from(room).unwrap_or(u32::MAX)).await;
        if claimed.as_ref().map_or(true, |tasks| tasks.len() >= room) {
            lane.pending.store(true, Ordering::Release);
        }
        let claimed = claimed?;
        let taken = claimed.len();
        for task in claimed {
            self.0.ranks.taken(vendor, task.rank);
            self.begin(task);
        }
        Ok(taken)
    }

    /// Works on a leased task in a task of its own.
    pub(crate) fn begin(&self, claimed: Claimed) {
        let engine = self.clone();
        if let Some(lane) = self.0.lanes.get(&claimed.vendor) {
            lane.running.fetch_add(1, Ordering::Relaxed);
        }
        self.0.tracker.spawn(async move {
            let vendor = claimed.vendor.clone();
            let _running = Running { engine: &engine, vendor: &vendor };
            // The schedule leases no more than there are permits; a resolved task may wait here.
            let Ok(_permit) = engine.0.runs.clone().acquire_owned().await else { return };
            Run::go(engine.clone(), claimed).await;
        });
    }

    async fn idle_wait(&self) -> Duration {
        let tick = if self.0.store.is_shared() { SHARED_TICK } else { ALONE_TICK };
        let due = match self.0.store.next_due().await {
            Ok(due) => due.unwrap_or(tick),
            Err(error) => {
                tracing::error!(%error, "the next due time cannot be read");
                SHARED_TICK
            }
        };
        let pauses = self.0.lanes.values().filter_map(|lane| match lane.state() {
            LaneState::Paused(wait) if lane.pending.load(Ordering::Acquire) => Some(wait),
            _ => None,
        });
        pauses.fold(due, Duration::min).clamp(GRAIN, tick)
    }
}

/// Counts a run down when it ends, a panic included.
struct Running<'a> {
    engine: &'a Engine,
    vendor: &'a str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(lane) = self.engine.0.lanes.get(self.vendor) else { return };
        lane.running.fetch_sub(1, Ordering::Relaxed);
        if lane.pending.load(Ordering::Acquire) {
            self.engine.wake();
        }
    }
}
