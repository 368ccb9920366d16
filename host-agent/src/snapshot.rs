//! What one tick found: plain data between the collectors and the pages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;

use crate::budget::BudgetReport;
use crate::cost::{CostReport, PoolSpec};
use crate::discovery::Found;
use crate::engines::{Difference, EngineStats};
use crate::envoy::EnvoyStats;
use crate::gpu::{GpuLog, GpuReading};
use crate::host::HostStats;
use crate::live::Live;
use crate::price::Price;
use crate::render;
use crate::series::History;
use crate::summary;

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
    /// What the host costs, or why that is not known.
    pub price: Result<Price, String>,
    /// The cost model; `None` until there is a price.
    pub cost: Option<CostReport>,
    /// The serving engines.
    pub engines: Vec<Engine>,
    /// The gateway's counts against the engines', by upstream.
    pub differences: BTreeMap<String, Difference>,
    /// The machine; `None` when it is switched off.
    pub host: Option<Source<HostStats>>,
    /// Which GPUs serve what, as configured or found.
    pub pools: Vec<PoolSpec>,
    /// The search for pools; `None` when nothing is looked for.
    pub discovery: Option<Source<Found>>,
    /// The budgets, as they are saved.
    pub budgets: Vec<BudgetReport>,
    /// The state file; `None` when nothing is kept.
    pub state: Option<Source<()>>,
}

/// A serving engine.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Its name in the configuration.
    pub name: String,
    /// The Envoy cluster that leads to it.
    pub upstream: Option<String>,
    /// Its metrics.
    pub stats: Source<EngineStats>,
    /// Lines of its pages that could not be read, since the agent started.
    pub parse_errors: u64,
}

/// GPU telemetry.
#[derive(Clone, Debug)]
pub struct Nvml {
    /// The GPUs.
    pub gpus: Source<GpuReading>,
    /// What went wrong so far, whether or not there are GPUs now.
    pub log: GpuLog,
    /// Whether the page also has the names of NVIDIA's DCGM exporter.
    pub dcgm_names: bool,
}

/// One source as it was last asked. A source that failed has no value, so none can be shown.
#[derive(Clone, Debug)]
pub struct Source<T> {
    /// The `source` label.
    pub name: Cow<'static, str>,
    /// What it gave, or why it gave nothing. Shared, because pages of thousands of series are kept.
    pub outcome: Result<Arc<T>, String>,
    /// How long the attempt took; `None` before the first one ended.
    pub took: Option<Duration>,
    /// When it last gave something.
    pub last_success: Option<SystemTime>,
}

/// A source without its value.
#[derive(Clone, Copy, Debug)]
pub struct Health<'a> {
    /// The `source` label.
    pub name: &'a str,
    /// Why it is down; `None` when it is up.
    pub error: Option<&'a str>,
    /// How long the last attempt took.
    pub took: Option<Duration>,
    /// When it last gave something.
    pub last_success: Option<SystemTime>,
}

impl<T> Source<T> {
    /// A source that was not asked yet.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        Self { name, outcome: Err("not read yet".to_owned()), took: None, last_success: None }
    }

    /// Its state.
    pub fn health(&self) -> Health<'_> {
        Health {
            name: &self.name,
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
            error: self.price.as_ref().err().map(String::as_str),
            took: None,
            last_success: None,
        };
        let optional = [
            self.nvml.as_ref().map(|nvml| nvml.gpus.health()),
            self.host.as_ref().map(Source::health),
            self.discovery.as_ref().map(Source::health),
            self.state.as_ref().map(Source::health),
        ];
        [self.envoy.health(), price]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(self.engines.iter().map(|engine| engine.stats.health()))
            .collect()
    }
}

/// The last snapshot, shared by the collector that writes it and the server that reads it.
#[derive(Debug)]
pub struct Latest {
    shown: Mutex<Shown>,
    history: Mutex<History>,
    live: Mutex<Live>,
}

#[derive(Debug)]
struct Shown {
    snapshot: Arc<Snapshot>,
    /// The metrics page, written with the snapshot: a scraper waits for nothing but its bytes.
    page: Bytes,
    /// Whether this very page was scraped.
    read: bool,
    /// Written once, when somebody first asks for it: many may look at one snapshot.
    summary: Option<Arc<str>>,
}

impl Shown {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        let page = render::page(&snapshot).into();
        Self { snapshot, page, read: false, summary: None }
    }
}

impl Latest {
    /// Starts with this one.
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            shown: Mutex::new(Shown::new(Arc::new(snapshot))),
            history: Mutex::default(),
            live: Mutex::new(Live::new(SystemTime::now())),
        }
    }

    /// Replaces the snapshot by one that nobody has scraped yet.
    pub fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        self.history.lock().unwrap_or_else(PoisonError::into_inner).record(&snapshot);
        self.frames().record(&snapshot);
        let shown = Shown::new(snapshot);
        *self.shown() = shown;
    }

    /// The snapshot, to look at.
    pub fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shown().snapshot)
    }

    /// The metrics page, for a scraper that remembers what it sees.
    pub fn scrape(&self) -> Bytes {
        let mut shown = self.shown();
        shown.read = true;
        shown.page.clone()
    }

    /// The last hour as JSON.
    pub fn series(&self) -> String {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).json()
    }

    /// The snapshot as the summary's JSON.
    pub fn summary(&self) -> Arc<str> {
        let mut shown = self.shown();
        let Shown { snapshot, summary, .. } = &mut *shown;
        Arc::clone(summary.get_or_insert_with(|| summary::json(snapshot).into()))
    }

    /// What came in after a cursor, and the summary, as JSON.
    pub fn live(&self, cursor: Option<&str>) -> String {
        let summary = self.summary();
        let live = self.frames();
        let (next, frames) = (live.cursor(), live.since(cursor));
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        format!(r#"{{"time":{time:?},"cursor":"{next}","frames":{frames},"now":{summary}}}"#)
    }

    /// Whether the snapshot has been scraped.
    pub fn was_read(&self) -> bool {
        self.shown().read
    }

    fn frames(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
