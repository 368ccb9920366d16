//! Where the real components are.
//!
//! Each is looked for in its environment variable, on the PATH, and where `cargo xtask test` installs
//! it (`target/real`, or the folder that `GAUGEWAY_REAL` names).

use crate::workspace;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Envoy's binary (`ENVOY`), or `None` after printing why the test is skipped.
pub fn envoy() -> Option<PathBuf> {
    program("ENVOY", "envoy")
        .or_else(|| in_venv(&root().join("envoy-1.40.0"), "envoy/_bin/envoy"))
        .or_else(|| skip("no Envoy: set ENVOY, or run `cargo xtask test`, which installs it"))
}

/// Prometheus' binary (`PROMETHEUS`), or `None` after printing why the test is skipped.
pub fn prometheus() -> Option<PathBuf> {
    program("PROMETHEUS", "prometheus")
        .or_else(|| skip("no Prometheus: install the package `prometheus`"))
}

/// Prometheus' checker (`PROMTOOL`), or `None` after printing why the test is skipped.
pub fn promtool() -> Option<PathBuf> {
    program("PROMTOOL", "promtool")
        .or_else(|| skip("no promtool: install the package `prometheus`"))
}

/// Alertmanager (`ALERTMANAGER`) and amtool (`AMTOOL`), or `None` after printing why the test is skipped.
pub fn alertmanager() -> Option<(PathBuf, PathBuf)> {
    // Debian's name for it is longer.
    let alertmanager = program("ALERTMANAGER", "alertmanager")
        .or_else(|| program("ALERTMANAGER", "prometheus-alertmanager"));
    alertmanager
        .zip(program("AMTOOL", "amtool"))
        .or_else(|| skip("no Alertmanager: install the package `prometheus-alertmanager`"))
}

/// What the tests of the page need.
#[derive(Clone, Debug)]
pub struct Chromium {
    /// The browser (`CHROMIUM`).
    pub browser: PathBuf,
    /// Its WebDriver (`CHROMEDRIVER`).
    pub driver: PathBuf,
    /// The script of axe-core, which finds what keeps people from using a page.
    pub axe: PathBuf,
}

/// Chromium, its driver and axe-core, or `None` after printing why the test is skipped.
pub fn chromium() -> Option<Chromium> {
    let axe = root().join("axe-core/node_modules/axe-core/axe.min.js");
    match (program("CHROMIUM", "chromium"), program("CHROMEDRIVER", "chromedriver")) {
        (Some(browser), Some(driver)) if axe.is_file() => Some(Chromium { browser, driver, axe }),
        _ => skip(
            "no Chromium, chromedriver or axe-core: run `cargo xtask test`, which installs them",
        ),
    }
}

/// What the tests with a real LLM need.
#[derive(Clone, Debug)]
pub struct Llm {
    /// A Python with `xllamacpp` and `openai`.
    pub python: PathBuf,
    /// A small chat model in GGUF form.
    pub model: PathBuf,
}

/// The LLM server's Python and model, or `None` after printing why the test is skipped.
pub fn llm() -> Option<Llm> {
    let root = root().join("llm");
    let python = root.join("bin/python");
    match (python.exists(), find_file(&root, "gguf", 4)) {
        (true, Some(model)) => Some(Llm { python, model }),
        _ => skip("no LLM: run `cargo xtask test`, which installs llama.cpp and a small model"),
    }
}

/// What the tests of the manifests need.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// A Python with `kubernetes-validate` and models of Istio and the Prometheus operator.
    pub python: PathBuf,
    /// Helm 4.
    pub helm: PathBuf,
}

/// The checkers of manifests, or `None` after printing why the test is skipped.
pub fn manifests() -> Option<Manifests> {
    let root = root().join("manifests");
    let found = Manifests { python: root.join("bin/python"), helm: root.join("helm") };
    match found.python.exists() && found.helm.is_file() {
        true => Some(found),
        false => skip("no Helm and schemas: run `cargo xtask test`, which installs them"),
    }
}

/// A Python with `oteltap`, a receiver of OTLP, or `None` after printing why the test is skipped.
pub fn otlp() -> Option<PathBuf> {
    let python = root().join("oteltap/bin/python");
    match python.exists() {
        true => Some(python),
        false => skip("no OTLP receiver: run `cargo xtask test`, which installs oteltap"),
    }
}

fn root() -> PathBuf {
    env::var_os("GAUGEWAY_REAL").map_or_else(|| workspace().join("target/real"), PathBuf::from)
}

fn program(variable: &str, name: &str) -> Option<PathBuf> {
    match env::var_os(variable) {
        Some(path) if !path.is_empty() => Some(path.into()),
        _ => env::split_paths(&env::var_os("PATH")?)
            .map(|dir| dir.join(name))
            .find(|path| path.is_file()),
    }
}

/// The folder of a venv's packages carries Python's version: look rather than guess.
fn in_venv(venv: &Path, file: &str) -> Option<PathBuf> {
    fs::read_dir(venv.join("lib"))
        .ok()?
        .flatten()
        .map(|python| python.path().join("site-packages").join(file))
        .find(|path| path.is_file())
}

fn find_file(dir: &Path, extension: &str, depth: u8) -> Option<PathBuf> {
    let entries: Vec<_> = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    entries
        .iter()
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .cloned()
        .or_else(|| {
            let mut folders = entries.iter().filter(|path| path.is_dir());
            folders.find_map(|path| find_file(path, extension, depth.checked_sub(1)?))
        })
}

fn skip<T>(reason: &str) -> Option<T> {
    assert!(env::var_os("GAUGEWAY_REQUIRE_REAL").is_none(), "{reason}");
    println!("skipped: {reason}");
    None
}
