//! The shapes that go in and come out of the store.

use pixel_core::{
    Stamp,
    fallback::Fallback,
    id::{AttemptId, MediaId, TaskId},
    price::Cost,
    request::{Checked, Kind, Warning},
    task::{Attention, Facts, Failure, Made, Stage, Status, Work},
};
use serde_json::{Value, value::RawValue};
use std::time::Duration;

/// A task to be stored: its public row, and the work row of its engine.
#[derive(Clone, Debug)]
pub struct NewTask {
    pub id: TaskId,
    pub kind: Kind,
    /// As the caller named it: a model, or an alias.
    pub model: String,
    /// The model that an alias comes to.
    pub served_by: Option<String>,
    /// What comes after that one.
    pub fallback: Option<Fallback>,
    /// Who carries it out: the model's vendor, or the sandbox in its place.
    pub vendor: String,
    pub sandbox: bool,
    pub project_id: Option<String>,
    pub source: Option<String>,
    pub source_id: Option<String>,
    /// As asked, with data URIs replaced by the addresses of the stored media.
    pub params: Value,
    pub request: Checked,
    pub work: Work,
    pub warnings: Vec<Warning>,
    pub cost: Option<Cost>,
    /// Place in the vendor's queue; see `engine::ranks`.
    pub rank: i64,
    /// Leased to this process from birth, because nothing stands before it in the queue.
    pub leased: bool,
    /// The stored inputs, under names of the task's own: they stay as long as it needs them.
    pub media: Vec<MediaRow>,
    /// The number by which an app knows it; written with it or not at all.
    pub clip: Option<NewClip>,
    pub created_at: Stamp,
}

/// A request of an app that knows its clip by a number.
#[derive(Clone, Debug)]
pub struct NewClip {
    /// See [`new_clip_number`](crate::new_clip_number).
    pub number: i64,
    pub app: String,
    /// The app's user.
    pub caller: String,
    pub method: &'static str,
    /// Clips that the user may ask for in a minute; 0 is no limit.
    pub per_min: u32,
}

/// So many questions after clips, of a user on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollCount {
    /// Days since 1970.
    pub day: i64,
    pub app: String,
    pub caller: String,
    pub polls: i64,
}

/// By what requests for clips are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageBy {
    App,
    User,
    Day,
    Model,
}

/// Which sums are shown, in the order of their keys.
#[derive(Clone, Debug)]
pub struct UsageFilter {
    pub by: UsageBy,
    /// Days since 1970; the second is not part of it.
    pub from_day: i64,
    pub to_day: i64,
    /// Only keys after this one.
    pub after: Option<String>,
    pub limit: u32,
}

/// The requests of one app, user, day or model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// A day is a number of days since 1970.
    pub key: String,
    pub requests: i64,
    pub completed: i64,
    pub failed: i64,
    /// Also where there were no requests; none for a model.
    pub polls: i64,
}

/// A task as a caller sees it.
#[derive(Clone, Debug)]
pub struct TaskRow {
    pub id: TaskId,
    pub kind: Kind,
    pub model: String,
    /// The model that an alias came to.
    pub served_by: Option<String>,
    pub status: Status,
    pub sandbox: bool,
    pub project_id: Option<String>,
    pub source: Option<String>,
    pub source_id: Option<String>,
    /// JSON, as it was stored.
    pub params: Box<RawValue>,
    pub warnings: Vec<Warning>,
    pub made: Vec<Made>,
    pub failure: Option<Failure>,
    pub attention: Option<Attention>,
    pub cost: Option<Cost>,
    pub progress: u8,
    pub created_at: Stamp,
    pub updated_at: Stamp,
    pub started_at: Option<Stamp>,
    pub completed_at: Option<Stamp>,
    /// How long its media and details were kept; set once they are removed.
    pub kept: Option<Duration>,
}

/// The right to write to one task until the lease ends: the fence goes with every write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub task: TaskId,
    pub fence: i64,
}

/// A task that this process has just leased.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub lease: Lease,
    pub vendor: String,
    pub model: String,
    pub project_id: Option<String>,
    pub rank: i64,
    pub request: Checked,
    pub work: Work,
    /// What comes after this model, for a task of an alias.
    pub fallback: Option<Fallback>,
    pub created_at: Stamp,
}

/// What a claim on a queue brought.
#[derive(Debug, Default)]
pub struct Taken {
    pub tasks: Vec<Claimed>,
    /// The vendor's budget admits nothing for so long.
    pub spent: Option<Duration>,
}

/// The ranks of one project's live tasks at one vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankSpan {
    pub vendor: String,
    pub project_id: Option<String>,
    pub low: i64,
    pub high: i64,
}

/// One write of the engine, all of it in one transaction, conditional on the lease's fence.
#[derive(Clone, Debug)]
pub struct Save {
    pub lease: Lease,
    pub then: Then,
    /// What the caller is to see, when it changes.
    pub face: Option<Face>,
    /// A paid call that is about to leave.
    pub attempt: Option<NewAttempt>,
    /// What came of an attempt.
    pub outcome: Option<AttemptOutcome>,
    pub media: Vec<MediaRow>,
}

/// What becomes of the work row.
#[derive(Clone, Debug)]
pub enum Then {
    /// The task goes on; `due` is when, for [`Stage::Waiting`]. A leased one keeps its lease.
    Go { stage: Stage, due: Stamp, work: Box<Work> },
    /// Another model carries the task out: it queues anew, at that one's vendor.
    Move(Box<Moved>),
    /// The task has ended.
    End,
}

/// What takes the place of a work row's own.
#[derive(Clone, Debug)]
pub struct Moved {
    pub vendor: String,
    pub model: String,
    pub rank: i64,
    pub request: Checked,
    pub work: Work,
    pub fallback: Fallback,
}

/// The public part that a write changes.
#[derive(Clone, Debug)]
pub struct Face {
    pub status: Status,
    /// Set when another model serves from now on.
    pub served_by: Option<String>,
    pub warnings: Vec<Warning>,
    pub made: Vec<Made>,
    pub failure: Option<Failure>,
    pub attention: Option<Attention>,
    pub cost: Option<Cost>,
    pub progress: u8,
    pub at: Stamp,
}

/// The record of a paid call, written before its first byte leaves.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    pub id: AttemptId,
    pub slot: u32,
    pub round: u32,
    pub vendor: String,
    pub estimate_micros: Option<i64>,
    pub currency: Option<String>,
    pub sent_at: Stamp,
    /// The vendor's budget, which must admit the call in the same transaction.
    pub budget: Budget,
}

/// Limits on one vendor account, shared by every replica through the database; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    pub concurrency: u32,
    pub rate_per_min: u32,
}

/// What is known of an attempt afterwards.
#[derive(Clone, Debug)]
pub struct AttemptOutcome {
    pub id: AttemptId,
    /// `unsent`, `refused`, `accepted`, `unknown`, `lost`, `found`.
    pub word: &'static str,
    /// The vendor's own words, private, at most 4 KiB.
    pub detail: Option<String>,
    pub cost_micros: Option<i64>,
    /// The vendor and its job, when it named one.
    pub job: Option<Job>,
    pub at: Stamp,
}

/// A job of a vendor, by a name that no other job of that vendor has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    pub vendor: String,
    pub name: String,
    /// The slot that it was submitted for.
    pub slot: u32,
}

/// What became of a [`Save`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    Done,
    /// Somebody else holds the task now: write nothing, send nothing.
    Fenced,
    /// The budget, or a pause, does not admit the attempt for so long; nothing was written.
    Later(Duration),
    /// A blob that the media name was, or is being, removed: publish it again. Nothing was written.
    Removed,
    /// The job that the vendor named is another submission's. Nothing was written.
    Taken,
}

/// No paid call may leave, on any replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub since: Stamp,
    /// When the database last went back to a backup.
    pub restored_at: Option<Stamp>,
}

/// A stored file that has an id and an address.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaRow {
    pub id: MediaId,
    pub task: Option<TaskId>,
    pub facts: Facts,
    pub created_at: Stamp,
    /// [`Store::blob_generation`](crate::Store::blob_generation), read before the blob was published
    /// or seen to be here.
    pub seen: i64,
}

/// What an id of media stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    Here(Box<MediaRow>),
    /// It was here until its task's time was over.
    Removed,
}

/// A file that nobody names any more, and the row that stands for it until it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    pub row: String,
    pub sha256: String,
}

/// Which tasks a list shows; newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub kind: Option<Kind>,
    pub status: Option<Status>,
    pub model: Option<String>,
    pub project_id: Option<String>,
    pub source: Option<String>,
    pub source_id: Option<String>,
    /// Only tasks older than this one.
    pub before: Option<TaskId>,
}

/// One attempt as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    pub id: AttemptId,
    pub slot: i64,
    pub round: i64,
    pub vendor: String,
    pub outcome: Option<String>,
    pub detail: Option<String>,
    pub cost_micros: Option<i64>,
    pub sent_at: Stamp,
}
