//! What the filter and the agent say, once everything has arrived.

use super::load::Traffic;
use super::report::{Agent, Envoy, Model, Report};
use super::stack::Stack;
use super::{access_log, alerts, http, interrupt, queries};
use crate::shell::step;
use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Time for the last requests to reach the agent: Envoy's counters are there at once, the agent reads
/// them every second.
const ARRIVAL: Duration = Duration::from_secs(15);

/// Time for histograms after that: Envoy merges them each second, the agent reads and Prometheus scrapes
/// each second.
const FLUSH: Duration = Duration::from_secs(4);

/// The part of the agent's summary that the report shows.
#[derive(Deserialize)]
struct Summary {
    models: Vec<Seen>,
}

#[derive(Deserialize)]
struct Seen {
    model: String,
    requests: u64,
    outcomes: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    /// By provenance: what the server reported and what the filter estimated are never added up.
    tokens: BTreeMap<String, Tokens>,
    usd_per_million_tokens: Option<UnitCosts>,
}

#[derive(Deserialize, Clone, Copy, Default)]
struct Tokens {
    input: u64,
    output: u64,
}

/// By token type and over `all`.
#[derive(Deserialize)]
struct UnitCosts {
    /// By what the tokens used; idle time is apart.
    usage: BTreeMap<String, f64>,
}

/// Waits until all that the client sent has been counted, and puts the two side by side.
pub(crate) fn report(stack: &Stack, traffic: Traffic) -> Result<Report> {
    step("Waiting for the last numbers to arrive");
    let sent = traffic.truth.iter().map(|model| model.requests).sum();
    let summary = counted(stack, sent)?;
    let log = &stack.envoy.access_log;
    let log = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let latencies = access_log::by_model(&log)?;
    let models = summary.models.into_iter().map(|seen| {
        let latencies = latencies.get(&seen.model);
        let reported = seen.tokens.get("reported").copied().unwrap_or_default();
        let cost = seen.usd_per_million_tokens.and_then(|cost| cost.usage.get("all").copied());
        Model {
            requests: seen.requests,
            ttft_p50_ms: latencies.and_then(|latencies| latencies.ttft_ms(50)),
            ttft_p95_ms: latencies.and_then(|latencies| latencies.ttft_ms(95)),
            tpot_p50_ms: latencies.and_then(|latencies| latencies.tpot_ms(50)),
            input_tokens: reported.input,
            output_tokens: reported.output,
            outcomes: seen.outcomes,
            errors: seen.errors,
            usd_per_million_tokens: cost,
            model: seen.model,
        }
    });
    let prometheus = stack.prometheus.as_ref().map(|(_, address)| queries::ask(*address, &traffic));
    let alerts = stack.prometheus.as_ref().map(|(_, address)| alerts::firing(*address));
    Ok(Report {
        models: models.collect(),
        prometheus: prometheus.transpose()?,
        alerts: alerts.transpose()?,
        truth: traffic.truth,
        agent: Agent {
            url: format!("http://{}", stack.agent_address),
            rss_bytes: stack.agent.rss_bytes(),
        },
        envoy: Envoy {
            url: format!("http://{}", stack.envoy.listener),
            version: stack.envoy.version.clone(),
            admin: format!("http://{}", stack.envoy.admin),
        },
    })
}

/// The agent's summary, once it has all requests that were sent and histograms have followed. A filter
/// that misses some is no reason to show nothing: the table says how many it has seen.
fn counted(stack: &Stack, sent: u64) -> Result<Summary> {
    let url = format!("http://{}/api/v1/summary", stack.agent_address);
    let all_there = || -> Result<()> {
        let summary: Summary = http::get_json(&url)?;
        let seen: u64 = summary.models.iter().map(|model| model.requests).sum();
        if seen < sent {
            Err(anyhow!("{seen} of {sent} requests have been counted"))
        } else {
            Ok(())
        }
    };
    if let Err(error) = interrupt::wait_for("counting", ARRIVAL, || Ok(all_there())) {
        interrupt::check()?;
        eprintln!("warning: {error:#}");
    }
    interrupt::sleep(FLUSH)?;
    http::get_json(&url)
}
