//! The traffic, and what its client saw.

use super::Args;
use super::report::Model;
use super::service::Service;
use super::stack::{Programs, Stack};
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
    let mut command = Command::new(&programs.sim);
    command
        .arg("load")
        .args(["--url", &format!("http://{}", stack.envoy.listener)])
        .args(["--seconds", &args.seconds.to_string()])
        .args(["--concurrency", &args.concurrency.to_string()])
        .args(["--seed", "1", "--json"])
        .arg(&summary)
        .arg("--requests-out")
        .arg(dir.join("requests.jsonl"));
    match &args.model {
        Some(model) => command.args(["--model", model]),
        None => command.args(["--mix", MIX]),
    };
    let seconds = args.seconds.get();
    let time = Duration::from_secs(seconds.into());
    let until = SystemTime::now() + time;
    Service::start_visibly("load", command, &dir)?.finish(time + TAIL)?;
    let json = fs::read_to_string(&summary).context("the load client left no summary")?;
    let Summary { models } = serde_json::from_str(&json)
        .context("the load client's summary is not what was expected")?;
    Ok(Traffic { truth: models, until, seconds })
}
#[derive(Deserialize)]
struct Summary {
    models: Vec<Model>,
}
