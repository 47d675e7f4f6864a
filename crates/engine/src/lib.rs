//! Moves tasks forward: the only room that talks to vendors.
//!
//! A task in flight is a row and a due time, not a future. [`schedule`] leases rows that are due
//! and hands each to a [`run`], which steps its slots ([`step`]) until they have to wait, writes
//! the row ([`writes`]) and lets go. A paid call goes out through [`submit`] alone: it is recorded first, and
//! what is not certain afterwards falls under the money rule ([`unknown`]). A task of an alias goes on with
//! the next model through [`pass`] alone.

mod admit;
mod chat;
mod check;
mod choose;
mod create;
pub mod door;
mod doubt;
pub mod fetch;
mod free;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
mod inputs;
mod keys;
mod lane;
mod local;
pub mod media;
mod options;
mod pass;
mod pause;
mod ranks;
mod resolve;
mod results;
mod retention;
mod run;
mod schedule;
mod session;
mod share;
mod step;
mod submit;
mod turns;
mod unknown;
mod waits;
mod watch;
mod writes;

pub use admit::{AdmitError, Admitted, Arrival};
pub use chat::{Chat, ChatLimits, ChatStream};
pub use check::{CheckError, Tried, Verdict, try_key};
pub use keys::KeyState;
pub use lane::{Lane, LaneState};
pub use options::{Account, EngineOptions, HoldPolicy, HoldRules, Key, LaneOptions};
pub use resolve::ResolveError;
pub use session::{Issued, KeySource, Standing};

use door::Door;
use fetch::Fetcher;
use pixel_core::{Error, ErrorKind, catalog::Catalog};
use pixel_store::{Store, blobs::Blobs};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicI64},
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

pub(crate) struct Inner {
    store: Store,
    blobs: Blobs,
    catalog: Arc<Catalog>,
    lanes: BTreeMap<String, Lane>,
    door: Door,
    fetcher: Fetcher,
    options: EngineOptions,
    ranks: ranks::Ranks,
    watch: watch::Watch,
    paused: pause::Watched,
    shared: share::Room,
    /// Raised when there may be something to claim.
    wake: Notify,
    /// When the next waiting task is due, as far as this process knows; microseconds since 1970.
    next_due: AtomicI64,
    /// Runs at the same time; each holds at most one vendor call per slot.
    runs: Arc<Semaphore>,
    /// Chats at the same time, each a connection.
    chats: Arc<Semaphore>,
    /// Local work at the same time: it fills a core each.
    local: Arc<Semaphore>,
    /// Media examined at the same time.
    decodes: Arc<Semaphore>,
    /// Mebibytes of pixels that are decoded at the same time.
    decoded: Arc<Semaphore>,
    stopping: CancellationToken,
    tracker: TaskTracker,
}

impl Engine {
    pub async fn new(
        store: Store,
        blobs: Blobs,
        catalog: Arc<Catalog>,
        door: Door,
        fetcher: Fetcher,
        lanes: Vec<LaneOptions>,
        options: EngineOptions,
    ) -> Result<Self, pixel_store::StoreError> {
        let ranks = ranks::Ranks::load(&store).await?;
        // Known before anything is claimed.
        let paused = pause::Watched::new(store.pause().await?);
        let lanes = lanes.into_iter().map(|lane| (lane.id.clone(), Lane::new(lane))).collect();
        Ok(Self(Arc::new(Inner {
            runs: Arc::new(Semaphore::new(options.calls_max)),
            chats: Arc::new(Semaphore::new(options.chats_max)),
            local: Arc::new(Semaphore::new(options.local_jobs)),
            decodes: Arc::new(Semaphore::new(options.decodes)),
            decoded: Arc::new(Semaphore::new(admit::DECODED_MIB)),
            store,
            blobs,
            catalog,
            lanes,
            door,
            fetcher,
            options,
            ranks,
            watch: watch::Watch::default(),
            paused,
            shared: share::Room::default(),
            wake: Notify::new(),
            next_due: AtomicI64::new(0),
            stopping: CancellationToken::new(),
            tracker: TaskTracker::new(),
        })))
    }

    /// Starts claiming.
    pub fn start(&self) {
        let engine = self.clone();
        self.0.tracker.spawn(async move { engine.schedule().await });
        if let Some(hints) = self.0.store.hints() {
            let engine = self.clone();
            self.0.tracker.spawn(async move {
                tokio::select! {
                    () = engine.0.watch.follow(hints) => {}
                    () = engine.0.stopping.cancelled() => {}
                }
            });
        }
        let engine = self.clone();
        self.0.tracker.spawn(async move { engine.watch_pause().await });
        if let Some(keep) = self.0.options.retention {
            let engine = self.clone();
            self.0.tracker.spawn(async move { engine.retain(keep).await });
        }
    }

    /// Claims no more and waits for what runs; what has not ended in time is left to its lease.
    pub async fn stop(&self, within: std::time::Duration) {
        self.0.stopping.cancel();
        self.0.tracker.close();
        if tokio::time::timeout(within, self.0.tracker.wait()).await.is_err() {
            tracing::warn!(
                runs = self.0.tracker.len(),
                "work was still running at shutdown; it resumes at the next start"
            );
        }
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// The lane of a vendor: whether it can be used now, and why not.
    pub fn lane(&self, vendor: &str) -> Option<&Lane> {
        self.0.lanes.get(vendor)
    }

    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }
}

/// A fault of ours, with what really happened as the private detail.
pub(crate) fn internal(detail: impl ToString) -> Error {
    Error::new(ErrorKind::Internal, "Something went wrong inside Pixel. The server's log has the details.")
        .with_detail(detail.to_string())
}
