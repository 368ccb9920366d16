//! Chromium and its WebDriver, from the environment, the PATH, or Debian; and axe-core, from npm, which
//! looks for what keeps people from using a page.

use super::apt;
use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Debian packages that have the two.
pub(crate) const PACKAGES: &str = "chromium chromium-driver";
const AXE: &str = "axe-core@4.14.1";

/// What the tests of the page are given.
pub(crate) struct Chromium {
    /// The browser.
    pub(crate) browser: PathBuf,
    /// What drives it.
    pub(crate) driver: PathBuf,
}

/// Browser and driver, where both are there.
pub(crate) fn find() -> Result<Option<Chromium>> {
    let browser = shell::program("CHROMIUM", "chromium")?;
    let driver = shell::program("CHROMEDRIVER", "chromedriver")?;
    Ok(browser.zip(driver).map(|(browser, driver)| Chromium { browser, driver }))
}

/// As [`find`], installed first where one is missing; axe-core too.
pub(crate) fn ensure(workspace: &Workspace) -> Result<Chromium> {
    ensure_axe(workspace)?;
    if let Some(chromium) = find()? {
        return Ok(chromium);
    }
    apt::install(PACKAGES).context(
        "no Chromium: put chromium and chromedriver on the PATH, or name them in CHROMIUM and CHROMEDRIVER",
    )?;
    find()?.context("the packages of Chromium have no chromium and chromedriver")
}

/// The version that the browser says it is, such as `156.0.8078.79`.
pub(crate) fn version(browser: &Path) -> Option<String> {
    // `Chromium 156.0.8078.79 built on ...`
    let text = shell::output(Command::new(browser).arg("--version"))?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

/// Puts `axe.min.js` under `target/real`, whole or not at all.
fn ensure_axe(workspace: &Workspace) -> Result<()> {
    let dir = workspace.real().join("axe-core");
    if dir.join("node_modules/axe-core/axe.min.js").is_file() {
        return Ok(());
    }
    if shell::on_path("npm").is_none() {
        apt::install("npm").context("npm fetches axe-core, which the tests of the page need")?;
    }
    step("Installing axe-core into target/real");
    let partial = workspace.real().join("axe-core.partial");
    for old in [&partial, &dir] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&partial)
        .arg(AXE)
        .stdout(std::io::stderr());
    shell::run(&mut npm).context("npm could not fetch axe-core")?;
    fs::rename(&partial, &dir).with_context(|| format!("cannot make {}", dir.display()))
}
