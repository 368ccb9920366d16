//! What one tick found: plain data between the collectors and the pages.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::cost::CostReport;
use crate::envoy::EnvoyStats;
use crate::gpu::{GpuReading, InitFailure};

/// Everything that is shown.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When the tick ended; `None` before the first one did.
    pub taken_at: Option<SystemTime>,
    /// The gateway.
    pub envoy: Source<EnvoyStats>,
    /// Lines of the gateway's pages that gave nothing, since the agent started.
    pub envoy_parse_errors: u64,
    /// GPU telemetry; `None` when it is switched off.
    pub nvml: Option<Nvml>,
    /// The cost model; `None` without a price.
    pub cost: Option<CostReport>,
}

/// GPU telemetry.
#[derive(Clone, Debug)]
pub struct Nvml {
    /// The GPUs.
    pub gpus: Source<GpuReading>,
    /// How often NVML did not initialise, by reason.
    pub init_failures: BTreeMap<InitFailure, u64>,
}

/// One source as it was last asked. A source that failed has no value, so none can be shown.
#[derive(Clone, Debug)]
pub struct Source<T> {
    /// The `source` label.
    pub name: &'static str,
    /// What it gave, or why it gave nothing.
    pub outcome: Result<T, String>,
    /// How long the attempt took; `None` before the first one ended.
    pub took: Option<Duration>,
    /// When it last gave something.
    pub last_success: Option<SystemTime>,
}

/// A source without its value.
#[derive(Clone, Copy, Debug)]
pub struct Health<'a> {
    /// The `source` label.
    pub name: &'static str,
    /// Why it is down; `None` when it is up.
    pub error: Option<&'a str>,
    /// How long the last attempt took.
    pub took: Option<Duration>,
    /// When it last gave something.
    pub last_success: Option<SystemTime>,
}

impl<T> Source<T> {
    /// A source that was not asked yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, outcome: Err("not read yet".to_owned()), took: None, last_success: None }
    }

    /// Its state.
    pub fn health(&self) -> Health<'_> {
        Health {
            name: self.name,
            error: self.outcome.as_ref().err().map(String::as_str),
            took: self.took,
            last_success: self.last_success,
        }
    }
}

impl Snapshot {
    /// Every source's state. The price is one: its numbers are absent when it is.
    pub fn sources(&self) -> Vec<Health<'_>> {
        let price = Health {
            name: "price",
            error: self.cost.is_none().then_some("no [price] in the configuration"),
            took: None,
            last_success: None,
        };
        let nvml = self.nvml.as_ref().map(|nvml| nvml.gpus.health());
        [self.envoy.health(), price].into_iter().chain(nvml).collect()
    }
}

/// The last snapshot, shared by the collector that writes it and the server that reads it.
#[derive(Debug)]
pub struct Latest {
    snapshot: Mutex<Arc<Snapshot>>,
    read: AtomicBool,
}

impl Latest {
    /// Starts with this one.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot: Mutex::new(Arc::new(snapshot)), read: AtomicBool::new(false) }
    }

    /// Replaces the snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// The snapshot, to look at.
    pub fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The snapshot, for a scraper that remembers what it sees.
    pub fn scrape(&self) -> Arc<Snapshot> {
        self.read.store(true, Ordering::Relaxed);
        self.get()
    }

    /// Whether the page was scraped since this was last asked.
    pub fn take_read(&self) -> bool {
        self.read.swap(false, Ordering::Relaxed)
    }
}
