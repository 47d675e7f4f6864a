//! Takes tasks in, and lets callers wait for their end.

use crate::Engine;
use pixel_core::id::TaskId;
use pixel_store::{Budget, NewTask, StoreError, TaskRow};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

impl Engine {
    /// Stores a task and sees to it that it is worked on. When this returns, the task is on stable
    /// storage.
    pub async fn create(&self, mut task: NewTask) -> Result<TaskId, StoreError> {
        self.skip_closed(&mut task);
        task.rank = self.0.ranks.next(&task.vendor, task.project_id.as_deref(), task.work.slots.len());
        task.leased = self.may_begin_at_once(&task.vendor);
        let (engine, id) = (self.clone(), task.id.clone());
        // A write of its own task: a caller that hangs up cancels its handler, not the write.
        let written = tokio::spawn(async move {
            let (vendor, rank) = (task.vendor.clone(), task.rank);
            match engine.0.store.create(task).await? {
                Some(claimed) => {
                    engine.0.ranks.taken(&vendor, rank);
                    engine.begin(claimed);
                }
                None => engine.queued(&vendor),
            }
            Ok(id)
        });
        written.await.map_err(|_| StoreError::Closed)?
    }

    /// Nothing is known to stand before it in the queue, and its vendor has room.
    fn may_begin_at_once(&self, vendor: &str) -> bool {
        let Some(lane) = self.0.lanes.get(vendor) else { return false };
        !lane.pending.load(Ordering::Acquire)
            && lane.options.budget == Budget::default()
            && lane.capacity() > 0
            && !self.is_shut(lane)
            && self.0.runs.available_permits() > 0
            && !self.0.stopping.is_cancelled()
    }

    /// Something was put into a vendor's queue.
    pub(crate) fn queued(&self, vendor: &str) {
        if let Some(lane) = self.0.lanes.get(vendor) {
            lane.pending.store(true, Ordering::Release);
        }
        self.wake();
    }

    /// The task's row, once it has ended or `wait` is over; `None` when there is no such task.
    pub async fn wait(&self, id: &TaskId, wait: Duration) -> Result<Option<TaskRow>, StoreError> {
        let until = Instant::now() + wait;
        // Another replica may end the task, and its hint be lost: the row is looked at now and then.
        let look = Duration::from_secs(if self.0.store.is_shared() { 1 } else { 60 });
        let watching = self.0.watch.begin(id);
        loop {
            let ended = watching.next();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let row = self.0.store.task(id).await?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || row.as_ref().is_none_or(|row| row.status.is_terminal()) {
                return Ok(row);
            }
            // Whatever ends the wait, the row is read again.
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep(left.min(look)) => {}
                () = self.0.stopping.cancelled() => return self.0.store.task(id).await,
            }
        }
    }
}
