//! The `[cost]` section and the `[[pools]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::Refusal;
use super::raw::{duration, within};
use crate::cost::{CostConfig, GpuName, MAX_WEIGHT, NO_POOL, PoolSpec, WeightTable, Weights};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCost {
    #[serde(deserialize_with = "duration")]
    max_request_duration: Duration,
    #[serde(deserialize_with = "duration")]
    window: Duration,
    min_tokens: u64,
    calibrate: bool,
    weights: RawWeights,
    models: BTreeMap<String, RawWeights>,
}

impl Default for RawCost {
    fn default() -> Self {
        Self {
            max_request_duration: Duration::from_mins(15),
            window: Duration::from_hours(1),
            min_tokens: 1000,
            calibrate: false,
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
pub(super) struct RawPool {
    name: String,
    #[serde(default)]
    upstreams: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    gpus: Vec<RawGpu>,
}

/// A GPU by index or UUID, or a MIG instance by UUID.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a GPU's index, its UUID or a MIG instance's UUID")]
enum RawGpu {
    Index(u32),
    Uuid(String),
}

impl From<RawGpu> for GpuName {
    fn from(raw: RawGpu) -> Self {
        match raw {
            RawGpu::Index(index) => Self::Index(index),
            RawGpu::Uuid(uuid) => Self::of_uuid(uuid),
        }
    }
}

impl RawCost {
    /// With the pools, which are checked with or without a price: adding one must not bring an old
    /// mistake to light.
    pub(super) fn check(self, pools: Vec<RawPool>) -> Result<CostConfig, Refusal> {
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        within("cost.max_request_duration", self.max_request_duration, minute, day)?;
        within("cost.window", self.window, minute, day)?;
        Ok(CostConfig {
            pools: self::pools(pools)?,
            weights: self.weight_table()?,
            max_request_duration: self.max_request_duration,
            window: self.window,
            min_tokens: self.min_tokens,
            calibrate: self.calibrate,
        })
    }

    fn weight_table(&self) -> Result<WeightTable, Refusal> {
        let default = self.weights.over(Weights::default(), "cost.weights")?;
        let models = self.models.iter().map(|(model, raw)| {
            Ok((model.clone(), raw.over(default, &format!("cost.models.{model:?}"))?))
        });
        Ok(WeightTable {
            default,
            models: models.collect::<Result<_, _>>()?,
            learned: BTreeMap::new(),
        })
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
