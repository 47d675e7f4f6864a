//! Every change of a task is one fenced write of its whole row, in order.

use crate::{
    pass,
    run::{Run, Stop},
};
use pixel_core::{
    ErrorKind, Stamp,
    request::Warning,
    task::{Attention, Choice, Failure, Made, Shown, Slot, SlotState, Stage, Status, StoredInput, Work},
};
use pixel_store::{AttemptOutcome, Face, MediaRow, NewAttempt, Save, Saved, StoreError, Then, crash, now};
use std::{sync::atomic::Ordering, time::Duration};

/// A task's work as last written, and what is being done with it.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) work: Work,
    /// Whether each slot is being driven now.
    driven: Vec<bool>,
    /// What keeps the lease: the driven slots, and a change of the whole work.
    active: usize,
    /// The budget sent a slot back: the task queues again instead of waiting, and its lane pauses.
    requeue: Option<Duration>,
    /// Percent of each slot, where local work tells.
    percent: Vec<u8>,
    /// The row is being, or was, written without a lease: this run ends.
    pub(crate) given_back: bool,
}

/// What is written along with a slot.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) attempt: Option<NewAttempt>,
    pub(crate) outcome: Option<AttemptOutcome>,
    pub(crate) media: Vec<MediaRow>,
    pub(crate) warnings: Vec<Warning>,
}

impl Live {
    pub(crate) fn new(work: Work) -> Self {
        let slots = work.slots.len();
        let (driven, percent) = (vec![false; slots], vec![0; slots]);
        Self { work, driven, active: 0, requeue: None, percent, given_back: false }
    }

    /// The slots to drive now, which it marks as driven, and when the next one is due.
    pub(crate) fn take_due(&mut self, moment: Stamp) -> (Vec<usize>, Option<Stamp>) {
        let idle = |at: &usize| !self.given_back && !self.driven[*at] && !self.work.slots[*at].state.is_over();
        let (due, later): (Vec<usize>, Vec<usize>) =
            (0..self.work.slots.len()).filter(idle).partition(|at| self.work.slots[*at].due <= moment);
        due.iter().for_each(|at| self.driven[*at] = true);
        self.active += due.len();
        (due, later.into_iter().map(|at| self.work.slots[at].due).min())
    }

    fn then(&self) -> Then {
        if self.work.is_over() && self.active == 0 {
            return Then::End;
        }
        let open = || self.work.slots.iter().filter(|slot| !slot.state.is_over());
        let due = open().map(|slot| slot.due).min().unwrap_or_default();
        let untouched = open().all(|slot| matches!(slot.state, SlotState::Ready { .. }));
        let stage = match self.active {
            0 if self.requeue.is_some() && untouched => Stage::Queued,
            0 => Stage::Waiting,
            _ => Stage::Leased,
        };
        Then::Go { stage, due, work: Box::new(self.work.clone()) }
    }
}

impl Run {
    /// Writes a slot and what goes with it; with `leave` the slot is no longer driven, and the
    /// last one to leave gives the lease back.
    pub(crate) async fn write(&self, at: usize, slot: Slot, extras: Extras, leave: bool) -> Result<(), Stop> {
        let edit = |live: &mut Live| {
            live.work.slots[at] = slot;
            live.driven[at] = !leave;
            live.active -= usize::from(leave);
        };
        let done = self.save(extras, edit).await;
        if leave && matches!(done, Err(Stop::Removed | Stop::Taken)) {
            // Nothing was written: the slot is driven on.
            let mut live = self.live();
            live.driven[at] = true;
            live.active += 1;
            live.given_back = false;
        }
        done
    }

    /// Changes the whole work and gives the lease back: for what belongs to no slot.
    pub(crate) async fn write_work(&self, change: impl FnOnce(&mut Work)) -> Result<(), Stop> {
        self.save(Extras::default(), |live| change(&mut live.work)).await
    }

    /// Keeps the inputs, and the lease.
    pub(crate) async fn write_inputs(&self, inputs: Vec<StoredInput>, media: Vec<MediaRow>) -> Result<(), Stop> {
        let edit = |live: &mut Live| {
            live.work.inputs = Some(inputs);
            live.active += 1;
        };
        let done = self.save(Extras { media, ..Extras::default() }, edit).await;
        self.live().active -= 1;
        done
    }

    /// The budget sent this slot back.
    pub(crate) async fn put_back(&self, at: usize, mut slot: Slot, wait: Duration) -> Result<(), Stop> {
        slot.due = now().plus(wait);
        self.live().requeue = Some(wait);
        self.write(at, slot, Extras::default(), true).await
    }

    /// Passes the model over: fails every slot, unless others than this one are being driven, or one
    /// has failed in a way that keeps the task here.
    pub(crate) async fn write_pass(&self, at: usize, slot: Slot, extras: Extras, why: Failure) -> Result<(), Stop> {
        let fallback = self.claimed.fallback.as_ref();
        let edit = |live: &mut Live| {
            live.work.slots[at] = slot;
            live.driven[at] = false;
            live.active -= 1;
            let leads = |slot: &Slot| match &slot.state {
                SlotState::Failed { failure } => fallback.is_some_and(|all| all.follows(&failure.code)),
                state => !state.is_over(),
            };
            if live.active == 0 && live.work.is_clear() && live.work.slots.iter().all(leads) {
                let open = live.work.slots.iter_mut().filter(|slot| !slot.state.is_over());
                open.for_each(|slot| slot.state = SlotState::Failed { failure: why.clone() });
            }
        };
        self.save(extras, edit).await
    }

    pub(crate) async fn show_percent(&self, at: usize, percent: u8) -> Result<(), Stop> {
        self.save(Extras::default(), |live| live.percent[at] = percent).await
    }

    pub(crate) async fn save(&self, extras: Extras, edit: impl FnOnce(&mut Live)) -> Result<(), Stop> {
        let _turn = self.turn.lock().await;
        let (save, work) = self.prepare(extras, edit);
        if matches!(save.then, Then::Move(_)) {
            crash::point!("fallback.writing");
        }
        match self.store(&save).await? {
            Saved::Done => self.live().work = work,
            Saved::Fenced => return Err(Stop::Fenced),
            Saved::Later(wait) => return Err(Stop::Later(wait)),
            Saved::Removed => return Err(Stop::Removed),
            Saved::Taken => return Err(Stop::Taken),
        }
        if matches!(save.then, Then::Move(_)) {
            crash::point!("fallback.written");
        }
        self.tell(&save.then);
        Ok(())
    }

    /// What is to be written. From here on nobody begins a slot of a task that is given back.
    fn prepare(&self, extras: Extras, edit: impl FnOnce(&mut Live)) -> (Save, Work) {
        let mut live = self.live();
        let mut next = live.clone();
        edit(&mut next);
        next.work.warnings.extend(extras.warnings);
        if next.active == 0 {
            self.give_up_waiting(&mut next);
        }
        let is_over = next.work.is_over() && next.active == 0;
        let moved = if is_over { self.move_on(&mut next) } else { None };
        let (face, then) = match moved {
            Some(to) => (Some(pass::face_of(&to)), Then::Move(Box::new(to))),
            None => (self.face(&mut next, extras.attempt.is_some()), next.then()),
        };
        next.given_back = !matches!(&then, Then::Go { stage: Stage::Leased, .. });
        let work = std::mem::replace(&mut next.work, live.work.clone());
        *live = next;
        let lease = self.claimed.lease.clone();
        let Extras { attempt, outcome, media, .. } = extras;
        (Save { lease, then, face, attempt, outcome, media }, work)
    }

    /// What came of a paid call is in memory only: while the database is away or full, it is
    /// written again and again.
    async fn store(&self, save: &Save) -> Result<Saved, StoreError> {
        let mut pause = Duration::from_millis(500);
        loop {
            match self.engine.0.store.save(save).await {
                Err(error @ (StoreError::Away(_) | StoreError::Full)) if !self.engine.0.stopping.is_cancelled() => {
                    tracing::warn!(%error, "the task's row cannot be written yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
                other => return other,
            }
        }
    }

    /// Tells those who wait for what was written.
    fn tell(&self, then: &Then) {
        match then {
            Then::End => {
                self.engine.0.watch.ended(&self.claimed.lease.task);
                self.engine.0.store.tell_ended(&self.claimed.lease.task);
            }
            Then::Go { stage: Stage::Waiting, due, .. } => self.engine.due_at(*due),
            Then::Go { stage: Stage::Queued, .. } => {
                if let Ok(lane) = self.lane() {
                    lane.pause(self.live().requeue.unwrap_or_default());
                    lane.pending.store(true, Ordering::Release);
                    self.engine.wake();
                }
            }
            Then::Move(to) => self.engine.queued(&to.vendor),
            Then::Go { stage: Stage::Leased, .. } => {}
        }
    }

    /// The public row, when it has to change.
    fn face(&self, live: &mut Live, sending: bool) -> Option<Face> {
        let work = &mut live.work;
        let over = work.is_over() && live.active == 0;
        let touched = |slot: &Slot| !matches!(slot.state, SlotState::Ready { mark: None });
        let begun = sending || work.slots.iter().any(touched) || live.percent.iter().any(|p| *p > 0);
        let shown = Shown {
            started: work.shown.started || begun,
            progress: progress(work, &live.percent),
            attention: attention(work),
        };
        if shown == work.shown && !over {
            return None;
        }
        work.shown = shown.clone();
        let face = Face {
            served_by: None,
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
        let mut failures: Vec<(&Slot, &Failure)> = Vec::new();
        for slot in &work.slots {
            match &slot.state {
                SlotState::Done { media } => made.extend(media.iter().cloned()),
                SlotState::Failed { failure } => failures.push((slot, failure)),
                _ => {}
            }
        }
        made.sort_by_key(|one| one.index);
        if let (Some(cost), Some(price)) = (&mut face.cost, &self.card().price) {
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
            let missing = |(slot, failure): &(&Slot, &Failure)| {
                let why = failure.message.clone();
                (slot.first..slot.first + slot.outputs)
                    .map(move |at| Warning::new("n", format!("Result {} was not made: {why}", at + 1)))
            };
            face.warnings.extend(failures.iter().flat_map(missing));
        }
        face.progress = if face.status == Status::Completed { 100 } else { 0 };
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
