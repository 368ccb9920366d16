//! The traffic, and what its client saw.

use super::report::Model;
use super::service::Service;
use super::stack::{Programs, Stack};
use super::{Args, interrupt};
use crate::shell::step;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// What the simulated server and its client are asked to do: mostly well, with every kind of trouble.
const MIX: &str = "ok=78,abort=8,truncate=4,error_in_stream=4,http=6";

/// Time after the last request has been sent for long answers to end.
const TAIL: Duration = Duration::from_secs(120);

/// What was sent.
pub(crate) struct Traffic {
    /// What the client saw, by model.
    pub(crate) truth: Vec<Model>,
    /// When it began no more requests.
    pub(crate) until: SystemTime,
    /// For how long it began some.
    pub(crate) seconds: u32,
}

/// Sends traffic through Envoy.
pub(crate) fn run(
    workspace: &Workspace,
    programs: &Programs,
    stack: &Stack,
    args: &Args,
) -> Result<Traffic> {
    step(&format!("Sending traffic for {} s, {} requests at once", args.seconds, args.concurrency));
    let dir = workspace.demo();
    let summary = dir.join("load.json");
    let seconds = args.seconds.get();
    let time = Duration::from_secs(seconds.into());
    let until = SystemTime::now() + time;
    let Some(mut command) = client(programs, stack, args) else {
        interrupt::sleep(time)?;
        return Ok(Traffic { truth: Vec::new(), until, seconds });
    };
    command.args(["--seed", "1", "--seconds", &seconds.to_string(), "--json"]);
    command.arg(&summary).arg("--requests-out").arg(dir.join("requests.jsonl"));
    Service::start_visibly("load", command, &dir)?.finish(time + TAIL)?;
    let json = fs::read_to_string(&summary).context("the load client left no summary")?;
    let Summary { models } = serde_json::from_str(&json)
        .context("the load client's summary is not what was expected")?;
    Ok(Traffic { truth: models, until, seconds })
}

/// Traffic of the same kind that goes on until the service is dropped; `None` where there is to be none.
pub(crate) fn go_on(
    workspace: &Workspace,
    programs: &Programs,
    stack: &Stack,
    args: &Args,
) -> Result<Option<Service>> {
    const YEAR: &str = "31536000";
    let start = |mut command: Command| {
        command.args(["--seed", "2", "--seconds", YEAR]);
        Service::start("traffic", command, &workspace.demo())
    };
    client(programs, stack, args).map(start).transpose()
}

/// The load client; `None` where nobody is to ask.
fn client(programs: &Programs, stack: &Stack, args: &Args) -> Option<Command> {
    let mut command = Command::new(&programs.sim);
    command
        .arg("load")
        .args(["--url", &format!("http://{}", stack.envoy.listener)])
        .args(["--concurrency", &args.concurrency.to_string()]);
    match (&args.model, args.scenario) {
        (Some(model), _) => command.args(["--model", model]),
        (None, None) => command.args(["--mix", MIX]),
        (None, Some(scenario)) => {
            let asked = scenario.asked();
            if !asked.is_empty() {
                command.args(["--models", &asked.join(",")]);
            }
            command.args(["--mix", scenario.mix()?])
        }
    };
    Some(command)
}

#[derive(Deserialize)]
struct Summary {
    models: Vec<Model>,
}
