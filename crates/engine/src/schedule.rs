//! Decides what to work on: leases queued tasks as their vendors' lanes admit, and every task
//! whose due time has come.

use crate::{
    Engine,
    lane::{Lane, LaneState},
    run::Run,
};
use pixel_core::Stamp;
use pixel_store::{Budget, Claimed, Lease, StoreError, crash, now};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// Rows leased by one claim, at most.
const CLAIM_MAX: usize = 256;
/// Due times closer together than this are taken together.
const GRAIN: Duration = Duration::from_millis(5);
/// How often the rows are looked at when other processes may change them.
const SHARED_TICK: Duration = Duration::from_secs(1);
const ALONE_TICK: Duration = Duration::from_secs(5);
/// Before the next claim after one that failed.
const TROUBLE_PAUSE: Duration = Duration::from_millis(500);

impl Engine {
    /// Runs until the engine stops.
    pub(crate) async fn schedule(&self) {
        let tick = if self.0.store.is_shared() { SHARED_TICK } else { ALONE_TICK };
        let mut looked = Instant::now();
        while !self.0.stopping.is_cancelled() {
            if looked.elapsed() >= tick {
                self.suspect_news();
                looked = Instant::now();
                if let Err(error) = self.0.store.look_at_removals().await {
                    tracing::warn!(%error, "what other servers removed cannot be read");
                }
                if let Err(error) = self.claim_stale().await {
                    tracing::error!(%error, "tasks that waited too long cannot be claimed");
                }
                if let Err(error) = self.claim_movable().await {
                    tracing::error!(%error, "tasks that another model may take over cannot be claimed");
                }
            }
            let taken = match self.claim_all().await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::error!(%error, "tasks cannot be claimed");
                    tokio::time::sleep(TROUBLE_PAUSE).await;
                    continue;
                }
            };
            if taken > 0 {
                continue;
            }
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(self.idle_wait(tick)) => {}
                () = self.0.stopping.cancelled() => {}
            }
        }
    }

    /// Now and then every row is looked at anew: leases run out, and other processes write too.
    pub(crate) fn suspect_news(&self) {
        self.0.lanes.values().for_each(|lane| lane.pending.store(true, Ordering::Release));
        self.0.next_due.store(0, Ordering::Release);
    }

    async fn claim_all(&self) -> Result<usize, StoreError> {
        let mut taken = 0;
        for lane in self.0.lanes.values() {
            taken += self.claim_lane(lane).await?;
        }
        let room = self.0.runs.available_permits().min(CLAIM_MAX);
        if room > 0 && self.0.next_due.load(Ordering::Acquire) <= now().0 {
            taken += self.claim_due(room).await?;
        }
        Ok(taken)
    }

    async fn claim_due(&self, room: usize) -> Result<usize, StoreError> {
        // Reset before the claim: a due time that is written meanwhile lowers it again.
        self.0.next_due.store(i64::MAX, Ordering::Release);
        let claimed = self.0.store.claim_due(u32::try_from(room).unwrap_or(u32::MAX)).await.inspect_err(|_| {
            self.0.next_due.store(0, Ordering::Release);
        })?;
        let taken = claimed.len();
        claimed.into_iter().for_each(|task| self.begin(task));
        let at = match self.0.store.next_due().await {
            _ if taken >= room => 0,
            Ok(wait) => wait.map_or(i64::MAX, |wait| now().plus(wait.max(GRAIN)).0),
            Err(error) => {
                tracing::warn!(%error, "the next due time cannot be read");
                now().plus(TROUBLE_PAUSE).0
            }
        };
        self.0.next_due.fetch_min(at, Ordering::AcqRel);
        Ok(taken)
    }

    /// Tasks that have waited longer than our patience end, whatever their vendor's state.
    async fn claim_stale(&self) -> Result<(), StoreError> {
        let patience = i64::try_from(self.0.options.patience.as_micros()).unwrap_or(i64::MAX);
        let before = Stamp(now().0.saturating_sub(patience));
        for vendor in self.0.lanes.keys() {
            self.0.store.claim_stale(vendor, before).await?.into_iter().for_each(|task| self.begin(task));
        }
        Ok(())
    }

    /// A task was written that is due then.
    pub(crate) fn due_at(&self, due: Stamp) {
        if self.0.next_due.fetch_min(due.0, Ordering::AcqRel) > due.0 {
            self.wake();
        }
    }

    async fn claim_lane(&self, lane: &Lane) -> Result<usize, StoreError> {
        let room = lane.capacity().min(self.0.runs.available_permits()).min(CLAIM_MAX);
        if room == 0 || self.is_shut(lane) || !lane.pending.swap(false, Ordering::AcqRel) {
            return Ok(0);
        }
        let vendor = lane.options.id.as_str();
        let most = u32::try_from(room).unwrap_or(u32::MAX);
        let claimed = self.0.store.claim_queued(vendor, lane.options.budget, most).await;
        // A claim that failed, filled up or was cut short by the budget may have left something.
        let is_drained = claimed
            .as_ref()
            .is_ok_and(|got| got.spent.is_none() && got.tasks.len() < room && lane.options.budget == Budget::default());
        let claimed = claimed.inspect_err(|_| lane.pending.store(true, Ordering::Release))?;
        if let Some(wait) = claimed.spent {
            lane.pause(wait);
        }
        let taken = claimed.tasks.len();
        if !is_drained && (taken > 0 || claimed.spent.is_some()) {
            lane.pending.store(true, Ordering::Release);
        }
        for task in claimed.tasks {
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
            let _running = Running { engine: &engine, vendor: claimed.vendor.clone(), lease: claimed.lease.clone() };
            // The schedule leases no more than there are permits; a resolved task may wait here.
            let Ok(_permit) = engine.0.runs.clone().acquire_owned().await else { return };
            crash::point!("claim.taken");
            Run::go(engine.clone(), claimed).await;
            crash::point!("run.ended");
        });
    }

    fn idle_wait(&self, tick: Duration) -> Duration {
        let due = Stamp(self.0.next_due.load(Ordering::Acquire)).since(now());
        let pauses = self.0.lanes.values().filter_map(|lane| match lane.state() {
            LaneState::Paused(wait) if !self.is_shut(lane) && lane.pending.load(Ordering::Acquire) => Some(wait),
            _ => None,
        });
        pauses.fold(due, Duration::min).clamp(GRAIN, tick)
    }
}

/// Counts a run down when it ends, a panic included. A lease that was not given back is kept alive
/// no longer, so that the task is taken up again when it runs out.
struct Running<'a> {
    engine: &'a Engine,
    vendor: String,
    lease: Lease,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.engine.0.store.leases().forget(&self.lease);
        let Some(lane) = self.engine.0.lanes.get(&self.vendor) else { return };
        lane.running.fetch_sub(1, Ordering::Relaxed);
        if lane.pending.load(Ordering::Acquire) {
            self.engine.wake();
        }
    }
}
