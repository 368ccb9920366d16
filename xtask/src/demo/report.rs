//! The demo's result. As JSON it is an interface: keys are added, not renamed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was measured, and what is known of the truth.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What the filter and the agent say, by model.
    pub(crate) models: Vec<Model>,
    /// What the load client saw, by model.
    pub(crate) truth: Vec<Model>,
    /// Answers of Prometheus by what is asked, where it ran.
    pub(crate) prometheus: Option<BTreeMap<String, Query>>,
    /// The alerts that were firing, where Prometheus ran.
    #[serde(default)]
    pub(crate) alerts: Option<Vec<Alert>>,
    /// The agent.
    pub(crate) agent: Agent,
    /// Envoy.
    pub(crate) envoy: Envoy,
}

/// One model's numbers. What is not known is absent.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Model {
    /// Its name.
    pub(crate) model: String,
    /// Finished requests.
    pub(crate) requests: u64,
    /// Median time to first token, streams only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttft_p50_ms: Option<f64>,
    /// Its 95th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttft_p95_ms: Option<f64>,
    /// Median time per output token after the first, streams only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tpot_p50_ms: Option<f64>,
    /// Input tokens as the server reported them.
    pub(crate) input_tokens: u64,
    /// Output tokens as the server reported them.
    pub(crate) output_tokens: u64,
    /// Requests by outcome.
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// Failed requests by error class.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What a million tokens cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usd_per_million_tokens: Option<f64>,
}

/// A query and its answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Query {
    /// The question in PromQL.
    pub(crate) query: String,
    /// The answer, by model.
    pub(crate) result: BTreeMap<String, f64>,
}

/// An alert that was firing.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Alert {
    /// `critical` or `warning`.
    pub(crate) severity: String,
    /// Its name.
    pub(crate) name: String,
    /// What is wrong, in a sentence.
    pub(crate) summary: String,
}

/// The agent as it ran.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Agent {
    /// Where it listens.
    pub(crate) url: String,
    /// The memory that it held after the measurement.
    pub(crate) rss_bytes: Option<u64>,
}

/// Envoy as it ran.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envoy {
    /// Where clients connect.
    pub(crate) url: String,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Its admin endpoint.
    pub(crate) admin: String,
}
