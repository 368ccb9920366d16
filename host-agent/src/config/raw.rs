//! The file as it is written, and the checks that turn it into a [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::price::RawPrice;
use super::sources::{RawBudget, RawEngine, budgets, engines, utc_offset};
use super::{Config, NvmlConfig, Refusal};
use crate::cost::{CostConfig, GpuName, MAX_WEIGHT, NO_POOL, PoolSpec, WeightTable, Weights};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(default = "default_listen")]
    listen: SocketAddr,
    #[serde(default = "default_tick", deserialize_with = "duration")]
    tick: Duration,
    #[serde(default)]
    log: RawLevel,
    envoy: RawEnvoy,
    #[serde(default)]
    nvml: RawNvml,
    price: Option<RawPrice>,
    #[serde(default)]
    cost: RawCost,
    #[serde(default)]
    pools: Vec<RawPool>,
    #[serde(default)]
    discovery: RawSwitch,
    #[serde(default)]
    engines: Vec<RawEngine>,
    #[serde(default)]
    host: RawSwitch,
    #[serde(default)]
    budgets: Vec<RawBudget>,
    #[serde(default = "utc")]
    utc_offset: String,
    state_dir: Option<PathBuf>,
}

/// A source that works without being told anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSwitch {
    #[serde(default = "yes")]
    enabled: bool,
}

impl Default for RawSwitch {
    fn default() -> Self {
        Self { enabled: true }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnvoy {
    admin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNvml {
    #[serde(default = "yes")]
    enabled: bool,
    library: Option<PathBuf>,
    #[serde(default)]
    dcgm_names: bool,
}

impl Default for RawNvml {
    fn default() -> Self {
        Self { enabled: true, library: None, dcgm_names: false }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawCost {
    #[serde(deserialize_with = "duration")]
    max_request_duration: Duration,
    #[serde(deserialize_with = "duration")]
    window: Duration,
    min_tokens: u64,
    weights: RawWeights,
    models: BTreeMap<String, RawWeights>,
}

impl Default for RawCost {
    fn default() -> Self {
        Self {
            max_request_duration: Duration::from_mins(15),
            window: Duration::from_hours(1),
            min_tokens: 1000,
            weights: RawWeights::default(),
            models: BTreeMap::new(),
        }
    }
}

/// What is left out has the default weight.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawWeights {
    uncached_input: Option<f64>,
    cached_input: Option<f64>,
    output: Option<f64>,
    /// What work on this model costs against others on the same GPUs.
    relative_cost: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPool {
    name: String,
    #[serde(default)]
    upstreams: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    gpus: Vec<RawGpu>,
}

/// A GPU by index or UUID.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a GPU's index or its UUID")]
enum RawGpu {
    Index(u32),
    Uuid(String),
}

impl From<RawGpu> for GpuName {
    fn from(raw: RawGpu) -> Self {
        match raw {
            RawGpu::Index(index) => Self::Index(index),
            RawGpu::Uuid(uuid) => Self::Uuid(uuid),
        }
    }
}

impl TryFrom<RawConfig> for Config {
    type Error = Refusal;

    fn try_from(raw: RawConfig) -> Result<Self, Refusal> {
        within("tick", raw.tick, Duration::from_millis(100), Duration::from_mins(1))?;
        let envoy =
            raw.envoy.admin.parse().map_err(|why: String| Refusal::new("envoy.admin", why))?;
        let RawNvml { enabled, library, dcgm_names } = raw.nvml;
        // Checked with or without a price, so that adding one cannot bring an old mistake to light.
        let configured_pools = raw.pools.len();
        let pools = pools(raw.pools)?;
        let weights = raw.cost.weight_table()?;
        let minute = Duration::from_mins(1);
        let day = Duration::from_hours(24);
        within("cost.max_request_duration", raw.cost.max_request_duration, minute, day)?;
        within("cost.window", raw.cost.window, minute, day)?;
        let cost = CostConfig {
            pools,
            weights,
            max_request_duration: raw.cost.max_request_duration,
            window: raw.cost.window,
            min_tokens: raw.cost.min_tokens,
        };
        let budgets = budgets(raw.budgets)?;
        if !budgets.is_empty() && raw.state_dir.is_none() {
            return Err(Refusal::new("state_dir", "budgets need a folder to be kept in; name one"));
        }
        Ok(Self {
            listen: raw.listen,
            tick: raw.tick,
            log: match raw.log {
                RawLevel::Off => log::LevelFilter::Off,
                RawLevel::Error => log::LevelFilter::Error,
                RawLevel::Warn => log::LevelFilter::Warn,
                RawLevel::Info => log::LevelFilter::Info,
                RawLevel::Debug => log::LevelFilter::Debug,
            },
            envoy,
            nvml: enabled.then_some(NvmlConfig { library, dcgm_names }),
            price: raw.price.map(RawPrice::check).transpose()?,
            cost,
            discovery: raw.discovery.enabled && configured_pools == 0,
            engines: engines(raw.engines)?,
            host: raw.host.enabled,
            budgets,
            utc_offset: utc_offset(&raw.utc_offset)?,
            state_dir: raw.state_dir,
            web_config: None,
            proc: PathBuf::from("/proc"),
        })
    }
}

impl RawCost {
    fn weight_table(&self) -> Result<WeightTable, Refusal> {
        let default = self.weights.over(Weights::default(), "cost.weights")?;
        let models = self.models.iter().map(|(model, raw)| {
            Ok((model.clone(), raw.over(default, &format!("cost.models.{model:?}"))?))
        });
        Ok(WeightTable { default, models: models.collect::<Result<_, _>>()? })
    }
}

impl RawWeights {
    fn over(&self, default: Weights, key: &str) -> Result<Weights, Refusal> {
        use crate::cost::TokenType::{CachedInput, Output, UncachedInput};
        Weights::new(
            self.uncached_input.unwrap_or_else(|| default.weight(UncachedInput)),
            self.cached_input.unwrap_or_else(|| default.weight(CachedInput)),
            self.output.unwrap_or_else(|| default.weight(Output)),
        )
        .and_then(|weights| weights.scaled(self.relative_cost.unwrap_or(1.0)))
        .ok_or_else(|| {
            Refusal::new(key, format!("weights must be 0 to {MAX_WEIGHT}, one of them above 0"))
        })
    }
}

/// Without pools the whole host is one.
fn pools(raw: Vec<RawPool>) -> Result<Vec<PoolSpec>, Refusal> {
    if raw.is_empty() {
        return Ok(vec![PoolSpec::whole_host()]);
    }
    let (mut names, mut gpus) = (BTreeSet::new(), BTreeSet::new());
    let several = raw.len() > 1;
    let name_gpus = raw.iter().any(|pool| !pool.gpus.is_empty());
    let mut pools = Vec::with_capacity(raw.len());
    for (place, pool) in raw.into_iter().enumerate() {
        let refuse =
            |key: &str, reason: String| Refusal::new(format!("pools[{place}].{key}"), reason);
        if pool.name.is_empty() || pool.name == NO_POOL {
            return Err(refuse("name", format!("must not be empty or `{NO_POOL}`")));
        }
        if !names.insert(pool.name.clone()) {
            return Err(refuse("name", format!("another pool is called `{}`", pool.name)));
        }
        if several && pool.upstreams.is_empty() && pool.models.is_empty() {
            let reason = "name the pool's upstreams or models, or its traffic cannot be told from the others'";
            return Err(refuse("upstreams", reason.to_owned()));
        }
        if name_gpus && pool.gpus.is_empty() {
            return Err(refuse("gpus", "name the GPUs of every pool or of none".to_owned()));
        }
        let own: Vec<GpuName> = pool.gpus.into_iter().map(Into::into).collect();
        if let Some(taken) = own.iter().find(|gpu| !gpus.insert((*gpu).clone())) {
            let reason =
                format!("GPU {taken} is listed twice; models that share a GPU are one pool");
            return Err(refuse("gpus", reason));
        }
        pools.push(PoolSpec {
            name: pool.name,
            upstreams: pool.upstreams,
            models: pool.models,
            gpus: name_gpus.then_some(own),
        });
    }
    Ok(pools)
}

fn within(key: &str, value: Duration, least: Duration, most: Duration) -> Result<(), Refusal> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::new(key, format!("must be from {least:?} to {most:?}, is {value:?}")))
}

/// Reads `500ms`, `5s`, `15m` or `1h`.
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let (digits, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => {
            return Err(de::Error::custom(format!(
                "`{text}` is no duration like 500ms, 5s, 15m or 1h"
            )));
        }
    };
    let count = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(millis));
    count.map(Duration::from_millis).ok_or_else(|| {
        de::Error::custom(format!("`{text}` is no duration like 500ms, 5s, 15m or 1h"))
    })
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9464))
}

fn default_tick() -> Duration {
    Duration::from_secs(5)
}

fn utc() -> String {
    "UTC".to_owned()
}

fn yes() -> bool {
    true
}
