//! The simulator inside a test's process, on a thread of its own, so that it outlives a killed
//! server and its ledger is an outside witness.

use crate::script::Script;
use pixel_simulator::{Counts, Memory, Options, Simulator};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::oneshot;

pub use crate::script::{End, Media, Submit};
pub use pixel_simulator::{EMPTY_KEY, HOLDER, KEY, PASSWORD, SECRET, Site, Submission};

/// The call that tells how an account's clips stand.
pub const LIST: &str = "video/list/personal";

/// A fresh marker for a prompt.
pub fn marker() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    format!("{}{:x}-{}", pixel_simulator::MARKER, now & 0xFFF_FFFF, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A running simulator; dropping it closes its port.
pub struct Stub {
    address: SocketAddr,
    simulator: Simulator,
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
                let simulator = Simulator::new(Options { memory, ..Options::default() }).expect("memory takes it");
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
                let address = listener.local_addr().expect("a bound listener has an address");
                ready.send((address, simulator.clone())).expect("the starter waits");
                tokio::select! {
                    () = simulator.serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        let (address, simulator) = bound.recv().expect("the simulator starts");
        Self { address, simulator, stop: Some(stop), thread: Some(thread) }
    }

    /// The simulator itself: its own scripts, its ledger.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The variables that point a client here, and their values.
    pub fn base_urls(&self) -> Vec<(&'static str, String)> {
        Simulator::variables(self.address)
    }

    /// The value of a vendor's variable, such as `OPENAI_BASE_URL`.
    pub fn base_url(&self, variable: &str) -> String {
        let all = Simulator::variables(self.address);
        let found = all.into_iter().find(|(name, _)| *name == variable);
        found.unwrap_or_else(|| panic!("no vendor here has the variable {variable}")).1
    }

    /// The variables of the account way, but for the account itself.
    pub fn account_urls(&self) -> Vec<(&'static str, String)> {
        Simulator::account_variables(self.address)
    }

    /// How the web application behaves; scripts of markers stay, the one for all goes.
    pub fn site(&self, site: Site) {
        self.simulator.script(None, pixel_simulator::Script { site, ..pixel_simulator::Script::default() });
    }

    /// What the account did so far.
    pub fn account(&self) -> pixel_simulator::Account {
        self.simulator.account(HOLDER)
    }

    /// Calls of the list, whatever clips they told of.
    pub fn lists(&self) -> u64 {
        self.account().calls(LIST)
    }

    /// Sign-ins of the account that were granted, without those by command.
    pub fn sign_ins(&self) -> u64 {
        let account = self.account();
        account.sign_ins - account.elsewhere
    }

    pub fn openai_base_url(&self) -> String {
        self.base_url("OPENAI_BASE_URL")
    }

    pub fn dashscope_base_url(&self) -> String {
        self.base_url("DASHSCOPE_BASE_URL")
    }

    pub fn lab_base_url(&self) -> String {
        self.base_url("LAB_BASE_URL")
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How submissions go whose marker has no script of its own.
    pub fn by_default(&self, script: Script) {
        self.simulator.script(None, script.into());
    }

    /// How submissions with this marker go.
    pub fn script(&self, marker: &str, script: Script) {
        self.simulator.script(Some(marker), script.into());
    }

    fn counts(&self, marker: &str) -> Counts {
        self.simulator.counts(Some(marker), None)
    }

    /// Submissions with this marker that the vendor accepted, and would charge for.
    pub fn accepted(&self, marker: &str) -> usize {
        self.counts(marker).accepted as usize
    }

    /// Submissions with this marker that arrived, accepted or not.
    pub fn received(&self, marker: &str) -> usize {
        self.counts(marker).received as usize
    }

    /// Submissions that arrived in all, accepted or not.
    pub fn received_in_all(&self) -> u64 {
        self.simulator.counts(None, None).received
    }

    /// Accepted submissions in all.
    pub fn accepted_in_all(&self) -> u64 {
        self.simulator.counts(None, None).accepted
    }

    /// The most blocking calls that were open at the same time.
    pub fn most_at_once(&self) -> usize {
        self.simulator.most_at_once()
    }

    /// Every submission with this marker, in order of arrival.
    pub fn submissions(&self, marker: &str) -> Vec<Submission> {
        self.simulator.submissions(marker)
    }

    /// Polls of this marker's jobs.
    pub fn polls(&self, marker: &str) -> usize {
        self.counts(marker).polls as usize
    }

    /// Fetches of this marker's result files.
    pub fn fetches(&self, marker: &str) -> usize {
        self.counts(marker).fetches as usize
    }

    /// What a well-behaved client never does, such as sending the key to the media host.
    pub fn violations(&self) -> Vec<String> {
        self.simulator.violations()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the simulator panicked");
        }
    }
}
