//! What the simulator knows: scripts, the ledger, jobs and how to find them.

use crate::{
    Memory, Options,
    address::Addresses,
    answer::Whole,
    fault::{Fault, Stage},
    journal::Journal,
    ledger::{Entry, Fate, Ledger},
    marker::marker_in,
    media,
    replay::Replays,
    script::{Rule, Script, Scripts},
    session::Sessions,
    vendor::{Asked, Facts, Order, Unit, Vendor},
    vendors,
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::{OnceCell, oneshot};

pub(crate) struct Shared {
    state: Mutex<State>,
    journal: Option<Journal>,
    addresses: OnceCell<Addresses>,
    memory: Memory,
    one_for_all: Bytes,
}

/// What an account of a vendor knows by a name of its own.
type Named = (&'static str, Option<String>, String);

pub(crate) struct State {
    pub scripts: Scripts,
    pub ledger: Ledger,
    pub jobs: HashMap<String, Job>,
    pub replays: Replays,
    pub sessions: Sessions,
    /// Jobs by vendor, account and idempotency key, and by vendor, account and reference.
    keys: HashMap<Named, String>,
    references: HashMap<Named, String>,
    /// Submissions that arrived, for chance.
    received: u64,
    pub running: usize,
    pub most_at_once: usize,
    /// Answers on their way.
    pub open: usize,
}

/// An accepted submission and how far it is.
pub(crate) struct Job {
    pub vendor: &'static dyn Vendor,
    pub entry: Entry,
    prompt: String,
    pub script: Arc<Script>,
    /// A fault by chance.
    struck: Option<Rule>,
    /// Counted from 0 among the accepted ones of the marker.
    ordinal: u64,
    /// Polls that say it still runs.
    pub patience: u32,
    pub polls: u32,
    /// Of each result.
    pub fetches: Vec<u32>,
    /// The number of its last state, once a list of the account has told it.
    pub ended: Option<i64>,
    accepted_at: Instant,
}

impl Job {
    pub fn facts(&self) -> Facts<'_> {
        Facts { entry: &self.entry, prompt: &self.prompt }
    }

    /// What strikes the so-manyeth request of a stage.
    pub fn rule(&self, stage: Stage, count: u32) -> Option<&Rule> {
        let of_this = |rule: &&Rule| rule.submission.is_none_or(|at| at == self.ordinal);
        self.script.faults.iter().filter(of_this).chain(&self.struck).find(|rule| rule.strikes(stage, count))
    }

    pub fn age(&self) -> Duration {
        self.accepted_at.elapsed()
    }

    pub fn pace(&self) -> Duration {
        Duration::from_millis(self.script.pace_ms)
    }
}

/// A submission and its fate.
pub(crate) struct Taken {
    pub script: Arc<Script>,
    pub latency: Duration,
    pub rule: Option<Rule>,
    /// The job that it became, or that its key led to.
    pub job: Option<String>,
    /// Told when the acceptance is on stable storage.
    pub flushed: Option<oneshot::Receiver<io::Result<()>>>,
    /// The key was used before with another request.
    pub conflict: bool,
    /// The reference was used before, and must not be.
    pub used: bool,
}

impl Shared {
    pub fn new(options: Options) -> io::Result<Self> {
        let mut state = State {
            scripts: Scripts::default(),
            ledger: Ledger::new(options.memory),
            jobs: HashMap::new(),
            replays: Replays::default(),
            sessions: Sessions::default(),
            keys: HashMap::new(),
            references: HashMap::new(),
            received: 0,
            running: 0,
            most_at_once: 0,
            open: 0,
        };
        state.scripts.set(None, options.script);
        let journal = match options.ledger {
            None => None,
            Some(path) => {
                let (journal, entries) = Journal::open(&path)?;
                entries.into_iter().for_each(|entry| state.restore(entry));
                Some(journal)
            }
        };
        let one_for_all = Bytes::from(media::png(64, 64, "one for all"));
        let (state, addresses) = (Mutex::new(state), OnceCell::new());
        Ok(Self { state, journal, addresses, memory: options.memory, one_for_all })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        // Its figures may still be read after a panic, which fails a test anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn addresses(&self) -> io::Result<&Addresses> {
        self.addresses.get_or_try_init(Addresses::open).await
    }

    /// Records a submission and decides how it goes. What is accepted is on its way to the disk
    /// when this returns, whether or not the client still waits.
    pub fn take(&self, vendor: &'static dyn Vendor, asked: &Asked, order: Order) -> Taken {
        let mut state = self.state();
        let state = &mut *state;
        state.received += 1;
        let marker = marker_in(&order.prompt);
        let script = state.scripts.of(&marker);
        let draw = script.draw(state.received);
        let before = state.ledger.counts(vendor.id(), &marker).clone();
        let count = u32::try_from(before.received).unwrap_or(u32::MAX);
        let by_chance = draw.fault.as_ref().filter(|rule| rule.at() == Some(Stage::Submit));
        let rule = script.faults.iter().find(|rule| rule.strikes(Stage::Submit, count)).or(by_chance).cloned();
        // Only a connection that was used before is closed on reuse.
        let rule = rule.filter(|rule| rule.kind != Fault::ClosedOnReuse || asked.reused);
        let latency = draw.latency;
        let mut taken = Taken { script, latency, rule, job: None, flushed: None, conflict: false, used: false };
        let request_sha256 = match self.memory {
            Memory::Whole => hex(&Sha256::digest(&asked.body)),
            Memory::Numbers => String::new(),
        };
        let refused = taken.rule.as_ref().is_some_and(|rule| !rule.kind.accepts());
        let account = order.account.clone().or_else(|| asked.account().map(ToOwned::to_owned));
        let named = |name: &String| (vendor.id(), account.clone(), name.clone());
        let is_known = |reference: &String| state.references.contains_key(&named(reference));
        taken.used = !refused && order.unique && order.reference.as_ref().is_some_and(is_known);
        let refused = refused || taken.used;
        let known = order.key.as_ref().and_then(|key| state.keys.get(&named(key))).cloned();
        let fate = match (&known, refused) {
            (_, true) => Fate::Refused,
            (Some(_), false) => Fate::Repeated,
            (None, false) => Fate::Accepted,
        };
        state.ledger.record(vendor.id(), &marker, fate, taken.rule.as_ref().map(|rule| rule.kind), &order.body);
        state.ledger.counts(vendor.id(), &marker).struck += u64::from(taken.rule.is_some());
        match (fate, known) {
            (Fate::Refused, _) | (Fate::Repeated, None) => {}
            (Fate::Repeated, Some(id)) => {
                taken.conflict = state.jobs.get(&id).is_some_and(|job| job.entry.request_sha256 != request_sha256);
                taken.job = Some(id);
            }
            (Fate::Accepted, _) => {
                let entry = entry(state.ledger.next(), vendor, marker, &order, request_sha256, &taken.script);
                let entry = Entry { account, ..entry };
                taken.flushed = self.journal.as_ref().map(|journal| journal.append(&entry));
                taken.job = Some(entry.job.clone());
                state.ledger.enter(entry.clone());
                let script = taken.script.clone();
                let mut job = Job::new(vendor, entry, script, before.accepted);
                (job.prompt, job.patience, job.struck) = (order.prompt, draw.polls, draw.fault);
                state.keep(job);
            }
        }
        taken
    }

    /// The file of a result.
    pub fn file(&self, job: &Job, index: u32) -> Bytes {
        let entry = &job.entry;
        if let Some(file) = &job.script.file {
            return file.clone();
        }
        let note = || format!("{} {} {index}", entry.marker, entry.number);
        match Unit::named(&entry.unit) {
            Unit::Image => {}
            Unit::Video => return media::mp4(&note()).into(),
            Unit::Speech => return media::wav(24_000, 1_000).into(),
            // The answer was the result.
            Unit::Text => return Bytes::new(),
        }
        match (self.memory, job.script.bytes) {
            (_, Some(bytes)) => media::large(bytes, &note()),
            (Memory::Numbers, None) => self.one_for_all.clone(),
            (Memory::Whole, None) => media::png(entry.width, entry.height, &note()).into(),
        }
    }
}

impl Job {
    fn new(vendor: &'static dyn Vendor, entry: Entry, script: Arc<Script>, ordinal: u64) -> Self {
        let fetches = vec![0; entry.outputs as usize];
        let (prompt, struck, accepted_at) = (entry.prompt.clone(), None, Instant::now());
        Self {
            vendor,
            entry,
            prompt,
            script,
            struck,
            ordinal,
            patience: 0,
            polls: 0,
            fetches,
            ended: None,
            accepted_at,
        }
    }
}

impl State {
    fn keep(&mut self, job: Job) {
        let (id, vendor) = (job.entry.job.clone(), job.vendor.id());
        if let Some(key) = &job.entry.key {
            self.keys.insert((vendor, job.entry.account.clone(), key.clone()), id.clone());
        }
        if let Some(reference) = &job.entry.reference {
            self.references.insert((vendor, job.entry.account.clone(), reference.clone()), id.clone());
        }
        self.jobs.insert(id, job);
    }

    /// Takes up a job of an earlier life.
    fn restore(&mut self, entry: Entry) {
        // A ledger may name a vendor that this version does not speak.
        let Some(vendor) = vendors::ALL.iter().copied().find(|vendor| vendor.id() == entry.vendor) else { return };
        let ordinal = self.ledger.counts(vendor.id(), &entry.marker).accepted;
        self.ledger.restore(vendor.id(), entry.clone());
        let script = self.scripts.of(&entry.marker);
        self.received += 1;
        self.keep(Job::new(vendor, entry, script, ordinal));
    }

    pub fn referred(&self, vendor: &'static str, account: Option<&str>, reference: &str) -> Option<&Job> {
        self.jobs.get(self.references.get(&(vendor, account.map(ToOwned::to_owned), reference.to_owned()))?)
    }

    /// The id of a job of this vendor that was accepted before that one, and that was asked for.
    pub fn earlier(&self, job: &Job) -> Option<&str> {
        let is_known = |entry: &Entry| self.jobs.get(&entry.job).is_some_and(|job| job.polls > 0);
        let fits =
            |entry: &&Entry| entry.vendor == job.entry.vendor && entry.number < job.entry.number && is_known(entry);
        self.ledger.entries(None, None).filter(fits).last().map(|entry| entry.job.as_str())
    }

    /// Forgets everything but the file.
    pub fn reset(&mut self, memory: Memory) {
        let last = self.ledger.last();
        self.ledger = Ledger::after(memory, last);
        self.scripts = Scripts::default();
        (self.received, self.running, self.most_at_once) = (0, 0, 0);
        self.jobs.clear();
        self.replays = Replays::default();
        self.sessions = Sessions::default();
        self.keys.clear();
        self.references.clear();
    }
}

impl Shared {
    pub fn reset(&self) {
        self.state().reset(self.memory);
    }

    /// The answer when an acceptance could not be written down.
    pub async fn flushed(&self, taken: &mut Taken) -> Result<(), Whole> {
        let Some(flushed) = taken.flushed.take() else { return Ok(()) };
        let why = match flushed.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its writer has ended".to_owned(),
        };
        self.state().ledger.violate(format!("the ledger cannot be written: {why}"));
        Err(Whole::new(500, "text/plain", format!("the simulator's ledger cannot be written: {why}")))
    }
}

fn entry(
    number: u64,
    vendor: &'static dyn Vendor,
    marker: String,
    order: &Order,
    request_sha256: String,
    script: &Script,
) -> Entry {
    let (width, height) = script.size.map_or(order.size, |size| (size.0, size.1));
    Entry {
        number,
        at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        vendor: vendor.id().to_owned(),
        model: order.model.clone(),
        form: order.form.to_owned(),
        job: vendor.job_id(number),
        marker,
        prompt: Entry::start_of(&order.prompt),
        key: order.key.clone(),
        account: None,
        reference: order.reference.clone(),
        cost: order.cost,
        picture: order.picture.clone(),
        request_sha256,
        unit: order.unit.name().to_owned(),
        outputs: order.outputs,
        width,
        height,
        flawed: order.flawed,
        blocking: order.blocking,
        inline: order.inline,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
