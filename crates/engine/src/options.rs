//! What the engine is told at its start.

use crate::KeySource;
use pixel_core::vendor::{Credential, Vendor};
use pixel_store::Budget;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Tasks worked on at the same time.
    pub calls_max: usize,
    /// Chats with vendors at the same time.
    pub chats_max: usize,
    pub chat: crate::ChatLimits,
    /// Local jobs (the sandbox's) at the same time.
    pub local_jobs: usize,
    /// Pictures decoded at the same time.
    pub decodes: usize,
    /// In place of every model's first poll wait, when set.
    pub poll_min: Option<Duration>,
    pub hold: HoldRules,
    /// How long a task may wait for a vendor that cannot take it.
    pub patience: Duration,
    /// How long media and details are kept after a task's end; `None` is for ever.
    pub retention: Option<Duration>,
    pub media: crate::media::MediaLimits,
    /// The program that makes posters of clips, where there is one.
    pub ffmpeg: Option<PathBuf>,
}

/// What becomes of a submission whose outcome is unknown.
#[derive(Clone, Debug, Default)]
pub struct HoldRules {
    pub length: Duration,
    pub policy: HoldPolicy,
    pub projects: BTreeMap<String, HoldPolicy>,
}

impl HoldRules {
    pub(crate) fn policy(&self, project: Option<&str>) -> HoldPolicy {
        project.and_then(|id| self.projects.get(id)).copied().unwrap_or(self.policy)
    }
}

/// A decision taken in advance. The default never pays twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldPolicy {
    /// Wait for a person.
    #[default]
    Hold,
    /// Take it for lost.
    Lost,
    /// Submit again, at the risk of paying twice.
    PayAgain,
}

/// One vendor as this server is to use it.
#[derive(Clone)]
pub struct LaneOptions {
    /// The vendor's id in the catalogue; several may share one adapter.
    pub id: String,
    pub vendor: Arc<dyn Vendor>,
    pub accounts: Vec<Account>,
    pub budget: Budget,
    /// Runs of this vendor at the same time, in this process.
    pub runs_max: usize,
}

/// The vendor itself, or one of its services: where calls go, and with which keys.
#[derive(Clone, Debug)]
pub struct Account {
    pub service: Option<String>,
    /// Without a slash at its end.
    pub base_url: String,
    /// The name of the first key, set or not: what a slot that names none went out with.
    pub primary: String,
    /// Further addresses of a service: see `Job::urls`.
    pub urls: Vec<String>,
    /// None: nothing is sent.
    pub keys: Vec<Key>,
}

/// One key of an account.
#[derive(Clone, Debug)]
pub struct Key {
    /// The first of its variables; empty where no key is needed.
    pub name: String,
    pub variables: Vec<String>,
    /// Its share of submissions; with 0 it only goes on with what it has submitted.
    pub weight: u32,
    pub credential: Credential,
    /// Gives the credential in place of that, where it is a session.
    pub source: Option<Arc<dyn KeySource>>,
    /// Submissions that may run with it at the same time, in this process; 0 is no limit.
    pub parallel: u32,
}
