//! A vendor that counts what it was asked and misbehaves on command.
//!
//! It speaks the image wire forms of two vendors on one loopback port, from their documents. It
//! runs on a thread of its own inside the test's process, so that it outlives a killed server and
//! its ledger is an outside witness. Submissions are told apart by a marker, a word such as
//! `mk-7f3a-12` that the test puts into the prompt; a [`Script`] is set for one marker or for all.

mod dashscope;
mod ledger;
mod openai;
mod picture;
mod script;
mod wire;

pub use ledger::Submission;
pub use script::{End, Media, Script, Submit};

use ledger::Ledger;
use serde_json::Value;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::oneshot;

/// The only key that the stub knows.
pub const KEY: &str = "test-key";

/// How a marker begins.
const MARKER: &str = "mk-";

/// A fresh marker for a prompt.
pub fn marker() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    format!("{MARKER}{:x}-{}", now & 0xFFF_FFFF, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The marker in a prompt; prompts without one share the empty marker.
fn marker_in(prompt: &str) -> String {
    let Some(at) = prompt.find(MARKER) else { return String::new() };
    prompt[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// A running stub; dropping it closes its port.
pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    pub fn start() -> Self {
        Self::launch(Memory::Whole)
    }

    /// For the bench: nothing is remembered but the numbers, and every result is one small picture.
    pub fn for_load() -> Self {
        Self::launch(Memory::Numbers)
    }

    fn launch(memory: Memory) -> Self {
        let (ready, bound) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
                let address = listener.local_addr().expect("a bound listener has an address");
                let shared = Arc::new(Shared::new(address, memory));
                ready.send((address, shared.clone())).expect("the starter waits");
                tokio::select! {
                    () = wire::serve(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        let (address, shared) = bound.recv().expect("the stub starts");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The value of `OPENAI_BASE_URL`.
    pub fn openai_base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The value of `DASHSCOPE_BASE_URL`.
    pub fn dashscope_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How submissions go whose marker has no script of its own.
    pub fn by_default(&self, script: Script) {
        self.shared.state().default = Arc::new(script);
    }

    /// How submissions with this marker go.
    pub fn script(&self, marker: &str, script: Script) {
        self.shared.state().scripts.insert(marker.to_owned(), Arc::new(script));
    }

    /// Submissions with this marker that the vendor accepted, and would charge for.
    pub fn accepted(&self, marker: &str) -> usize {
        self.shared.state().ledger.accepted(marker)
    }

    /// Submissions with this marker that arrived, accepted or not.
    pub fn received(&self, marker: &str) -> usize {
        self.shared.state().ledger.received(marker)
    }

    /// Accepted submissions in all.
    pub fn accepted_in_all(&self) -> u64 {
        self.shared.state().ledger.accepted_in_all()
    }

    /// Submissions that arrived in all, accepted or not.
    pub fn received_in_all(&self) -> u64 {
        self.shared.state().ledger.received_in_all()
    }

    /// The most blocking calls that were open at the same time.
    pub fn most_at_once(&self) -> usize {
        self.shared.state().most_at_once
    }

    /// Every submission with this marker, in order of arrival.
    pub fn submissions(&self, marker: &str) -> Vec<Submission> {
        self.shared.state().ledger.of(marker)
    }

    /// Polls of this marker's jobs.
    pub fn polls(&self, marker: &str) -> usize {
        self.shared.state().ledger.polls(marker)
    }

    /// Fetches of this marker's result files.
    pub fn fetches(&self, marker: &str) -> usize {
        self.shared.state().ledger.fetches(marker)
    }

    /// What a well-behaved client never does, such as sending the key to the media host.
    pub fn violations(&self) -> Vec<String> {
        self.shared.state().violations.clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the stub panicked");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Whole,
    Numbers,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
}

struct State {
    default: Arc<Script>,
    scripts: HashMap<String, Arc<Script>>,
    ledger: Ledger,
    jobs: HashMap<String, dashscope::Job>,
    links: HashMap<String, Link>,
    pictures: picture::Pictures,
    violations: Vec<String>,
    running: usize,
    most_at_once: usize,
    next: u64,
}

/// An address of a result that was handed out.
#[derive(Clone, Debug)]
struct Link {
    marker: String,
    file: bytes::Bytes,
    media: Media,
    expired: bool,
}

impl Shared {
    fn new(address: SocketAddr, memory: Memory) -> Self {
        let state = State {
            default: Arc::default(),
            scripts: HashMap::new(),
            ledger: Ledger::new(memory),
            jobs: HashMap::new(),
            links: HashMap::new(),
            pictures: picture::Pictures::new(memory),
            violations: Vec::new(),
            running: 0,
            most_at_once: 0,
            next: 0,
        };
        Self { address, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere fails the test anyway; its figures may still be read.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn script_of(&self, marker: &str) -> Arc<Script> {
        self.scripts.get(marker).unwrap_or(&self.default).clone()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Records a submission and says how it goes, and the how-manyeth accepted one it is.
    fn submit(&mut self, vendor: &'static str, prompt: &str, body: &Value) -> Order {
        let marker = marker_in(prompt);
        let script = self.script_of(&marker);
        let submit = script.submit(self.ledger.received(&marker));
        let ordinal = self.ledger.record(vendor, &marker, submit.is_accepted(), body);
        Order { marker, script, submit, ordinal }
    }
}

/// A blocking call, open until this goes; it also goes when the client hangs up.
struct Running<'a>(&'a Shared);

impl<'a> Running<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.running += 1;
        state.most_at_once = state.most_at_once.max(state.running);
        Self(shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

/// A submission and its fate.
struct Order {
    marker: String,
    script: Arc<Script>,
    submit: Submit,
    /// Counted from 0 among the accepted ones of the marker.
    ordinal: usize,
}

#[cfg(test)]
mod tests;
