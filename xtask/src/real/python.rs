//! Python's virtual environments: a package index is the one place that has Envoy's binary for everyone.

use super::apt;
use crate::shell;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes a virtual environment with these packages at `dir`, finished by `finish`.
///
/// It is made beside `dir` and renamed last, so that `dir` is there whole or not at all.
pub(crate) fn venv(
    dir: &Path,
    packages: &[&str],
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    require_venv()?;
    let mut partial = dir.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    for old in [&partial, dir] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(&partial).stdout(io::stderr()))?;
    pip(&partial, "install").args(packages).run()?;
    finish(&partial)?;
    fs::rename(&partial, dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// A pip command of the virtual environment at `venv`.
pub(crate) fn pip(venv: &Path, command: &str) -> Pip {
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", command, "--quiet", "--no-input", "--disable-pip-version-check"]);
    Pip(pip)
}

/// A pip command that is being put together.
pub(crate) struct Pip(Command);

impl Pip {
    /// Adds arguments.
    pub(crate) fn args<A: AsRef<std::ffi::OsStr>>(
        mut self,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        self.0.args(args);
        self
    }

    /// Runs it.
    pub(crate) fn run(mut self) -> Result<()> {
        shell::run(self.0.stdout(io::stderr())).context("pip could not fetch what is needed")
    }
}

/// A file among the packages of the virtual environment at `venv`. Their folder carries Python's version.
pub(crate) fn packaged(venv: &Path, file: &str) -> Option<PathBuf> {
    let pythons = fs::read_dir(venv.join("lib")).ok()?.flatten();
    pythons.map(|python| python.path().join("site-packages").join(file)).find(|path| path.is_file())
}

/// Whether python3 can make virtual environments; Debian ships that part apart.
pub(crate) fn can_make_venvs() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import venv, ensurepip"]).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

fn require_venv() -> Result<()> {
    if can_make_venvs() {
        return Ok(());
    }
    apt::install("python3-venv")
        .context("python3 is missing or cannot make virtual environments")?;
    if !can_make_venvs() {
        bail!("python3 cannot make virtual environments, though python3-venv is installed");
    }
    Ok(())
}
