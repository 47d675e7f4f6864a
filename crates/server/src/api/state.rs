//! What every handler shares.

use super::Polls;
use crate::config::Settings;
use metrics_exporter_prometheus::PrometheusHandle;
use pixel_core::{catalog::Catalog, chat::Writer, id::ModelId};
use pixel_engine::{Engine, guard::Guard};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub struct App {
    pub engine: Engine,
    pub catalog: Arc<Catalog>,
    pub settings: Settings,
    pub guard: Guard,
    pub writer: Arc<dyn Writer>,
    /// Models whose wire form an adapter of this version speaks.
    pub spoken: HashSet<ModelId>,
    pub metrics: PrometheusHandle,
    /// Where this server is reached when neither the settings nor the request say.
    pub address: String,
    /// Raised when this server is about to go: requests are still answered, but callers are sent to others.
    pub draining: AtomicBool,
    /// Questions after clips that are not written yet.
    pub polls: Polls,
}

impl App {
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
