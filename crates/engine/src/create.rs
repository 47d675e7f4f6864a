//! Takes tasks in, and lets callers wait for their end.

use crate::Engine;
use pixel_core::id::TaskId;
use pixel_store::{NewTask, StoreError, TaskRow};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

impl Engine {
    /// Stores a task and wakes the schedule. When this returns, the task is on stable storage.
    pub async fn create(&self, mut task: NewTask) -> Result<TaskId, StoreError> {
        task.rank = self.0.ranks.next(&task.vendor, task.project_id.as_deref(), task.work.slots.len());
        let engine = self.clone();
        // A write of its own task: a caller that hangs up cancels its handler, not the write.
        let written = tokio::spawn(async move {
            engine.0.store.create(&task).await?;
            if let Some(lane) = engine.0.lanes.get(&task.vendor) {
                lane.pending.store(true, Ordering::Release);
            }
            engine.wake();
            Ok(task.id)
        });
        written.await.map_err(|_| StoreError::Closed)?
    }

    /// The task's row, once it has ended or `wait` is over; `None` when there is no such task.
    pub async fn wait(&self, id: &TaskId, wait: Duration) -> Result<Option<TaskRow>, StoreError> {
        let until = Instant::now() + wait;
        // Another replica may end the task, so that the row is looked at now and then.
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
            // Either way the row is read again; a time-out here is no error.
            let _ = tokio::time::timeout(left.min(look), ended).await;
        }
    }
}
