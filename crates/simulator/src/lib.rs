//! A vendor simulator: it speaks vendors' wire forms on one port, each under its own prefix, keeps
//! a ledger of what it accepted, and misbehaves on command.
//!
//! It shares no code with the adapters that it judges, and imports nothing of ours: what it says
//! of a wire form was written from the vendor's documents.
//!
//! - the seam is in `vendor`: one file for each vendor, one line in a list;
//! - [`Fault`] names every misbehaviour, [`Script`] says when it strikes;
//! - [`Entry`] is a line of the ledger;
//! - [`Simulator`] is all of it, to be served on a listener.

mod address;
mod admin;
mod answer;
mod chat;
mod desk;
mod fault;
mod form;
mod host;
mod journal;
mod ledger;
mod marker;
pub mod media;
mod replay;
mod script;
mod session;
mod site;
mod spoil;
mod state;
mod vendor;
mod vendors;
mod wire;

pub use fault::{Fault, Group, Stage};
pub use ledger::{Counts, Entry, Submission};
pub use marker::{MARKER, marker_in};
pub use script::{Rule, Script, Size, Span};
pub use session::{Account, HOLDER, PASSWORD, Upload};
pub use site::Site;
pub use vendor::{EMPTY_KEY, KEY, SECRET};

use state::Shared;
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::net::TcpListener;

/// How much is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Every submission with its body.
    #[default]
    Whole,
    /// Nothing but the figures, and every result is one small picture: for measurements.
    Numbers,
}

/// How to start a simulator.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The ledger's file; without one it is in memory only.
    pub ledger: Option<PathBuf>,
    /// The behaviour at the start.
    pub script: Script,
    pub memory: Memory,
}

/// A running or startable simulator; clones are the same one.
#[derive(Clone)]
pub struct Simulator(Arc<Shared>);

impl Simulator {
    /// Opens the ledger's file, if there is one, and takes up the jobs that it names.
    pub fn new(options: Options) -> io::Result<Self> {
        options.script.check().map_err(io::Error::other)?;
        Ok(Self(Arc::new(Shared::new(options)?)))
    }

    /// Answers until it is dropped.
    pub async fn serve(&self, listener: TcpListener) {
        wire::serve(listener, self.0.clone()).await;
    }

    /// The variables that point a client at a simulator on this address.
    pub fn variables(address: SocketAddr) -> Vec<(&'static str, String)> {
        let one = |vendor: &&dyn vendor::Vendor| {
            let (name, path) = vendor.base_url();
            (name, format!("http://{address}/{}{path}", vendor.id()))
        };
        vendors::ALL.iter().map(one).collect()
    }

    /// The variables of the account way, for a client that signs in as [`HOLDER`].
    pub fn account_variables(address: SocketAddr) -> Vec<(&'static str, String)> {
        let web = format!("http://{address}/pixverse");
        vec![("PIXVERSE_UPLOAD_URL", format!("{web}/upload-bucket")), ("PIXVERSE_WEB_URL", web)]
    }

    /// Sets the behaviour for one marker, or for all that have none of their own.
    pub fn script(&self, marker: Option<&str>, script: Script) {
        self.0.state().scripts.set(marker.map(ToOwned::to_owned), script);
    }

    /// The figures of a marker and a vendor; `None` is all of them.
    pub fn counts(&self, marker: Option<&str>, vendor: Option<&str>) -> Counts {
        self.0.state().ledger.sum(marker, vendor)
    }

    /// The accepted submissions, in order.
    pub fn entries(&self, marker: Option<&str>, vendor: Option<&str>) -> Vec<Entry> {
        self.0.state().ledger.entries(marker, vendor).cloned().collect()
    }

    /// The file of a result, as it is when nothing spoils it; empty when there is no such job.
    pub fn file(&self, entry: &Entry, index: u32) -> bytes::Bytes {
        let state = self.0.state();
        state.jobs.get(&entry.job).map(|job| self.0.file(job, index)).unwrap_or_default()
    }

    /// What an account did, by its name.
    pub fn account(&self, name: &str) -> Account {
        self.0.state().sessions.find(name)
    }

    /// Sign-ins that were refused.
    pub fn refused_sign_ins(&self) -> u64 {
        self.0.state().sessions.refused()
    }

    /// Lets a job be done at its next poll, whatever its script says of the polls before.
    pub fn finish(&self, job: &str) {
        if let Some(job) = self.0.state().jobs.get_mut(job) {
            job.patience = 0;
        }
    }

    /// How often a page was loaded, such as `login`.
    pub fn page_loads(&self, page: &str) -> u64 {
        self.0.state().sessions.loads(page)
    }

    /// Every token and every secret of a right that was given out.
    pub fn secrets(&self) -> Vec<String> {
        self.0.state().sessions.secrets().to_vec()
    }

    /// Ends the account's token, as if its time were over.
    pub fn expire_token(&self, name: &str) {
        self.0.state().sessions.expire(name);
    }

    /// Somebody else signs in with the account, which ends its session; their token.
    pub fn sign_in_elsewhere(&self, name: &str) -> String {
        let mut state = self.0.state();
        let token_s = state.scripts.site().token_s;
        state.sessions.sign_in(name, token_s, true)
    }

    /// Every submission with this marker, in order of arrival.
    pub fn submissions(&self, marker: &str) -> Vec<Submission> {
        self.0.state().ledger.submissions(marker)
    }

    /// What a well-behaved client never does, such as sending the key to the media host.
    pub fn violations(&self) -> Vec<String> {
        self.0.state().ledger.violations().to_vec()
    }

    /// The most blocking calls that were open at the same time.
    pub fn most_at_once(&self) -> usize {
        self.0.state().most_at_once
    }

    /// Requests whose answers have not come to their end, nor their clients hung up.
    pub fn open(&self) -> usize {
        self.0.state().open
    }

    /// The address of a fault that strikes before any request; `None` for the others. A base URL
    /// is this and the vendor's prefix and path.
    pub async fn address_of(&self, fault: Fault) -> io::Result<Option<String>> {
        Ok(self.0.addresses().await?.of(fault))
    }
}
