//! The chart's archive, as `helm package` would make it, but for its clock.

use super::archive::{self, File};
use super::release::Release;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

const CHART: &str = "deploy/helm/gaugeway-agent";

/// All files of the chart that `.helmignore` lets pass, links followed.
pub(super) fn pack(workspace: &Workspace, release: &Release) -> Result<Vec<u8>> {
    let root = workspace.root().join(CHART);
    let ignored =
        fs::read_to_string(root.join(".helmignore")).context("the chart has no .helmignore")?;
    let mut files = Vec::new();
    collect(&root, "", &ignored, &mut files)?;
    for file in &mut files {
        file.path.insert_str(0, "gaugeway-agent/");
    }
    archive::gzip(&archive::tar(&files, release.epoch)?)
}

fn collect(dir: &Path, prefix: &str, ignored: &str, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().display());
        if entry.path().is_dir() {
            let folder = format!("{path}/");
            if !ignored.lines().any(|line| line == folder) {
                collect(&entry.path(), &folder, ignored, files)?;
            }
        } else if !is_ignored(&path, ignored) {
            let content = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.push(File { path, content });
        }
    }
    Ok(())
}

/// Of the forms that `.helmignore` knows, the chart uses folders and `*.EXTENSION`.
fn is_ignored(path: &str, ignored: &str) -> bool {
    let ends = |line: &str| line.strip_prefix('*').is_some_and(|end| path.ends_with(end));
    ignored.lines().any(ends)
}
