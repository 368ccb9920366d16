//! Where things lie in the checkout.

use anyhow::{Context as _, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that this program was started from. Cargo names it at run time, so that a moved
    /// checkout is found again.
    pub(crate) fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`")?;
        let root = Path::new(&manifest).parent().context("xtask/ lies in the checkout")?;
        Ok(Self { root: root.to_owned() })
    }

    /// A checkout, or a copy of one, in this folder.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its root folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that is built or generated.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Real components that the tasks have installed.
    pub(crate) fn real(&self) -> PathBuf {
        self.target().join("real")
    }

    /// The filter, as Envoy loads it.
    pub(crate) fn wasm(&self) -> PathBuf {
        self.target().join("gaugeway.wasm")
    }

    /// What the demo writes.
    pub(crate) fn demo(&self) -> PathBuf {
        self.target().join("demo")
    }

    /// Cargo in the checkout, building into [`Self::target`] whatever the user's own setting is, because
    /// the results are looked for there.
    pub(crate) fn cargo<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(args).current_dir(&self.root).env("CARGO_TARGET_DIR", self.target());
        cargo
    }
}
