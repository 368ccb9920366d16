//! The proof that a build can be repeated: the filter is built again from a copy of the sources in another place.

use super::release::Release;
use super::{Dist, IMAGE, filter};
use crate::shell::step;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;

/// Fails when the module or the image of a second build is another.
pub(super) fn check(workspace: &Workspace, release: &Release, first: &Dist) -> Result<()> {
    step("Building the filter a second time, elsewhere");
    let copy = workspace.target().join("package-check");
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    copy_sources(workspace.root(), &copy)?;
    let second = Dist::at(copy.join("dist"))?;
    filter(&Workspace::at(copy.clone()), release, &second)?;
    for name in ["gaugeway.wasm", &format!("{IMAGE}/index.json")] {
        let read = |dist: &Dist| {
            fs::read(dist.path(name))
                .with_context(|| format!("cannot read {}", dist.path(name).display()))
        };
        ensure!(
            read(first)? == read(&second)?,
            "{name} is another when it is built again: compare {} with {}",
            first.path(name).display(),
            second.path(name).display(),
        );
    }
    fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))
}

/// Copies everything but what is built and what git keeps.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let (name, from) = (entry.file_name(), entry.path());
        if ["target", "dist", ".git"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        let to = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_sources(&from, &to)?;
        } else if from.is_file() {
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}
