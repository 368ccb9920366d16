//! The report for people.

use super::report::{Model, Report};
use std::collections::BTreeMap;

const HEAD: [&str; 12] = [
    "model",
    "seen by",
    "requests",
    "success",
    "abort",
    "trunc.",
    "error",
    "TTFT p50",
    "p95",
    "TPOT p50",
    "tokens in/out",
    "$/Mtok",
];

/// A table with two lines for each model, then errors by class, what Prometheus answers, and what fires.
pub(crate) fn render(report: &Report) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for model in &report.models {
        rows.push(row(model, "filter"));
        let truth = report.truth.iter().filter(|truth| truth.model == model.model);
        rows.extend(truth.map(|truth| row(truth, "client")));
    }
    let mut lines = align(&rows);
    lines.push(String::new());
    for model in &report.models {
        let truth = report.truth.iter().find(|truth| truth.model == model.model);
        lines.extend(errors(model, truth.map(|truth| &truth.errors)));
    }
    for (name, answer) in report.prometheus.iter().flatten() {
        lines.push(format!("Prometheus, {name}: {}", values(&answer.result)));
    }
    for alert in report.alerts.iter().flatten() {
        lines.push(format!("{}, {}: {}", alert.severity, alert.name, alert.summary));
    }
    if let Some(bytes) = report.agent.rss_bytes {
        lines.push(format!("agent: {:.1} MB of memory", bytes as f64 / 1e6));
    }
    lines.join("\n")
}

/// What failed, and what the client says where it disagrees.
fn errors(model: &Model, truth: Option<&BTreeMap<String, u64>>) -> Option<String> {
    let client = truth.filter(|truth| **truth != model.errors);
    let client =
        client.map(|truth| format!(" (the client: {})", counts(truth))).unwrap_or_default();
    let any = !model.errors.is_empty() || !client.is_empty();
    any.then(|| format!("errors of {}: {}{client}", model.model, counts(&model.errors)))
}

fn row(model: &Model, seen_by: &str) -> [String; HEAD.len()] {
    let outcome = |name| model.outcomes.get(name).copied().unwrap_or_default().to_string();
    let ms = |value: Option<f64>| value.map_or_else(dash, |value| format!("{value:.1} ms"));
    [
        if seen_by == "filter" { model.model.clone() } else { String::new() },
        seen_by.to_owned(),
        model.requests.to_string(),
        outcome("success"),
        outcome("client_abort"),
        outcome("truncated"),
        outcome("error"),
        ms(model.ttft_p50_ms),
        ms(model.ttft_p95_ms),
        ms(model.tpot_p50_ms),
        format!("{}/{}", model.input_tokens, model.output_tokens),
        model.usd_per_million_tokens.map_or_else(dash, |value| format!("{value:.2}")),
    ]
}

fn dash() -> String {
    "-".to_owned()
}

/// Pads all but the first two columns on the left, so that numbers stand under each other.
fn align(rows: &[[String; HEAD.len()]]) -> Vec<String> {
    let widths: Vec<_> = (0..HEAD.len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max())
        .collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                let width = width.unwrap_or_default();
                if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

fn counts(map: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = map.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn values(map: &BTreeMap<String, f64>) -> String {
    let parts: Vec<_> = map.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}
