//! The agent's configuration: one TOML file, read once, refused as a whole when a part is wrong.

mod raw;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cost::CostConfig;
use crate::envoy::AdminAddress;
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
    pub envoy: AdminAddress,
    /// GPU telemetry; `None` when it is switched off.
    pub nvml: Option<NvmlConfig>,
    /// The cost model; `None` without a price, for a price is never guessed.
    pub cost: Option<CostConfig>,
}

/// Where NVML comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NvmlConfig {
    /// Path of `libnvidia-ml.so.1`; the loader's search path when absent.
    pub library: Option<PathBuf>,
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

    fn parse(text: &str) -> Result<Self, Refusal> {
        let raw =
            toml::Deserializer::parse(text).map_err(|error| Refusal::of_toml(text, &error))?;
        let raw: RawConfig = serde_path_to_error::deserialize(raw).map_err(|error| {
            let key = error.path().to_string();
            match key.as_str() {
                "." => Refusal::of_toml(text, error.inner()),
                _ => Refusal::new(key, error.inner().message()),
            }
        })?;
        raw.try_into()
    }
}

/// A key and what is wrong with it.
#[derive(Debug, PartialEq)]
struct Refusal {
    key: String,
    reason: String,
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
