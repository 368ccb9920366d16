//! The main job, end to end: traffic through the real Envoy, from the filter to cost per token.

mod access_log;
mod config;
mod http;
mod interrupt;
mod load;
mod measure;
mod queries;
mod report;
mod service;
mod stack;
mod table;
mod upstream;

use crate::real::{envoy, prometheus};
use crate::shell::{self, step};
use crate::wasm;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use report::Report;
use stack::{Programs, Stack};
use std::fs;
use std::num::NonZeroU32;
use upstream::Upstream;

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Stop after the measurement instead of leaving everything up.
    #[arg(long)]
    once: bool,
    /// Print the result as one JSON object on stdout instead of a table; all else goes to stderr.
    #[arg(long)]
    json: bool,
    /// Measure this server instead of the simulated one. It must speak OpenAI's API in plain HTTP.
    #[arg(long, value_name = "http://HOST:PORT", requires = "model")]
    upstream: Option<Upstream>,
    /// The model to ask that server for.
    #[arg(long, value_name = "NAME", requires = "upstream")]
    model: Option<String>,
    /// How long to send traffic.
    #[arg(long, value_name = "N", default_value = "20")]
    seconds: NonZeroU32,
    /// Requests in flight at once.
    #[arg(long, value_name = "N", default_value = "50")]
    concurrency: NonZeroU32,
}

/// Runs the demo.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    interrupt::install()?;
    let programs = programs(workspace)?;
    empty_folder(workspace)?;

    let stack = Stack::start(workspace, &programs, args.upstream.as_ref())?;
    let traffic = load::run(workspace, &programs, &stack, args)?;
    let report = measure::report(&stack, traffic)?;

    let json = serde_json::to_string(&report)?;
    fs::write(report_file(workspace), &json).context("cannot keep the report")?;
    if args.json {
        println!("{json}");
    } else {
        println!("{}", table::render(&report));
    }
    if !args.once {
        eprintln!("{}", addresses(workspace, &stack));
        interrupt::wait();
        step("Ending what was started");
    }
    Ok(())
}

/// Prints how much memory the agent held in the last demo, where there was one.
pub(crate) fn print_agent_memory(workspace: &Workspace) {
    let report = fs::read_to_string(report_file(workspace)).ok();
    let report = report.and_then(|json| serde_json::from_str::<Report>(&json).ok());
    match report.and_then(|report| report.agent.rss_bytes) {
        Some(bytes) => eprintln!("agent: {:.1} MB in the last demo", bytes as f64 / 1e6),
        None => eprintln!("agent: `cargo xtask demo` measures its memory"),
    }
}

/// Builds ours and finds the others.
fn programs(workspace: &Workspace) -> Result<Programs> {
    step("Looking for Envoy and Prometheus");
    let envoy = envoy::ensure(workspace)?;
    let prometheus = prometheus::find()?;
    if prometheus.is_none() {
        eprintln!("Prometheus is not installed; the demo goes on without its queries");
    }
    wasm::build(workspace)?;
    step("Building the simulator and the agent");
    let packages = ["--package=gaugeway-sim", "--package=gaugeway-agent"];
    shell::run(workspace.cargo(["build", "--release", "--bins"]).args(packages))?;
    let release = workspace.target().join("release");
    Ok(Programs {
        sim: release.join("gaugeway-sim"),
        agent: release.join("gaugeway-agent"),
        envoy,
        prometheus,
    })
}

fn empty_folder(workspace: &Workspace) -> Result<()> {
    let dir = workspace.demo();
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))
}

fn report_file(workspace: &Workspace) -> std::path::PathBuf {
    workspace.demo().join("report.json")
}

fn addresses(workspace: &Workspace, stack: &Stack) -> String {
    let mut lines = vec![
        format!("Envoy       http://{}  (send requests here)", stack.envoy.listener),
        format!(
            "  its admin http://{}/stats/prometheus?usedonly&filter=^wasmcustom",
            stack.envoy.admin
        ),
        format!("agent       http://{}/metrics", stack.agent_address),
    ];
    if let Some((_, address)) = &stack.prometheus {
        lines.push(format!("Prometheus  http://{address}"));
    }
    lines.push(format!("files       {}", workspace.demo().display()));
    lines.push("Everything stays up until Ctrl-C.".to_owned());
    lines.join("\n")
}
