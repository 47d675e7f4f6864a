//! Wakes callers that wait for a task to end, without polling.

use pixel_core::id::TaskId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Watch(Mutex<HashMap<TaskId, Arc<Notify>>>);

/// One caller's wait; dropping it forgets it.
pub(crate) struct Watching<'a> {
    watch: &'a Watch,
    task: TaskId,
    notify: Arc<Notify>,
}

impl Watch {
    fn map(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, task: &TaskId) -> Watching<'_> {
        let notify = Arc::clone(self.map().entry(task.clone()).or_default());
        Watching { watch: self, task: task.clone(), notify }
    }

    /// The task has ended.
    pub(crate) fn ended(&self, task: &TaskId) {
        if let Some(notify) = self.map().get(task) {
            notify.notify_waiters();
        }
    }
}

impl Watching<'_> {
    /// The next end after this call; take it *before* looking at the row, so that none is missed.
    pub(crate) fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let mut map = self.watch.map();
        // Two holders are the map and this one.
        if Arc::strong_count(&self.notify) <= 2 {
            map.remove(&self.task);
        }
    }
}
