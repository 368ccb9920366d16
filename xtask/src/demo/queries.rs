//! The questions that Prometheus is asked about what it scraped.

use super::http;
use super::load::Traffic;
use super::report::Query;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

/// The label by which the agent's OpenTelemetry metrics name the model.
const MODEL: &str = "gen_ai_request_model";

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    /// Time and value; the value is text, because JSON has no NaN.
    value: (f64, String),
}

/// All questions with their answers.
pub(crate) fn ask(prometheus: SocketAddr, traffic: &Traffic) -> Result<BTreeMap<String, Query>> {
    questions(traffic)
        .into_iter()
        .map(|(name, query)| {
            let result = by_model(prometheus, &query)?;
            Ok((name.to_owned(), Query { query, result }))
        })
        .collect()
}

/// The value of each model's series. Values that are no finite number are no answer.
fn by_model(prometheus: SocketAddr, query: &str) -> Result<BTreeMap<String, f64>> {
    let url = format!("http://{prometheus}/api/v1/query?query={}", http::percent_encode(query));
    let answer: Answer = http::get_json(&url)?;
    let values = answer.data.result.into_iter().map(|series| {
        let model = series.metric.into_values().next().context("a series without its model")?;
        let value: f64 = series.value.1.parse().context("a value that is no number")?;
        Ok((model, value))
    });
    let values = values.collect::<Result<BTreeMap<_, _>>>()?;
    Ok(values.into_iter().filter(|(_, value)| value.is_finite()).collect())
}

fn questions(traffic: &Traffic) -> [(&'static str, String); 3] {
    const TTFT: &str = "gen_ai_server_time_to_first_token_seconds_bucket";
    const OUTPUT: &str = "gen_ai_client_inference_usage_output_tokens_total";
    const TOKENS: &str =
        r#"{__name__=~"gen_ai_client_inference_usage_(input|output)_tokens_total"}"#;
    const COST: &str = "gaugeway_cost_attributed_dollars_total";
    // Rates as they stood when the last requests began: afterwards they would only fall.
    let until = traffic.until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let range = format!("[{}s] @ {until}", traffic.seconds);
    // Cost metrics name the model in our way, token metrics in OpenTelemetry's.
    let tokens = format!(r#"label_replace({TOKENS}, "model", "$1", "{MODEL}", "(.*)")"#);
    [
        // Envoy is new, so its buckets hold this measurement and nothing else.
        ("ttft_p95_seconds", format!("histogram_quantile(0.95, sum by (le, {MODEL}) ({TTFT}))")),
        ("output_tokens_per_second", format!("sum by ({MODEL}) (rate({OUTPUT}{range}))")),
        (
            "usd_per_million_tokens",
            format!("1e6 * sum by (model) ({COST}) / sum by (model) ({tokens})"),
        ),
    ]
}
