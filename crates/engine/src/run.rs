//! One leased task, from the claim until its lease is given back: its slots run side by side.

use crate::{
    Engine, internal,
    lane::Lane,
    session::Issued,
    writes::{Extras, Live},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use pixel_core::{
    Error, Stamp,
    catalog::Model,
    id::ModelId,
    task::{Slot, StoredInput},
    vendor::Job,
};
use pixel_store::{Claimed, StoreError, now};
use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tracing::Instrument;

/// A run without anything due looks again after this long; its lease will have ended before.
const FAR: Duration = Duration::from_secs(3600);

/// Why a run cannot go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Somebody else holds the task: write nothing, send nothing.
    Fenced,
    /// The vendor's budget admits no submission for so long.
    Later(Duration),
    /// A blob that was to be named was, or is being, removed: it is to be published again.
    Removed,
    /// The vendor named a job that is another submission's.
    Taken,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(crate) struct Run {
    pub(crate) engine: Engine,
    pub(crate) claimed: Claimed,
    /// Its model's place in the catalogue.
    card: usize,
    pub(crate) inputs: OnceLock<Vec<StoredInput>>,
    /// Never held across an await; see [`crate::writes`].
    live: Mutex<Live>,
    /// Whose turn it is to write.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Run {
    /// Works on a task until every slot waits or is over.
    pub(crate) async fn go(engine: Engine, claimed: Claimed) {
        let span = tracing::info_span!("task", request_id = claimed.work.request_id, task = %claimed.lease.task);
        async {
            if let Some(run) = Self::open(engine, claimed) {
                run.log(run.work().await);
            }
        }
        .instrument(span)
        .await;
    }

    /// `None` when this server lacks the task's model or vendor: the task waits for one that has it.
    pub(crate) fn open(engine: Engine, mut claimed: Claimed) -> Option<Self> {
        let card = ModelId::parse(&claimed.model).and_then(|id| engine.0.catalog.position(&id));
        if card.is_none() || !engine.0.lanes.contains_key(&claimed.vendor) {
            let (model, vendor) = (&claimed.model, &claimed.vendor);
            tracing::error!(model, vendor, "the catalogue here lacks the task's model");
            return None;
        }
        claimed.work.spread_doubt(now().plus(engine.0.options.hold.length));
        let live = Mutex::new(Live::new(claimed.work.clone()));
        Some(Self { engine, claimed, card: card?, inputs: OnceLock::new(), live, turn: tokio::sync::Mutex::default() })
    }

    fn log(&self, done: Result<(), Stop>) {
        match done {
            Ok(()) | Err(Stop::Later(_) | Stop::Removed | Stop::Taken) => {}
            Err(Stop::Fenced) => tracing::info!("the lease was lost; the task is left to its new holder"),
            Err(Stop::Store(error)) => tracing::error!(%error, "the task's row cannot be written; its lease will end"),
        }
    }

    async fn work(&self) -> Result<(), Stop> {
        if !self.ready_inputs().await? {
            return Ok(());
        }
        let mut drives = FuturesUnordered::new();
        let mut stopped = Ok(());
        loop {
            let (due, next) = self.live().take_due(now());
            drives.extend(due.into_iter().map(|at| self.drive(at)));
            if drives.is_empty() {
                break;
            }
            let wait = next.map_or(FAR, |next| next.since(now()));
            // A slot that falls due while another is in a long call is taken up as well.
            tokio::select! {
                // The others go on: a paid call that is under way is never cut off.
                Some(done) = drives.next() => stopped = stopped.and(done),
                () = tokio::time::sleep(wait) => {}
            }
        }
        let nothing_was_due = !self.live().given_back && stopped.is_ok();
        match nothing_was_due {
            true => self.save(Extras::default(), |_| {}).await,
            false => stopped,
        }
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        // Every change to it is whole before anything can panic.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn card(&self) -> &Model {
        &self.engine.0.catalog.models[self.card]
    }

    pub(crate) fn lane(&self) -> Result<&Lane, Error> {
        self.engine.0.lanes.get(&self.claimed.vendor).ok_or_else(|| internal("the lane is gone"))
    }

    pub(crate) fn job<'a>(&'a self, slot: &Slot, reference: &'a str, issued: &'a Issued) -> Result<Job<'a>, Error> {
        let (lane, account) = self.account()?;
        Ok(Job {
            request: &self.claimed.request,
            card: self.card(),
            inputs: self.inputs.get().map_or(&[], Vec::as_slice),
            reference,
            first: slot.first,
            outputs: slot.outputs,
            credential: &issued.credential,
            base_url: &lane.options.accounts[account].base_url,
            urls: &lane.options.accounts[account].urls,
            now: now(),
        })
    }

    /// Unique to one submission of one slot; the same when it is sent again under the same key.
    pub(crate) fn reference(&self, slot: &Slot) -> String {
        let own = format!("{}-{}-{}", self.claimed.lease.task, slot.first, slot.round);
        // A vendor that refused one model of an alias must not take another one for a repeat.
        match self.claimed.fallback.as_ref().map_or(0, |fallback| fallback.passed) {
            0 => own,
            passed => format!("{own}-{passed}"),
        }
    }

    /// When patience with this task runs out.
    pub(crate) fn patience_ends(&self) -> Stamp {
        // A backup may be old: patience begins anew when it is restored.
        let restored = self.claimed.work.slots.iter().filter_map(|slot| slot.doubt).max();
        self.claimed.created_at.max(restored.unwrap_or_default()).plus(self.engine.0.options.patience)
    }
}
