//! Prometheus and its checker promtool: from the environment, the PATH, or Debian.

use super::apt;
use crate::shell;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Debian package that has both.
pub(crate) const PACKAGE: &str = "prometheus";

/// Prometheus' binary, where there is one.
pub(crate) fn find() -> Result<Option<PathBuf>> {
    shell::program("PROMETHEUS", "prometheus")
}

/// promtool's binary, where there is one.
pub(crate) fn find_promtool() -> Result<Option<PathBuf>> {
    shell::program("PROMTOOL", "promtool")
}

/// Prometheus and promtool, installed first where one is missing.
pub(crate) fn ensure() -> Result<(PathBuf, PathBuf)> {
    let find_both = || anyhow::Ok(find()?.zip(find_promtool()?));
    if let Some(both) = find_both()? {
        return Ok(both);
    }
    apt::install(PACKAGE).context(
        "no Prometheus: put prometheus and promtool on the PATH, or name them in PROMETHEUS and PROMTOOL",
    )?;
    find_both()?.context("the package prometheus has no prometheus and promtool")
}

/// The version that either binary says it is, such as `2.42.0+ds`.
pub(crate) fn version(program: &Path) -> Option<String> {
    // `prometheus, version 2.42.0+ds (branch: ...`
    let text = shell::output(Command::new(program).arg("--version"))?;
    text.split_whitespace().nth(2).map(str::to_owned)
}
