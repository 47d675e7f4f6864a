//! The settings as one typed value. Nothing else in the product knows where they came from.

use super::{apps::Apps, crash::CrashAt};
use pixel_core::vendor::Secret;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// Everything that can be set, checked. Its secrets print as stars.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    pub allow_unauthenticated: bool,
    pub data: PathBuf,
    /// Folder under which media lives, or is staged on its way to the bucket.
    pub blobs: PathBuf,
    /// Where media lives instead.
    pub bucket: Option<Bucket>,
    /// Folder of the operator's own catalogue files; `None` is in the data folder, where there need be none.
    pub catalog: Option<PathBuf>,
    /// `None` is the one on the search path.
    pub chromium: Option<PathBuf>,
    /// Without a slash at its end; `None` takes the address from each request.
    pub public_url: Option<String>,
    pub sandbox: bool,
    /// Why every model is the sandbox's, when it is.
    pub sandbox_reason: Option<String>,
    /// Threads of the runtime, at least 1.
    pub workers: usize,
    pub shutdown: Duration,
    /// Between SIGTERM and the moment when no more requests are taken.
    pub drain: Duration,
    pub database: Database,
    pub log: Log,
    pub cors: CorsOrigins,
    pub fetch: Fetch,
    pub engine: Engine,
    pub chat: Chat,
    pub hold: Hold,
    /// How long media and details are kept after a task's end; `None` is for ever.
    pub retention: Option<Duration>,
    pub limits: Limits,
    /// How the clips of mobile apps are made.
    pub apps: Apps,
    /// Where a test lets this process die.
    pub crash_at: Option<CrashAt>,
    /// What secrets at rest are sealed with; without it, a key file of the data folder.
    pub secret: Option<Secret>,
    /// By the id of the vendor; every vendor of the catalogue has an entry.
    pub vendors: BTreeMap<String, VendorSettings>,
}

/// A bucket of an S3-compatible server.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub name: String,
    /// Without slashes around it; may be empty.
    pub prefix: String,
    /// `None` is AWS.
    pub endpoint: Option<String>,
    pub region: String,
    /// The bucket stands in the path of addresses, not in the host's name.
    pub path_style: bool,
    pub key_id: Secret,
    pub secret: Secret,
    pub token: Option<Secret>,
}

#[derive(Clone, Debug)]
pub struct Database {
    /// A PostgreSQL address; `None` is SQLite in the data folder.
    pub url: Option<Secret>,
    pub pool_size: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text, with colours when it goes to a terminal.
    Auto,
    Text,
    Json,
}

/// Which web pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Pages of this machine: localhost, 127.0.0.1 and [::1] on any port.
    Loopback,
    Any,
    /// As browsers send them: lower case, no slash at the end, no default port.
    Listed(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Entries that the address guard has accepted.
    pub allow: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    pub calls_max: usize,
    /// At least 1.
    pub local_jobs: usize,
    pub lease: Duration,
    /// The wait before the first poll, in place of the catalogue's.
    pub poll_min: Option<Duration>,
    /// Staged files that nobody has touched for so long are removed.
    pub staging: Duration,
}

/// Chats with vendors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    pub calls_max: usize,
    /// Until a stream begins.
    pub first: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    pub total: Duration,
}

/// What happens to a submission of which nobody knows whether it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Held this long, then failed.
    pub time: Duration,
    pub policy: HoldPolicy,
    pub projects: BTreeMap<String, HoldPolicy>,
}

impl Hold {
    pub fn policy_of(&self, project: Option<&str>) -> HoldPolicy {
        project.and_then(|project| self.projects.get(project)).copied().unwrap_or(self.policy)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldPolicy {
    /// Wait for a person.
    Hold,
    /// Take it for not accepted, and give up.
    Lost,
    /// Send once more, at the risk of paying twice.
    PayAgain,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub body_bytes: usize,
    pub image_bytes: u64,
    pub video_bytes: u64,
    pub audio_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct VendorSettings {
    /// The vendor itself, or each of its services.
    pub accounts: Vec<AccountSettings>,
    /// Submissions at once; 0 is no limit.
    pub concurrency: u32,
    /// Submissions a minute; 0 is no limit.
    pub rate_per_min: u32,
}

#[derive(Clone, Debug)]
pub struct AccountSettings {
    pub account: pixel_engine::Account,
    /// Variables that are missing: one of these sets makes the account usable. None when it is.
    pub missing: Vec<Vec<String>>,
    /// Of a service that is signed in to.
    pub session: Option<SessionSettings>,
}

/// How people's accounts with a service are used.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    pub notice: String,
    pub login_url: String,
    pub headless: bool,
    /// One for each of the account's keys, in their order.
    pub logins: Vec<pixel_accounts::Login>,
}

impl VendorSettings {
    /// Whether anything can be sent to it.
    pub fn is_usable(&self) -> bool {
        self.accounts.iter().any(AccountSettings::is_usable)
    }

    pub fn account(&self, service: Option<&str>) -> Option<&AccountSettings> {
        self.accounts.iter().find(|own| own.account.service.as_deref() == service)
    }
}

impl AccountSettings {
    pub fn is_usable(&self) -> bool {
        !self.account.keys.is_empty()
    }

    /// The missing variables in words: `A, or B and C`.
    pub fn wanted(&self) -> String {
        let sets: Vec<String> = self.missing.iter().map(|set| set.join(" and ")).collect();
        sets.join(", or ")
    }
}
