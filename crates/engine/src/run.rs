//! One leased task, from the claim until its lease is given back: its slots run side by side,
//! every change is one fenced write of the whole row.

use crate::{Engine, internal, lane::Lane};
use pixel_core::{
    Error, ErrorKind, Stamp,
    catalog::Model,
    id::ModelId,
    request::Warning,
    task::{Attention, Choice, Failure, Made, Shown, Slot, SlotState, Stage, Status, StoredInput, Work},
    vendor::Job,
};
use pixel_store::{AttemptOutcome, Claimed, Face, MediaRow, NewAttempt, Save, Saved, StoreError, Then, now};
use std::sync::OnceLock;
use tokio::sync::Mutex;
use tracing::Instrument;

/// Why a run cannot go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Somebody else holds the task: write nothing, send nothing.
    Fenced,
    /// The vendor's budget admits no submission before this moment.
    Later(Stamp),
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
    pub(crate) card: Model,
    pub(crate) inputs: OnceLock<Vec<StoredInput>>,
    live: Mutex<Live>,
}

struct Live {
    work: Work,
    /// Slots that are being driven now.
    active: usize,
    /// The budget sent a slot back: the task queues again instead of waiting.
    requeue: bool,
    /// Percent of each slot, where local work tells.
    percent: Vec<u8>,
}

/// What is written along with a slot.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) attempt: Option<NewAttempt>,
    pub(crate) outcome: Option<AttemptOutcome>,
    pub(crate) media: Vec<MediaRow>,
    pub(crate) warnings: Vec<Warning>,
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
    pub(crate) fn open(engine: Engine, claimed: Claimed) -> Option<Self> {
        let card = ModelId::parse(&claimed.model).and_then(|id| engine.0.catalog.model(&id).cloned());
        if card.is_none() || !engine.0.lanes.contains_key(&claimed.vendor) {
            tracing::error!(
                model = claimed.model,
                vendor = claimed.vendor,
                "the catalogue here lacks the task's model"
            );
            return None;
        }
        let percent = vec![0; claimed.work.slots.len()];
        let live = Live { work: claimed.work.clone(), active: 0, requeue: false, percent };
        Some(Self { engine, claimed, card: card?, inputs: OnceLock::new(), live: Mutex::new(live) })
    }

    pub(crate) fn log(&self, done: Result<(), Stop>) {
        match done {
            Ok(()) | Err(Stop::Later(_)) => {}
            Err(Stop::Fenced) => tracing::info!("the lease was lost; the task is left to its new holder"),
            Err(Stop::Store(error)) => tracing::error!(%error, "the task's row cannot be written; its lease will end"),
        }
    }

    pub(crate) async fn work(&self) -> Result<(), Stop> {
        if !self.ready_inputs().await? {
            return Ok(());
        }
        let moment = now();
        let due: Vec<usize> = {
            let mut live = self.live.lock().await;
            let due = |slot: &Slot| !slot.state.is_over() && slot.due <= moment;
            let list: Vec<_> = live.work.slots.iter().enumerate().filter(|(_, s)| due(s)).map(|(at, _)| at).collect();
            live.active = list.len();
            list
        };
        match due.as_slice() {
            [] => self.write(None, Extras::default(), false).await,
            // The usual case needs no further task.
            [one] => self.drive(*one).await,
            many => {
                let drives = many.iter().map(|at| self.drive(*at));
                futures_util::future::join_all(drives).await.into_iter().collect()
            }
        }
    }

    pub(crate) fn lane(&self) -> Result<&Lane, Error> {
        self.engine.0.lanes.get(&self.claimed.vendor).ok_or_else(|| internal("the lane is gone"))
    }

    pub(crate) async fn slot(&self, at: usize) -> Slot {
        self.live.lock().await.work.slots[at].clone()
    }

    pub(crate) async fn stored_inputs(&self) -> Option<Vec<StoredInput>> {
        self.live.lock().await.work.inputs.clone()
    }

    pub(crate) fn job<'a>(&'a self, slot: &Slot, reference: &'a str) -> Result<Job<'a>, Error> {
        let lane = &self.lane()?.options;
        Ok(Job {
            request: &self.claimed.request,
            card: &self.card,
            inputs: self.inputs.get().map_or(&[], Vec::as_slice),
            reference,
            first: slot.first,
            outputs: slot.outputs,
            credential: &lane.credential,
            base_url: &lane.base_url,
            now: now(),
        })
    }

    /// Unique to one submission of one slot; the same when it is sent again under the same key.
    pub(crate) fn reference(&self, slot: &Slot) -> String {
        format!("{}-{}-{}", self.claimed.lease.task, slot.first, slot.round)
    }

    /// Changes the whole work and gives the lease back: for what belongs to no slot.
    pub(crate) async fn write_work(&self, change: impl FnOnce(&mut Work)) -> Result<(), Stop> {
        let mut live = self.live.lock().await;
        let mut work = live.work.clone();
        change(&mut work);
        self.save(&mut live, work, Extras::default()).await
    }

    /// Keeps the inputs, and the lease.
    pub(crate) async fn write_inputs(&self, inputs: Vec<StoredInput>) -> Result<(), Stop> {
        let mut live = self.live.lock().await;
        let mut work = live.work.clone();
        work.inputs = Some(inputs);
        live.active += 1;
        let saved = self.save(&mut live, work, Extras::default()).await;
        live.active -= 1;
        saved
    }

    /// Writes a slot and what goes with it; with `leave` the slot is no longer driven, and the
    /// last one to leave gives the lease back.
    pub(crate) async fn write(&self, slot: Option<(usize, Slot)>, extras: Extras, leave: bool) -> Result<(), Stop> {
        // Held across the write on purpose: writes of one task must reach the store in order.
        let mut live = self.live.lock().await;
        let mut work = live.work.clone();
        if let Some((at, slot)) = slot {
            work.slots[at] = slot;
        }
        live.active -= usize::from(leave);
        self.save(&mut live, work, extras).await
    }

    /// The budget sent this slot back.
    pub(crate) async fn put_back(&self, at: usize, mut slot: Slot, until: Stamp) -> Result<(), Stop> {
        slot.due = until;
        self.live.lock().await.requeue = true;
        self.write(Some((at, slot)), Extras::default(), true).await
    }

    pub(crate) async fn show_percent(&self, at: usize, percent: u8) -> Result<(), Stop> {
        let mut live = self.live.lock().await;
        live.percent[at] = percent;
        let work = live.work.clone();
        self.save(&mut live, work, Extras::default()).await
    }

    async fn save(&self, live: &mut Live, mut work: Work, extras: Extras) -> Result<(), Stop> {
        work.warnings.extend(extras.warnings);
        let face = self.face(live, &mut work, extras.attempt.is_some());
        let ended = work.is_over() && live.active == 0;
        let then = if ended { Then::End } else { self.then(live, &work) };
        let (waits, queues) = match &then {
            Then::Go { stage: Stage::Waiting, due, .. } => (Some(*due), false),
            Then::Go { stage: Stage::Queued, .. } => (None, true),
            _ => (None, false),
        };
        let save = Save {
            lease: self.claimed.lease.clone(),
            then,
            face,
            attempt: extras.attempt,
            outcome: extras.outcome,
            media: extras.media,
        };
        match self.engine.0.store.save(&save).await? {
            Saved::Done => live.work = work,
            Saved::Fenced => return Err(Stop::Fenced),
            Saved::Later(until) => return Err(Stop::Later(until)),
        }
        if ended {
            self.engine.0.watch.ended(&self.claimed.lease.task);
        } else if let Some(due) = waits {
            self.engine.due_at(due);
        } else if queues {
            self.engine.wake();
        }
        Ok(())
    }

    fn then(&self, live: &Live, work: &Work) -> Then {
        let open = || work.slots.iter().filter(|slot| !slot.state.is_over());
        let due = open().map(|slot| slot.due).min().unwrap_or_default();
        let untouched = open().all(|slot| matches!(slot.state, SlotState::Ready { .. }));
        let stage = match live.active {
            0 if live.requeue && untouched => Stage::Queued,
            0 => Stage::Waiting,
            _ => Stage::Leased,
        };
        if stage == Stage::Queued
            && let Ok(lane) = self.lane()
        {
            lane.pause(due.since(now()));
            lane.pending.store(true, std::sync::atomic::Ordering::Release);
        }
        Then::Go { stage, due, work: Box::new(work.clone()) }
    }

    /// The public row, when it has to change.
    fn face(&self, live: &Live, work: &mut Work, sending: bool) -> Option<Face> {
        let over = work.is_over() && live.active == 0;
        let touched = |slot: &Slot| !matches!(slot.state, SlotState::Ready { mark: None });
        let shown = Shown {
            started: work.shown.started
                || sending
                || work.slots.iter().any(touched)
                || live.percent.iter().any(|p| *p > 0),
            progress: progress(work, &live.percent),
            attention: attention(work),
        };
        if shown == work.shown && !over {
            return None;
        }
        work.shown = shown.clone();
        let face = Face {
            status: if shown.started { Status::Processing } else { Status::Pending },
            warnings: work.warnings.clone(),
            made: Vec::new(),
            failure: None,
            attention: shown.attention,
            cost: work.cost.clone(),
            progress: shown.progress,
            at: now(),
        };
        Some(if over { self.last_face(face, work) } else { face })
    }

    fn last_face(&self, mut face: Face, work: &Work) -> Face {
        let mut made: Vec<Made> = Vec::new();
        let mut failures: Vec<(u32, &Failure)> = Vec::new();
        for slot in &work.slots {
            match &slot.state {
                SlotState::Done { media } => made.extend(media.iter().cloned()),
                SlotState::Failed { failure } => failures.push((slot.first, failure)),
                _ => {}
            }
        }
        made.sort_by_key(|one| one.index);
        if let (Some(cost), Some(price)) = (&mut face.cost, &self.card.price) {
            let count = u32::try_from(made.len()).unwrap_or(u32::MAX);
            cost.settled_micros = Some(price.of(&self.claimed.request, count));
        }
        (face.status, face.failure) = match (made.is_empty(), failures.first()) {
            (false, _) => (Status::Completed, None),
            (true, Some((_, failure))) => (Status::Failed, Some((*failure).clone())),
            (true, None) => {
                (Status::Failed, Some(Failure::new(ErrorKind::Internal, "The task ended without a result.")))
            }
        };
        if !made.is_empty() {
            let missing = |(first, failure): &(u32, &Failure)| {
                Warning::new("n", format!("Result {} was not made: {}", first + 1, failure.message))
            };
            face.warnings.extend(failures.iter().map(missing));
        }
        face.progress = if face.status == Status::Completed { 100 } else { face.progress };
        face.made = made;
        face
    }
}

fn progress(work: &Work, percent: &[u8]) -> u8 {
    let of = |(slot, percent): (&Slot, &u8)| if slot.state.is_over() { 100 } else { usize::from(*percent).min(99) };
    let sum: usize = work.slots.iter().zip(percent).map(of).sum();
    u8::try_from(sum / work.slots.len().max(1)).unwrap_or(100)
}

/// The decision that is awaited, when a slot is held.
fn attention(work: &Work) -> Option<Attention> {
    work.slots.iter().find_map(|slot| match &slot.state {
        SlotState::Held { reason, until, .. } => {
            Some(Attention { reason: reason.clone(), choices: Choice::ALL.to_vec(), until: until.to_iso() })
        }
        _ => None,
    })
}
