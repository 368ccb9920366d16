//! The file as it is written, and the checks that turn it into a [`Config`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::cost::{RawCost, RawPool};
use super::price::RawPrice;
use super::sources::{RawBudget, RawEngine, budgets, engines, utc_offset};
use super::{Config, NvmlConfig, Refusal};

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

impl TryFrom<RawConfig> for Config {
    type Error = Refusal;

    fn try_from(raw: RawConfig) -> Result<Self, Refusal> {
        within("tick", raw.tick, Duration::from_millis(100), Duration::from_mins(1))?;
        let envoy =
            raw.envoy.admin.parse().map_err(|why: String| Refusal::new("envoy.admin", why))?;
        let RawNvml { enabled, library, dcgm_names } = raw.nvml;
        let configured_pools = raw.pools.len();
        let cost = raw.cost.check(raw.pools)?;
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

pub(super) fn within(
    key: &str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<(), Refusal> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::new(key, format!("must be from {least:?} to {most:?}, is {value:?}")))
}

/// Reads `500ms`, `5s`, `15m` or `1h`.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
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
