//! Submissions can be paused for all replicas at once, by a row of the database: no paid call
//! leaves, everything that is free goes on.
//!
//! The store itself admits no attempt while that row is there. What is kept here is only the last
//! look at it, so that a paused queue is left alone instead of being tried again and again.

use crate::{Engine, lane::Lane};
use pixel_core::Stamp;
use pixel_store::Pause;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often the row is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often the log is reminded of a pause.
const REMIND: Duration = Duration::from_secs(60);
/// How soon a slot that met the pause comes back.
pub(crate) const WAIT: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Watched(Mutex<Option<Pause>>);

impl Watched {
    pub(crate) fn new(pause: Option<Pause>) -> Self {
        Self(Mutex::new(pause))
    }

    fn get(&self) -> Option<Pause> {
        // A copy goes in and out in one step, so it is whole after any panic.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stood there before.
    fn replace(&self, pause: Option<Pause>) -> Option<Pause> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), pause)
    }
}

impl Engine {
    /// The pause of submissions, as last looked at.
    pub fn pause(&self) -> Option<Pause> {
        self.0.paused.get()
    }

    /// Whether the lane takes nothing from its queue because of the pause.
    pub(crate) fn is_shut(&self, lane: &Lane) -> bool {
        !lane.is_free() && self.pause().is_some()
    }

    /// Looks at the row until the engine stops.
    pub(crate) async fn watch_pause(&self) {
        let mut reminded: Option<Instant> = None;
        loop {
            match self.pause() {
                None => reminded = None,
                Some(pause) if reminded.is_none_or(|at| at.elapsed() >= REMIND) => {
                    remind(&pause);
                    reminded = Some(Instant::now());
                }
                Some(_) => {}
            }
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = self.look_at_pause() => {}
            }
        }
    }

    async fn look_at_pause(&self) {
        tokio::time::sleep(LOOK).await;
        let pause = match self.0.store.pause().await {
            Ok(pause) => pause,
            // What was seen last stays true until the database says otherwise.
            Err(error) => return tracing::debug!(%error, "the pause cannot be looked at"),
        };
        let was = self.0.paused.replace(pause);
        if pause.is_none() && was.is_some() {
            tracing::warn!("submissions are resumed");
            self.suspect_news();
            self.wake();
        }
    }
}

fn remind(pause: &Pause) {
    let since = pause.since.to_iso();
    let restored = pause.restored_at.map(Stamp::to_iso).unwrap_or_default();
    tracing::warn!(
        since,
        restored,
        "SUBMISSIONS ARE PAUSED: no paid call leaves; tasks are accepted and wait. `pixel resume` lifts it"
    );
}
