//! Artefacts of the workspace that tests run as a user would: the filter as wasm, binaries as processes.

use crate::workspace;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The filter's wasm file: `GAUGEWAY_WASM`, else built once into a target folder of its own, so that it
/// never waits for a build of the workspace.
pub fn filter() -> &'static Path {
    static FILTER: OnceLock<PathBuf> = OnceLock::new();
    FILTER.get_or_init(|| match std::env::var_os("GAUGEWAY_WASM") {
        Some(path) => workspace().join(path),
        None => artefact(&[
            "--package=gaugeway-filter",
            "--profile=wasm",
            "--target=wasm32-wasip1",
            "--target-dir=target/wasm-tests",
        ]),
    })
}

/// The agent's binary: `GAUGEWAY_AGENT`, else built once.
pub fn agent() -> &'static Path {
    static AGENT: OnceLock<PathBuf> = OnceLock::new();
    AGENT.get_or_init(|| match std::env::var_os("GAUGEWAY_AGENT") {
        Some(path) => workspace().join(path),
        None => artefact(&["--package=gaugeway-agent", "--bin=gaugeway-agent"]),
    })
}

/// The harness's binary, built once.
pub fn harness() -> &'static Path {
    static HARNESS: OnceLock<PathBuf> = OnceLock::new();
    HARNESS.get_or_init(|| artefact(&["--package=gaugeway-harness", "--bin=gaugeway-harness"]))
}

/// The simulator's binary, built once.
pub fn sim() -> &'static Path {
    static SIM: OnceLock<PathBuf> = OnceLock::new();
    SIM.get_or_init(|| artefact(&["--package=gaugeway-sim", "--bin=gaugeway-sim"]))
}

/// The binary of `cargo xtask`, built once.
pub fn xtask() -> &'static Path {
    static XTASK: OnceLock<PathBuf> = OnceLock::new();
    XTASK.get_or_init(|| artefact(&["--package=xtask", "--bin=xtask"]))
}

/// The fake `libnvidia-ml.so`, built once.
pub fn fake_nvml() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| artefact(&["--package=gaugeway-fake-nvml"]))
}

/// Runs `cargo build` and gives the last file that it says it made: the wasm, the executable or the
/// C library.
fn artefact(args: &[&str]) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo build {args:?} failed");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| match message["executable"].as_str() {
            Some(executable) => Some(PathBuf::from(executable)),
            None => {
                let file = PathBuf::from(message["filenames"][0].as_str()?);
                let extension = file.extension()?;
                (extension == "wasm" || extension == "so").then_some(file)
            }
        })
        .next_back()
        .unwrap_or_else(|| panic!("cargo build {args:?} made nothing to run"))
}
