//! Debian packages, for the few things that neither cargo nor pip can install.

use crate::shell::{self, step};
use anyhow::{Result, bail};
use std::io;
use std::process::Command;

/// Installs packages, spaces between them, when that can be done without asking: as root, on Debian and its children.
/// Otherwise the error says what to run.
pub(crate) fn install(packages: &str) -> Result<()> {
    if !can_install() {
        bail!("install it with: {}", command(packages));
    }
    step(&format!("Installing from Debian: {packages}"));
    apt_get(&["update", "-qq"])?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    apt_get(&install.into_iter().chain(packages.split(' ')).collect::<Vec<_>>())
}

/// The command by which a user installs packages.
pub(crate) fn command(packages: &str) -> String {
    format!("sudo apt-get install --no-install-recommends {packages}")
}

fn can_install() -> bool {
    rustix::process::geteuid().is_root() && shell::on_path("apt-get").is_some()
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    shell::run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(io::stderr()))
}
