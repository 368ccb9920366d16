//! The main job, end to end: traffic through the real Envoy, from the filter to cost per token.

mod access_log;
mod alerts;
mod config;
mod http;
mod hurry;
mod interrupt;
mod load;
mod measure;
mod queries;
mod report;
mod scenario;
mod service;
mod stack;
mod table;
mod upstream;

use crate::real::{alertmanager, envoy, prometheus};
use crate::shell::{self, step};
use crate::wasm;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use report::Report;
use scenario::Scenario;
use stack::{Programs, Stack, Subject};
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
    /// Show a state of affairs: traffic of one kind, scripted GPUs, and the alerts that follow.
    ///
    /// Without it, traffic has a little of every trouble, and GPU figures are those of this host.
    #[arg(long, value_enum, conflicts_with = "upstream")]
    scenario: Option<Scenario>,
    /// How long to send traffic before the measurement.
    #[arg(long, value_name = "N", default_value = "20")]
    seconds: NonZeroU32,
    /// Requests in flight at once.
    #[arg(long, value_name = "N", default_value = "50")]
    concurrency: NonZeroU32,
}

/// Runs the demo.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    interrupt::install()?;
    let programs = programs(workspace, args)?;
    empty_folder(workspace)?;

    let subject = match &args.upstream {
        Some(upstream) => Subject::Upstream(upstream),
        None => Subject::Simulated(args.scenario),
    };
    let stack = Stack::start(workspace, &programs, &subject)?;
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
        let _traffic = load::go_on(workspace, &programs, &stack, args)?;
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
fn programs(workspace: &Workspace, args: &Args) -> Result<Programs> {
    step("Looking for Envoy, Prometheus and Alertmanager");
    let envoy = envoy::ensure(workspace)?;
    let prometheus = prometheus::find()?;
    if prometheus.is_none() {
        eprintln!("Prometheus is not installed; the demo goes on without its queries and alerts");
    }
    let alertmanager = alertmanager::find()?;
    if alertmanager.is_none() {
        eprintln!("Alertmanager is not installed; the demo goes on without it");
    }
    wasm::build(workspace)?;
    step("Building the simulator and the agent");
    let scripted = args.scenario.map(|_| "--package=gaugeway-fake-nvml");
    let packages =
        ["--package=gaugeway-sim", "--package=gaugeway-agent"].into_iter().chain(scripted);
    shell::run(workspace.cargo(["build", "--release"]).args(packages))?;
    let release = workspace.target().join("release");
    Ok(Programs {
        sim: release.join("gaugeway-sim"),
        agent: release.join("gaugeway-agent"),
        envoy,
        prometheus,
        alertmanager,
        fake_nvml: args.scenario.map(|_| release.join("libgaugeway_fake_nvml.so")),
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
        lines.push(format!("Prometheus  http://{address}  (its rules run sixty times as fast)"));
    }
    if let Some((_, address)) = &stack.alertmanager {
        lines.push(format!("Alertmanager http://{address}"));
    }
    lines.push(format!("files       {}", workspace.demo().display()));
    lines.push("Everything stays up, and traffic goes on, until Ctrl-C.".to_owned());
    lines.join("\n")
}
