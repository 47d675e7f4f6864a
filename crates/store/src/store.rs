//! The store's face: what the engine and the server may ask of it.

use crate::{
    StoreError,
    apply::{Op, Out},
    beat::{Beat, Leases},
    checkpoint, clips, crash,
    db::Pool,
    hints::{Hint, Hints},
    open::{self, Source},
    read, render,
    rows::{
        AttemptRow, Budget, Claimed, Filter, Lease, NewClip, NewTask, Pause, PollCount, RankSpan, Save, Saved, Stored,
        Taken, TaskRow, Then, Usage, UsageFilter,
    },
    writer::{self, Pending},
};
use pixel_core::{
    Stamp,
    id::{AttemptId, MediaId, TaskId},
    task::Stage,
};
use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    pub data: PathBuf,
    /// PostgreSQL; absent for the SQLite file of the data folder.
    pub database_url: Option<String>,
    pub pool_size: u32,
    pub lease: Duration,
}

/// Rows of every task. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: Pool,
    inbox: std::sync::Mutex<Option<mpsc::Sender<Pending>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    checkpoint: JoinHandle<()>,
    beat: std::sync::Mutex<Option<Beat>>,
    hints: std::sync::Mutex<Option<Hints>>,
    heard: std::sync::Mutex<Option<mpsc::Receiver<Hint>>>,
    leases: Leases,
    lease: Duration,
    generation: Arc<AtomicI64>,
    is_shared: bool,
    /// Holds the data folder on SQLite; released with the process, however it ends.
    _lock: Option<File>,
}

/// Operations that may wait for the writer; beyond it callers wait in line.
const INBOX: usize = 8192;

impl Store {
    /// Opens the database, brings its schema up to date and starts the writer and the heartbeat.
    pub async fn open(options: &Options) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&options.data)?;
        let source = Source::new(&options.data, options.database_url.as_deref())?;
        let is_shared = matches!(source, Source::Postgres(_));
        let lock = (!is_shared).then(|| open::lock(&options.data)).transpose()?;
        crash::point!("migrate.begun");
        open::refuse_unfinished(&options.data, &source).await?;
        source.migrate().await?;
        crash::point!("migrate.done");
        let mut conn = source.connect().await?;
        open::check_engine(&mut conn).await?;
        open::raise_epoch(&mut conn).await?;
        let pool = source.pool(options.pool_size).await?;
        let leases = Leases::default();
        let beat = Beat::start(source.clone(), leases.clone(), options.lease)?;
        let (inbox, mail) = mpsc::channel(INBOX);
        let (hints, heard) = Hints::start(&source).unzip();
        let generation = Arc::new(AtomicI64::new(read::blob_generation(&pool).await?));
        let writer = writer::run(source.clone(), conn, Arc::clone(&generation), mail);
        Ok(Self(Arc::new(Inner {
            pool,
            inbox: std::sync::Mutex::new(Some(inbox)),
            writer: Mutex::new(Some(tokio::spawn(writer))),
            checkpoint: tokio::spawn(checkpoint::run(source)),
            beat: std::sync::Mutex::new(Some(beat)),
            hints: std::sync::Mutex::new(hints),
            heard: std::sync::Mutex::new(heard),
            leases,
            lease: options.lease,
            generation,
            is_shared,
            _lock: lock,
        })))
    }

    /// Whether other processes may work on the same rows.
    pub fn is_shared(&self) -> bool {
        self.0.is_shared
    }

    pub fn leases(&self) -> &Leases {
        &self.0.leases
    }

    pub fn lease_length(&self) -> Duration {
        self.0.lease
    }

    /// Writes everything that was asked so far, then closes.
    pub async fn close(&self) {
        drop(self.0.inbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        if let Some(writer) = self.0.writer.lock().await.take()
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the writer ended badly");
        }
        self.0.checkpoint.abort();
        drop(self.0.hints.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let beat = self.0.beat.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // Joining a thread blocks, which the event loop must not.
        let _ = tokio::task::spawn_blocking(move || drop(beat)).await;
        self.0.pool.close().await;
    }

    /// Tells the other servers that a task has ended here.
    pub fn tell_ended(&self, task: &TaskId) {
        if let Some(hints) = self.0.hints.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref() {
            hints.ended(task);
        }
    }

    /// What the servers on the same database say, this one's own words included; only the first
    /// caller gets it, and nobody on SQLite.
    pub fn hints(&self) -> Option<mpsc::Receiver<Hint>> {
        self.0.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(crate) async fn ask(&self, op: Op) -> Result<Out, StoreError> {
        let (reply, answer) = oneshot::channel();
        let inbox = self.0.inbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let inbox = inbox.ok_or(StoreError::Closed)?;
        inbox.send(Pending { op, reply }).await.map_err(|_| StoreError::Closed)?;
        drop(inbox);
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Stores a task. When this returns, it is on stable storage; a task that is leased from birth
    /// comes back as claimed.
    pub async fn create(&self, task: NewTask) -> Result<Option<Claimed>, StoreError> {
        let until = Instant::now() + self.0.lease;
        match self.ask(Op::Create(Box::new(render::create(&task, self.0.lease)))).await? {
            Out::Removed => {
                self.look_at_removals().await?;
                return Err(StoreError::Removed);
            }
            Out::Limited(wait) => return Err(StoreError::Limited(wait)),
            _ => {}
        }
        if !task.leased {
            return Ok(None);
        }
        let lease = Lease { task: task.id, fence: 1 };
        self.0.leases.take(lease.clone(), until);
        Ok(Some(Claimed {
            lease,
            vendor: task.vendor,
            model: task.served_by.unwrap_or(task.model),
            project_id: task.project_id,
            rank: task.rank,
            request: task.request,
            work: task.work,
            fallback: task.fallback,
            created_at: task.created_at,
        }))
    }

    /// Writes what a lease's holder has to write, if it still holds.
    pub async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let saved = match self.ask(Op::Save(render::save(save, now()))).await? {
            Out::Saved(saved) => saved,
            Out::Removed => {
                self.look_at_removals().await?;
                return Ok(Saved::Removed);
            }
            Out::Done
            | Out::Claimed(_)
            | Out::Renewed(_)
            | Out::Spent(_)
            | Out::Swept(_)
            | Out::Limited(_)
            | Out::Account(_) => {
                return Err(StoreError::Closed);
            }
        };
        let still_held = matches!(&save.then, Then::Go { stage: Stage::Leased, .. });
        if saved == Saved::Fenced || (saved == Saved::Done && !still_held) {
            self.0.leases.forget(&save.lease);
        }
        Ok(saved)
    }

    /// Leases queued tasks of a vendor, the fairest first, as many as its budget admits.
    pub async fn claim_queued(&self, vendor: &str, budget: Budget, limit: u32) -> Result<Taken, StoreError> {
        let (vendor, limit) = (vendor.to_owned(), i64::from(limit));
        self.claim(|lease_us| Op::ClaimQueued { vendor, budget, limit, lease_us }).await
    }

    /// Leases tasks at the head of a vendor's queue that were created before a moment.
    pub async fn claim_stale(&self, vendor: &str, before: Stamp) -> Result<Vec<Claimed>, StoreError> {
        let vendor = vendor.to_owned();
        Ok(self.claim(|lease_us| Op::ClaimStale { vendor, before: before.0, lease_us }).await?.tasks)
    }

    /// Leases queued tasks of a vendor that was closed by this failure, where it leads to another model.
    pub async fn claim_movable(&self, vendor: &str, code: &'static str) -> Result<Vec<Claimed>, StoreError> {
        let vendor = vendor.to_owned();
        Ok(self.claim(|lease_us| Op::ClaimMovable { vendor, code, lease_us }).await?.tasks)
    }

    /// Leases tasks whose due time has come, or whose holder has gone.
    pub async fn claim_due(&self, limit: u32) -> Result<Vec<Claimed>, StoreError> {
        self.renew_late().await?;
        Ok(self.claim(|lease_us| Op::ClaimDue { limit: i64::from(limit), lease_us }).await?.tasks)
    }

    /// Leases one waiting task; `None` when it is not waiting.
    pub async fn claim_one(&self, task: &TaskId) -> Result<Option<Claimed>, StoreError> {
        let task_id = task.as_str().to_owned();
        Ok(self.claim(|lease_us| Op::ClaimOne { task_id, lease_us }).await?.tasks.pop())
    }

    /// After a time in which no heartbeat could be written, this process's own runs come first: a
    /// claim would take their tasks away, and with them what a vendor has answered meanwhile.
    async fn renew_late(&self) -> Result<(), StoreError> {
        let late = self.0.leases.late();
        if late.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + self.0.lease;
        let renew = Op::Renew { leases: late.clone(), lease_us: self.lease_us() };
        if let Out::Renewed(renewed) = self.ask(renew).await? {
            self.0.leases.renewed(&late, &renewed, until);
        }
        Ok(())
    }

    fn lease_us(&self) -> i64 {
        i64::try_from(self.0.lease.as_micros()).unwrap_or(i64::MAX / 4)
    }

    async fn claim(&self, op: impl FnOnce(i64) -> Op) -> Result<Taken, StoreError> {
        // The lease is counted from before the claim leaves, so it never seems longer than it is.
        let until = Instant::now() + self.0.lease;
        let raw = match self.ask(op(self.lease_us())).await? {
            Out::Claimed(raw) => raw,
            Out::Spent(wait) => return Ok(Taken { tasks: Vec::new(), spent: Some(wait) }),
            Out::Done
            | Out::Saved(_)
            | Out::Renewed(_)
            | Out::Removed
            | Out::Swept(_)
            | Out::Limited(_)
            | Out::Account(_) => {
                return Err(StoreError::Closed);
            }
        };
        let mut tasks = Vec::with_capacity(raw.len());
        for one in raw {
            let id = one.task_id.clone();
            match read::claimed(one) {
                Ok(one) => {
                    self.0.leases.take(one.lease.clone(), until);
                    tasks.push(one);
                }
                Err(error) => tracing::error!(%error, task = id, "a task's row cannot be read"),
            }
        }
        Ok(Taken { tasks, spent: None })
    }

    pub async fn task(&self, id: &TaskId) -> Result<Option<TaskRow>, StoreError> {
        read::task(&self.0.pool, id).await
    }

    /// The task of the clip with this number.
    pub async fn clip(&self, number: i64) -> Result<Option<TaskRow>, StoreError> {
        clips::task(&self.0.pool, number).await
    }

    /// How long its caller's limit would have this request wait, if it came now.
    pub async fn clip_wait(&self, clip: &NewClip) -> Result<Option<Duration>, StoreError> {
        clips::wait(&self.0.pool, clip).await
    }

    /// Adds to the counts of questions after clips.
    pub async fn add_polls(&self, counts: Vec<PollCount>) -> Result<(), StoreError> {
        self.ask(Op::AddPolls(counts)).await.map(drop)
    }

    /// Sums over the requests for clips.
    pub async fn usage(&self, filter: &UsageFilter) -> Result<Vec<Usage>, StoreError> {
        clips::usage(&self.0.pool, filter).await
    }

    pub async fn list(&self, filter: &Filter, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        read::list(&self.0.pool, filter, limit).await
    }

    pub async fn media(&self, id: &MediaId) -> Result<Option<Stored>, StoreError> {
        read::media(&self.0.pool, id, self.blob_generation()).await
    }

    /// How often blobs have been removed, as far as this process knows. Whoever publishes a blob
    /// reads it first and hands it in with the row that names the blob.
    pub fn blob_generation(&self) -> i64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Learns of what other processes have removed.
    pub async fn look_at_removals(&self) -> Result<(), StoreError> {
        self.saw_generation(read::blob_generation(&self.0.pool).await?);
        Ok(())
    }

    pub(crate) fn saw_generation(&self, generation: i64) {
        self.0.generation.fetch_max(generation, Ordering::AcqRel);
    }

    pub async fn attempts(&self, task: &TaskId) -> Result<Vec<AttemptRow>, StoreError> {
        read::attempts(&self.0.pool, task).await
    }

    /// Until something is due; `None` when nothing waits.
    pub async fn next_due(&self) -> Result<Option<Duration>, StoreError> {
        let wait = read::next_due_us(&self.0.pool).await?;
        Ok(wait.map(|us| Duration::from_micros(us.max(0).unsigned_abs())))
    }

    /// Live tasks as (vendor, stage, count).
    pub async fn depth(&self) -> Result<Vec<(String, i64, i64)>, StoreError> {
        read::depth(&self.0.pool).await
    }

    /// Whether submissions are paused, for all who share the database.
    pub async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        read::pause(&self.0.pool).await
    }

    /// Of each vendor and project that has live tasks: the lowest and the highest rank.
    pub async fn ranks(&self) -> Result<Vec<RankSpan>, StoreError> {
        read::ranks(&self.0.pool).await
    }
}

/// This process's clock.
pub fn now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// New ids; they sort by the time at which they are made.
pub fn new_task_id() -> TaskId {
    TaskId::from_bits(uuid::Uuid::now_v7().as_u128())
}

pub fn new_media_id() -> MediaId {
    // Unguessable: an address is all that a reader of media needs.
    MediaId::from_bits(uuid::Uuid::new_v4().as_u128())
}

/// A number for a clip. Nobody can guess the next one; it has 53 bits, of which the highest is set,
/// so that it is beyond 32 bits and yet exact for readers who take every number for a float.
pub fn new_clip_number() -> i64 {
    const HIGHEST: i64 = 1 << 52;
    let random = uuid::Uuid::new_v4().as_u128() & (HIGHEST as u128 - 1);
    i64::try_from(random).unwrap_or_default() | HIGHEST
}

pub fn new_attempt_id() -> AttemptId {
    AttemptId::from_bits(uuid::Uuid::now_v7().as_u128())
}
