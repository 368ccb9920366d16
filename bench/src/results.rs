//! Results as files: what was measured, on what, and when.

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// A result and the circumstances of its making.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Measured<T> {
    /// Day of the measurement, UTC.
    pub(crate) date: String,
    /// Processor and number of cores.
    pub(crate) machine: String,
    /// wasm-opt's version, which decides what the filter's instructions are; absent without it.
    pub(crate) wasm_opt: Option<String>,
    /// What was measured.
    pub(crate) result: T,
}

impl<T> Measured<T> {
    /// A result of here and now.
    pub(crate) fn now(result: T) -> Self {
        let wasm_opt = wasm_opt();
        Self { date: today(), machine: machine(), wasm_opt, result }
    }
}

/// Writes a result as `NAME.json`.
pub(crate) fn write<T: Serialize>(dir: &Path, name: &str, result: T) -> Result<()> {
    let file = dir.join(format!("{name}.json"));
    let json = serde_json::to_string_pretty(&Measured::now(result))?;
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(&file, json + "\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("written: {}", file.display());
    Ok(())
}

/// Reads what [`write()`] has written.
pub(crate) fn read<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<Measured<T>> {
    let file = dir.join(format!("{name}.json"));
    let json = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&json).with_context(|| format!("{} is no result", file.display()))
}

/// What `wasm-opt --version` says.
pub(crate) fn wasm_opt() -> Option<String> {
    let output = Command::new("wasm-opt").arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |line: &str| line.split(':').nth(1).map(|value| value.trim().to_owned());
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(field);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", model.as_deref().unwrap_or(std::env::consts::ARCH))
}

fn today() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let days = seconds.map_or(0, |time| time.as_secs() / 86_400);
    // Days since 1970-01-01 to a date, as the Gregorian calendar repeats each 400 years.
    let mut day = i64::try_from(days).unwrap_or(0) + 719_468;
    let era = day.div_euclid(146_097);
    day -= era * 146_097;
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (year + era * 400, month + 3),
        _ => (year + era * 400 + 1, month - 9),
    };
    format!("{year:04}-{month:02}-{day:02}")
}

/// The value below which that share of sorted values lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an index into a list"
)]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}
