//! Wakes callers that wait for a task to end, without polling.

use pixel_core::id::TaskId;
use pixel_store::Hint;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, mpsc::Receiver};

#[derive(Default)]
pub(crate) struct Watch(Mutex<HashMap<TaskId, Watched>>);

/// What the callers who wait for one task share, and how many they are.
#[derive(Default)]
struct Watched {
    callers: usize,
    notify: Arc<Notify>,
}

/// One caller's wait; dropping it forgets it.
pub(crate) struct Watching<'a> {
    watch: &'a Watch,
    task: TaskId,
    notify: Arc<Notify>,
}

impl Watch {
    fn map(&self) -> MutexGuard<'_, HashMap<TaskId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, task: &TaskId) -> Watching<'_> {
        let mut map = self.map();
        let watched = map.entry(task.clone()).or_default();
        watched.callers += 1;
        Watching { watch: self, task: task.clone(), notify: Arc::clone(&watched.notify) }
    }

    /// The task has ended.
    pub(crate) fn ended(&self, task: &TaskId) {
        if let Some(watched) = self.map().get(task) {
            watched.notify.notify_waiters();
        }
    }
}

impl Watch {
    /// Many tasks have ended elsewhere: everybody looks again.
    pub(crate) fn many_ended(&self) {
        self.map().values().for_each(|watched| watched.notify.notify_waiters());
    }

    /// Passes on what other servers say, until they are heard no more.
    pub(crate) async fn follow(&self, mut hints: Receiver<Hint>) {
        while let Some(hint) = hints.recv().await {
            match hint {
                Hint::Ended(task) => self.ended(&task),
                Hint::Many => self.many_ended(),
            }
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
        if let Some(watched) = map.get_mut(&self.task) {
            watched.callers -= 1;
            if watched.callers == 0 {
                map.remove(&self.task);
            }
        }
    }
}
