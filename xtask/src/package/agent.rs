//! The agent: its binary, what it is made of, and the file that makes a container of it.

use super::release::Release;
use super::{Dist, sbom, sha256};
use crate::shell::{self, step};
use crate::wasm;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

const DOCKERFILE: &str = "deploy/container/Dockerfile";

/// The glibc of the container's base, Debian 12.
const BASE_GLIBC: (u32, u32) = (2, 36);

/// Builds and packs it.
pub(super) fn package(workspace: &Workspace, release: &Release, dist: &Dist) -> Result<()> {
    step("Building the agent");
    let target = host_target()?;
    let mut cargo =
        workspace.cargo(["build", "--release", "--package=gaugeway-agent", "--target", &target]);
    // Names of functions stay, for backtraces; their lines would be ten times the program.
    let flags = [wasm::remapped_paths(workspace), vec!["-Cstrip=debuginfo".to_owned()]].concat();
    wasm::with_flags(&mut cargo, &target, &flags)?;
    shell::run(&mut cargo)?;

    let built = workspace.target().join(&target).join("release/gaugeway-agent");
    let program = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    if let Some((major, minor)) = needed_glibc(&program).filter(|needed| *needed > BASE_GLIBC) {
        eprintln!(
            "the agent needs glibc {major}.{minor}, which the container's base does not have: \
             for a container build it on Debian 12 or older"
        );
    }
    // A copy, not a write: it stays executable.
    fs::copy(&built, dist.path("gaugeway-agent")).context("cannot copy the agent")?;
    fs::copy(workspace.root().join(DOCKERFILE), dist.path("Dockerfile"))
        .with_context(|| format!("cannot copy {DOCKERFILE}"))?;
    let page = page_library(workspace)?;
    let bom = sbom::of(workspace, release, ("gaugeway-agent", &target), &["rustc"], &[page])?;
    dist.write(&format!("gaugeway-agent-{}.cdx.json", release.version), &bom)
}

/// What draws the live page's charts; its first line says `(vVERSION)`.
fn page_library(workspace: &Workspace) -> Result<Value> {
    const FILE: &str = "host-agent/page/vendor/uPlot.iife.min.js";
    let text =
        fs::read_to_string(workspace.root().join(FILE)).with_context(|| format!("no {FILE}"))?;
    let version = text.split_once("(v").and_then(|(_, rest)| rest.split(')').next());
    let version = version.with_context(|| format!("{FILE} names no version"))?;
    let url = format!("pkg:npm/uplot@{version}");
    Ok(json!({
        "type": "library",
        "bom-ref": url,
        "name": "uplot",
        "version": version,
        "purl": url,
        "licenses": [{"expression": "MIT"}],
        "hashes": [{"alg": "SHA-256", "content": sha256(text.as_bytes())}],
    }))
}

fn host_target() -> Result<String> {
    let said = shell::output(Command::new("rustc").arg("-vV")).context("there is no rustc")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

/// The newest version of glibc whose symbols a program names.
fn needed_glibc(program: &[u8]) -> Option<(u32, u32)> {
    const PREFIX: &[u8] = b"GLIBC_2.";
    let starts = program.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    let minors = starts.filter_map(|(at, _)| {
        let rest = program.get(at + PREFIX.len()..)?;
        let digits: String = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .map(|byte| char::from(*byte))
            .collect();
        digits.parse().ok()
    });
    minors.max().map(|minor| (2, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_counts() {
        assert_eq!(needed_glibc(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0"), Some((2, 34)));
        assert_eq!(needed_glibc(b"static"), None);
    }
}
