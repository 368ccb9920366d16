//! Debian packages, for the few things that neither cargo nor pip can install.

use crate::shell::{self, step};
use anyhow::{Result, bail};
use std::io;
use std::process::Command;

/// Installs a package when that can be done without asking: as root, on Debian and its children.
/// Otherwise the error says what to run.
pub(crate) fn install(package: &str) -> Result<()> {
    if !can_install() {
        bail!("install it with: {}", command(package));
    }
    step(&format!("Installing the Debian package {package}"));
    apt_get(&["update", "-qq"])?;
    apt_get(&["install", "-y", "-qq", "--no-install-recommends", package])
}

/// The command by which a user installs a package.
pub(crate) fn command(package: &str) -> String {
    format!("sudo apt-get install --no-install-recommends {package}")
}

fn can_install() -> bool {
    rustix::process::geteuid().is_root() && shell::on_path("apt-get").is_some()
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    shell::run(apt.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(io::stderr()))
}
