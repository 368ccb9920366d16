//! Alertmanager and its client amtool: from the environment, the PATH, or Debian.

use super::apt;
use crate::shell;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Debian package that has both.
pub(crate) const PACKAGE: &str = "prometheus-alertmanager";

/// Alertmanager's binary, where there is one. Debian's name for it is longer.
pub(crate) fn find() -> Result<Option<PathBuf>> {
    let program = shell::program("ALERTMANAGER", "alertmanager")?;
    Ok(program.or_else(|| shell::on_path("prometheus-alertmanager")))
}

/// amtool's binary, where there is one.
pub(crate) fn find_amtool() -> Result<Option<PathBuf>> {
    shell::program("AMTOOL", "amtool")
}

/// Alertmanager and amtool, installed first where one is missing.
pub(crate) fn ensure() -> Result<(PathBuf, PathBuf)> {
    let find_both = || anyhow::Ok(find()?.zip(find_amtool()?));
    if let Some(both) = find_both()? {
        return Ok(both);
    }
    apt::install(PACKAGE).context(
        "no Alertmanager: put alertmanager and amtool on the PATH, or name them in ALERTMANAGER and AMTOOL",
    )?;
    find_both()?.context("the package prometheus-alertmanager has no alertmanager and amtool")
}

/// The version that the binary says it is, such as `0.25.0`.
pub(crate) fn version(program: &Path) -> Option<String> {
    // `alertmanager, version 0.25.0 (branch: ...`
    let text = shell::output(Command::new(program).arg("--version"))?;
    text.split_whitespace().nth(2).map(str::to_owned)
}
