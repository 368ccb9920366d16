//! One tick: every source is read under its deadline, the bill is taken apart, a snapshot is made.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::config::Config;
use crate::cost::{CostEngine, Tick};
use crate::envoy::{self, AdminAddress, EnvoyStats};
use crate::gpu::{GpuReading, GpuWatch, NvmlSource};
use crate::snapshot::{Latest, Nvml, Snapshot, Source};

/// Reads the sources and remembers what must outlive a tick.
#[derive(Debug)]
pub(crate) struct Collector {
    admin: AdminAddress,
    envoy: Source<EnvoyStats>,
    envoy_parse_errors: u64,
    told_of_missing_tags: bool,
    gpus: Option<(GpuWatch, Source<GpuReading>)>,
    engine: Option<CostEngine>,
    billed_until: Instant,
}

impl Collector {
    /// Starts the GPU thread. The bill runs from here on.
    pub(crate) fn new(config: Config) -> std::io::Result<Self> {
        let watch = |nvml| GpuWatch::start(NvmlSource::new(nvml), config.tick);
        Ok(Self {
            admin: config.envoy,
            envoy: Source::new("envoy"),
            envoy_parse_errors: 0,
            told_of_missing_tags: false,
            gpus: config.nvml.map(watch).transpose()?.map(|watch| (watch, Source::new("nvml"))),
            engine: config.cost.map(CostEngine::new),
            billed_until: Instant::now(),
        })
    }

    /// What there is to show before the first tick.
    pub(crate) fn first_snapshot(&self) -> Snapshot {
        self.snapshot(None)
    }

    /// Reads every source once. `latest` is where the last snapshot was shown.
    pub(crate) async fn tick(&mut self, latest: &Latest) -> Snapshot {
        self.read_envoy().await;
        self.read_gpus();
        // No await from here to the caller's publish: a scrape in between would see the last
        // snapshot and be taken for one of this.
        let page_read = latest.take_read();
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.billed_until, now);
        if let Some(engine) = &mut self.engine {
            let gpus = self.gpus.as_ref().and_then(|(_, source)| source.outcome.as_ref().ok());
            engine.tick(&Tick {
                elapsed,
                gateway: self.envoy.outcome.as_ref().ok(),
                gpus: gpus.map(GpuReading::count),
                page_read,
            });
        }
        self.snapshot(Some(SystemTime::now()))
    }

    async fn read_envoy(&mut self) {
        let asked = Instant::now();
        let outcome = envoy::collect(&self.admin).await;
        let outcome = outcome.map_err(|error| format!("{}: {error}", self.admin));
        if let Ok(stats) = &outcome {
            self.envoy_parse_errors += stats.skipped.total();
            if stats.skipped.untagged > 0 && !self.told_of_missing_tags {
                self.told_of_missing_tags = true;
                log::warn!(
                    "the filter's stats cannot be read: labels stand in their names; \
                     add the project's stats_tags to Envoy's bootstrap"
                );
            }
        }
        update(&mut self.envoy, outcome, Some(asked.elapsed()));
    }

    fn read_gpus(&mut self) {
        let Some((watch, source)) = &mut self.gpus else { return };
        match watch.latest(Instant::now().into_std()) {
            Ok((reading, took)) => update(source, Ok(reading), Some(took)),
            Err(stale) => update(source, Err(stale.to_string()), None),
        }
    }

    fn snapshot(&self, taken_at: Option<SystemTime>) -> Snapshot {
        Snapshot {
            taken_at,
            envoy: self.envoy.clone(),
            envoy_parse_errors: self.envoy_parse_errors,
            nvml: self.gpus.as_ref().map(|(watch, gpus)| Nvml {
                gpus: gpus.clone(),
                init_failures: watch.init_failures(),
            }),
            cost: self.engine.as_ref().map(CostEngine::report),
        }
    }
}

/// Takes a new outcome in; says so once when a source goes down or comes back.
fn update<T>(source: &mut Source<T>, outcome: Result<T, String>, took: Option<Duration>) {
    match (&source.outcome, &outcome) {
        (Err(_), Ok(_)) => log::info!("source {} is up", source.name),
        (Ok(_), Err(error)) => log::warn!("source {} is down: {error}", source.name),
        (Err(before), Err(error)) if before != error => {
            log::warn!("source {} is down: {error}", source.name);
        }
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
    }
    source.last_success =
        if outcome.is_ok() { Some(SystemTime::now()) } else { source.last_success };
    source.took = took;
    source.outcome = outcome;
}
