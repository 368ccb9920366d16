//! The agent's configuration: one TOML file, read once, refused as a whole when a part is wrong.

mod cost;
mod price;
mod raw;
mod sources;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::budget::BudgetSpec;
use crate::cost::CostConfig;
use crate::engines::EngineConfig;
use crate::http::Address;
use crate::price::PriceConfig;
use raw::RawConfig;

/// A configuration that makes sense.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the page is served.
    pub listen: SocketAddr,
    /// How often the sources are read.
    pub tick: Duration,
    /// How much is logged.
    pub log: log::LevelFilter,
    /// Envoy's admin listener.
    pub envoy: Address,
    /// GPU telemetry; `None` when it is switched off.
    pub nvml: Option<NvmlConfig>,
    /// What the host costs; `None` without a price, for a price is never guessed.
    pub price: Option<PriceConfig>,
    /// The cost model.
    pub cost: CostConfig,
    /// Whether pools are looked for.
    pub discovery: bool,
    /// Serving engines whose own metrics are read.
    pub engines: Vec<EngineConfig>,
    /// Whether the machine's own figures are read.
    pub host: bool,
    /// Monthly budgets.
    pub budgets: Vec<BudgetSpec>,
    /// Where months begin, in seconds ahead of UTC.
    pub utc_offset: i64,
    /// Where budgets and the time of the last tick are kept; `None` keeps nothing.
    pub state_dir: Option<PathBuf>,
    /// The exporters' shared web configuration: TLS and basic auth. Given on the command line.
    pub web_config: Option<PathBuf>,
    /// The kernel's files, for host figures and discovery.
    pub proc: PathBuf,
}

/// Where NVML comes from, and how it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NvmlConfig {
    /// Path of `libnvidia-ml.so.1`; the loader's search path when absent.
    pub library: Option<PathBuf>,
    /// Whether the page also has the names of NVIDIA's DCGM exporter.
    pub dcgm_names: bool,
}

/// Why a configuration is refused. One line: the file, the key, the reason.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key is unknown, has the wrong type or a value that makes no sense.
    #[error("{}: {key}: {reason}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The key's path, such as `price.usd_per_hour`; the place in the file where it is no TOML.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl Config {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Self::parse(&text).map_err(|Refusal { key, reason }| ConfigError::Invalid {
            file: file.to_owned(),
            key,
            reason,
        })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let raw =
            toml::Deserializer::parse(text).map_err(|error| Refusal::of_toml(text, &error))?;
        let raw: RawConfig = serde_path_to_error::deserialize(raw).map_err(|error| {
            let key = error.path().to_string();
            match key.as_str() {
                // The file as a whole, or a key that has no name.
                "." | "" => Refusal::of_toml(text, error.inner()),
                _ => Refusal::new(key, error.inner().message()),
            }
        })?;
        raw.try_into()
    }
}

/// A key and what is wrong with it.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) key: String,
    pub(crate) reason: String,
}

impl Refusal {
    fn new(key: impl Into<String>, reason: impl AsRef<str>) -> Self {
        // One line, whatever the reason quotes.
        let reason = reason.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { key: key.into(), reason }
    }

    fn of_toml(text: &str, error: &toml::de::Error) -> Self {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        Self::new(format!("line {line}"), error.message())
    }
}

#[cfg(test)]
mod tests;
