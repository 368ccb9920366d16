//! One tick: every source is read under its deadline, the bill is taken apart, a snapshot is made.

mod reading;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::budget::{Budgets, Month};
use crate::config::Config;
use crate::cost::{Calibration, CostConfig, CostEngine, Spending, Tick};
use crate::discovery::{Discovery, Found};
use crate::engines::{Difference, EngineConfig, Reconciler};
use crate::envoy::EnvoyStats;
use crate::gpu::{GpuReading, GpuWatch, NvmlSource};
use crate::host::{HostSource, HostStats};
use crate::http::Address;
use crate::price::{Price, PriceConfig, Pricing};
use crate::snapshot::{Engine, Latest, Nvml, Snapshot, Source};
use crate::state::{Moment, Saver, State, Store};
use reading::{read_engines, read_envoy, update};

/// Reads the sources and remembers what must outlive a tick.
#[derive(Debug)]
pub(crate) struct Collector {
    admin: Address,
    envoy: Source<EnvoyStats>,
    envoy_parse_errors: u64,
    told_of_missing_tags: bool,
    gpus: Option<(GpuWatch, Source<GpuReading>)>,
    dcgm_names: bool,
    host: Option<(HostSource, Source<HostStats>)>,
    discovery: Option<(Discovery, Source<Found>)>,
    engines: Vec<(EngineConfig, Engine)>,
    reconciler: Reconciler,
    new_price: watch::Receiver<Option<PriceConfig>>,
    pricing: Pricing,
    price: Result<Price, String>,
    cost: CostConfig,
    /// Since there has been a price.
    engine: Option<CostEngine>,
    budgets: Budgets,
    state: Option<(Saver, Source<()>)>,
    proc: std::path::PathBuf,
    /// How long the agent did not run before it started; charged once.
    away: Duration,
    /// What an earlier run learned; taken by the engine.
    learned: Option<Calibration>,
    utc_offset: i64,
    billed_until: Instant,
}

impl Collector {
    /// Starts the GPU thread and reads the saved state. The bill runs from here on. Prices that
    /// change come through `new_price`.
    pub(crate) fn new(
        config: Config,
        new_price: watch::Receiver<Option<PriceConfig>>,
    ) -> std::io::Result<Self> {
        let watch = |nvml| GpuWatch::start(NvmlSource::new(nvml), config.tick);
        let store = config.state_dir.map(Store::new);
        let saved = store.as_ref().map(Store::load).transpose()?.unwrap_or_default();
        let proc = config.proc;
        let away = saved.last_tick.zip(Moment::now(&proc));
        let engine = |config: EngineConfig| {
            let engine = Engine {
                name: config.name.clone(),
                upstream: config.upstream.clone(),
                stats: Source::new(format!("engine:{}", config.name)),
                parse_errors: 0,
            };
            (config, engine)
        };
        Ok(Self {
            envoy: Source::new("envoy"),
            envoy_parse_errors: 0,
            told_of_missing_tags: false,
            dcgm_names: config.nvml.as_ref().is_some_and(|nvml| nvml.dcgm_names),
            gpus: config.nvml.map(watch).transpose()?.map(|watch| (watch, Source::new("nvml"))),
            host: config.host.then(|| (HostSource::new(proc.clone()), Source::new("host"))),
            discovery: config.discovery.then(|| {
                let discovery = Discovery::new(config.envoy.clone(), proc.clone());
                (discovery, Source::new("discovery"))
            }),
            admin: config.envoy,
            engines: config.engines.into_iter().map(engine).collect(),
            reconciler: Reconciler::default(),
            new_price,
            pricing: Pricing::new(config.price),
            price: Err("not known yet".to_owned()),
            cost: config.cost,
            engine: None,
            budgets: Budgets::new(
                config.budgets,
                config.utc_offset,
                &saved.budgets,
                unix_seconds(SystemTime::now()),
            ),
            state: store.map(|store| (Saver::new(store), Source::new("state"))),
            proc,
            away: away.map_or(Duration::ZERO, |(then, now)| now.running_since(&then)),
            learned: saved.calibration,
            utc_offset: config.utc_offset,
            billed_until: Instant::now(),
        })
    }

    /// What there is to show before the first tick.
    pub(crate) async fn first_snapshot(&mut self) -> Snapshot {
        self.find_price().await;
        self.snapshot(None, BTreeMap::new())
    }

    /// Reads every source once. `latest` is where the last snapshot was shown.
    pub(crate) async fn tick(&mut self, latest: &Latest) -> Snapshot {
        tokio::join!(read_envoy(&self.admin, &mut self.envoy), read_engines(&mut self.engines),);
        self.count_parse_errors();
        self.read_gpus();
        self.read_host();
        self.discover().await;
        self.find_price().await;
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.billed_until, now);
        let gateway = self.envoy.outcome.as_deref().ok();
        let compared: Vec<_> = self
            .engines
            .iter()
            .filter_map(|(_, engine)| {
                Some((engine.upstream.as_deref()?, engine.stats.outcome.as_deref().ok()))
            })
            .collect();
        let differences = self.reconciler.advance(elapsed, gateway, &compared);
        let taken_at = SystemTime::now();
        if let Some(engine) = &mut self.engine {
            engine.in_period(Month::of(unix_seconds(taken_at), self.utc_offset).start);
        }
        let spending = self.bill(elapsed, latest.was_read());
        self.budgets.tick(unix_seconds(taken_at), &spending);
        // Before it is shown, so that what was shown is never more than what a crash leaves.
        self.save().await;
        self.snapshot(Some(taken_at), differences)
    }

    fn count_parse_errors(&mut self) {
        if let Ok(stats) = &self.envoy.outcome {
            self.envoy_parse_errors += stats.skipped.total();
            if stats.skipped.untagged > 0 && !self.told_of_missing_tags {
                self.told_of_missing_tags = true;
                log::warn!(
                    "the filter's stats cannot be read: labels stand in their names; \
                     add the project's stats_tags to Envoy's bootstrap"
                );
            }
        }
        for (_, engine) in &mut self.engines {
            engine.parse_errors +=
                engine.stats.outcome.as_ref().map_or(0, |stats| stats.unreadable);
        }
    }

    fn read_gpus(&mut self) {
        let Some((watch, source)) = &mut self.gpus else { return };
        match watch.latest(Instant::now().into_std()) {
            Ok((reading, took)) => update(source, Ok(reading), Some(took)),
            Err(stale) => update(source, Err(stale.to_string()), None),
        }
    }

    fn read_host(&mut self) {
        let Some((host, source)) = &mut self.host else { return };
        let asked = Instant::now();
        let outcome = host.read().map_err(|error| error.to_string());
        update(source, outcome, Some(asked.elapsed()));
    }

    /// Looks for pools where the GPUs' processes can be seen. Until some were found the configured
    /// one stands; from then on the pools are what is found.
    async fn discover(&mut self) {
        let Some((discovery, source)) = &mut self.discovery else { return };
        let Some((_, gpus)) = &self.gpus else { return };
        let Ok(gpus) = gpus.outcome.as_deref() else { return };
        let asked = Instant::now();
        let Some(outcome) = discovery.look(gpus).await else { return };
        update(source, outcome, Some(asked.elapsed()));
        let Ok(found) = &source.outcome else { return };
        let found_before = self.cost.pools.iter().all(|pool| pool.gpus.is_some());
        if found.pools.is_empty() && !found_before {
            return;
        }
        self.cost.pools.clone_from(&found.pools);
        if let Some(engine) = &mut self.engine {
            engine.set_pools(found.pools.clone());
        }
    }

    /// Follows the price, and starts the cost model with the first one that is known.
    async fn find_price(&mut self) {
        if self.new_price.has_changed().unwrap_or(false) {
            self.pricing.reload(self.new_price.borrow_and_update().clone());
        }
        self.price = self.pricing.now().await;
        if self.price.is_ok() && self.engine.is_none() {
            let mut engine = CostEngine::new(self.cost.clone());
            engine.charge_absence(std::mem::take(&mut self.away));
            engine.resume(self.learned.take().unwrap_or_default());
            self.engine = Some(engine);
        }
    }

    /// Bills one tick. While the price is not known nothing accrues, and no cost is shown.
    fn bill(&mut self, elapsed: Duration, page_read: bool) -> Spending {
        let (Some(engine), Ok(price)) = (&mut self.engine, &self.price) else {
            return Spending::default();
        };
        engine.tick(&Tick {
            elapsed,
            rates: price.rates,
            gateway: self.envoy.outcome.as_deref().ok(),
            gpus: self.gpus.as_ref().and_then(|(_, source)| source.outcome.as_deref().ok()),
            page_read,
        })
    }

    async fn save(&mut self) {
        let Some((saver, source)) = &mut self.state else { return };
        let asked = Instant::now();
        let state = State {
            last_tick: Moment::now(&self.proc),
            budgets: self.budgets.books().to_vec(),
            // Before there was a price, what an earlier run learned is kept as it is.
            calibration: match &self.engine {
                Some(engine) => engine.calibration().cloned(),
                None => self.learned.clone(),
            },
        };
        let outcome = saver.save(state).await;
        update(source, outcome, Some(asked.elapsed()));
    }

    fn snapshot(
        &self,
        taken_at: Option<SystemTime>,
        differences: BTreeMap<String, Difference>,
    ) -> Snapshot {
        let engine = self.engine.as_ref().filter(|_| self.price.is_ok());
        Snapshot {
            taken_at,
            envoy: self.envoy.clone(),
            envoy_parse_errors: self.envoy_parse_errors,
            nvml: self.gpus.as_ref().map(|(watch, gpus)| Nvml {
                gpus: gpus.clone(),
                log: watch.log(),
                dcgm_names: self.dcgm_names,
            }),
            price: self.price.clone(),
            cost: engine.map(CostEngine::report),
            engines: self.engines.iter().map(|(_, engine)| engine.clone()).collect(),
            differences,
            host: self.host.as_ref().map(|(_, source)| source.clone()),
            pools: self.cost.pools.clone(),
            discovery: self.discovery.as_ref().map(|(_, source)| source.clone()),
            budgets: self.budgets.report(unix_seconds(taken_at.unwrap_or_else(SystemTime::now))),
            state: self.state.as_ref().map(|(_, source)| source.clone()),
        }
    }
}

fn unix_seconds(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
