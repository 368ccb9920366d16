//! The real Envoy between 200 concurrent simulated users and a simulated server that errs, stalls and
//! breaks off: what the filter counted equals what the two ends know, and its times are the user's.

use gaugeway_sim::{
    LoadConfig, Mode, Observation, Outcome, Plan, Report, Served, Server, ServerConfig, load,
};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::page::Page;
use gaugeway_tests::{real, scratch};
use serde_json::Value;
use std::collections::BTreeMap;

const REQUESTS: usize = 4000;
const MIX: &str = "ok=62,no_usage=4,abort=20,truncate=5,error_in_stream=5,http=3,reset=1";

/// One run serves all checks: it takes a while, and they look at the same traffic.
struct Run {
    stats: Page,
    /// Access-log lines by `x-sim-id`.
    log: BTreeMap<String, Value>,
    served: BTreeMap<String, Served>,
    observed: Vec<Observation>,
}
