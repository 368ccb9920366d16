//! `gaugeway-agent status`: the summary of a running agent as a table for people.

use std::fmt::Write;

use serde::Deserialize;

use crate::http::{Address, Ask, FetchError, Limits, fetch};

/// What of `/api/v1/summary` is shown.
#[derive(Deserialize)]
struct Summary {
    version: String,
    sources: Vec<Source>,
    models: Vec<Model>,
    cost: Option<Cost>,
    budgets: Vec<Budget>,
}

#[derive(Deserialize)]
struct Source {
    name: String,
    up: bool,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Model {
    model: String,
    requests: u64,
    tokens: std::collections::BTreeMap<String, Tokens>,
    latency_seconds: Latency,
    usd: Option<f64>,
    usd_per_million_tokens: Option<UnitCosts>,
}

#[derive(Deserialize)]
struct Tokens {
    input: u64,
    output: u64,
}

#[derive(Deserialize)]
struct Latency {
    ttft: Option<Quantiles>,
    tpot: Option<Quantiles>,
}

#[derive(Deserialize)]
struct Quantiles {
    p50: Option<f64>,
    p95: Option<f64>,
}

#[derive(Deserialize)]
struct UnitCosts {
    allocation: std::collections::BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Cost {
    usd_per_hour: f64,
    price_source: String,
    bill_usd: f64,
    attributed_usd: f64,
    idle_usd: f64,
    unattributed_usd: f64,
    pending_usd: f64,
}

#[derive(Deserialize)]
struct Budget {
    budget: String,
    spent_usd: f64,
    limit_usd: f64,
    forecast_usd: Option<f64>,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The agent does not answer.
    #[error("{0}: {1}")]
    Fetch(Address, #[source] FetchError),
    /// What answers is no agent, or another version of it.
    #[error("{0}: not a summary: {1}")]
    Summary(Address, #[source] serde_json::Error),
}

/// Asks a running agent and returns its state as text.
pub async fn status(agent: &Address) -> Result<String, StatusError> {
    let page = fetch(agent, Ask::get("/api/v1/summary"), Limits::PAGE).await;
    let page = page.map_err(|error| StatusError::Fetch(agent.clone(), error))?;
    table(&page).map_err(|error| StatusError::Summary(agent.clone(), error))
}

fn table(summary: &[u8]) -> Result<String, serde_json::Error> {
    let Summary { version, sources, models, cost, budgets } = serde_json::from_slice(summary)?;
    let mut text = format!("gaugeway-agent {version}\n\n");
    let mut rows = vec![row(["SOURCE", "STATE", ""])];
    for source in sources {
        let state = if source.up { "up" } else { "down" };
        rows.push(row([&clean(&source.name), state, &clean(&source.error.unwrap_or_default())]));
    }
    add(&mut text, &rows);
    if !models.is_empty() {
        let header = [
            "MODEL", "REQUESTS", "INPUT", "OUTPUT", "TTFT p50", "p95", "TPOT p50", "USD",
            "USD/Mtok",
        ];
        let mut rows = vec![row(header)];
        rows.extend(models.iter().map(Model::row));
        add(&mut text, &rows);
    }
    if let Some(cost) = cost {
        add(&mut text, &cost.rows());
    }
    if !budgets.is_empty() {
        let mut rows = vec![row(["BUDGET", "SPENT", "LIMIT", "FORECAST"])];
        rows.extend(budgets.iter().map(|budget| {
            let money = |dollars: f64| format!("{dollars:.2}");
            row([
                &clean(&budget.budget),
                &money(budget.spent_usd),
                &money(budget.limit_usd),
                &budget.forecast_usd.map_or_else(none, money),
            ])
        }));
        add(&mut text, &rows);
    }
    Ok(text)
}

impl Model {
    fn row(&self) -> Vec<String> {
        let tokens = |count: fn(&Tokens) -> u64| self.tokens.values().map(count).sum::<u64>();
        let milliseconds = |quantiles: &Option<Quantiles>, of: fn(&Quantiles) -> Option<f64>| {
            let seconds = quantiles.as_ref().and_then(of);
            seconds.map_or_else(none, |seconds| format!("{:.0} ms", seconds * 1e3))
        };
        let unit =
            self.usd_per_million_tokens.as_ref().and_then(|costs| costs.allocation.get("all"));
        row([
            &clean(&self.model),
            &self.requests.to_string(),
            &tokens(|tokens| tokens.input).to_string(),
            &tokens(|tokens| tokens.output).to_string(),
            &milliseconds(&self.latency_seconds.ttft, |q| q.p50),
            &milliseconds(&self.latency_seconds.ttft, |q| q.p95),
            &milliseconds(&self.latency_seconds.tpot, |q| q.p50),
            &self.usd.map_or_else(none, |usd| format!("{usd:.4}")),
            &unit.map_or_else(none, |usd| format!("{usd:.3}")),
        ])
    }
}

impl Cost {
    fn rows(&self) -> Vec<Vec<String>> {
        let share = |dollars: f64| {
            let percent = if self.bill_usd > 0.0 { dollars / self.bill_usd * 100.0 } else { 0.0 };
            format!("{percent:.1} %")
        };
        let line =
            |name: &str, dollars: f64| row([name, &format!("{dollars:.4}"), &share(dollars)]);
        vec![
            row(["COST SINCE START", "USD", "SHARE"]),
            line("attributed", self.attributed_usd),
            line("idle", self.idle_usd),
            line("unattributed", self.unattributed_usd),
            line("pending", self.pending_usd),
            line("bill", self.bill_usd),
            row(["price per hour", &format!("{:.4}", self.usd_per_hour), &self.price_source]),
        ]
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// What a cell without a value shows.
fn none() -> String {
    "-".to_owned()
}

/// A label or an error may hold what a terminal would obey.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Writes rows in columns; the first and the last are words, what lies between is numbers.
fn add(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 || columns == 3 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_reads_as_a_table() {
        let summary = br#"{"version":"0.1.0","taken_at":1,
            "sources":[{"name":"envoy","up":true,"error":null,"last_success":1},
                {"name":"nvml","up":false,"error":"no\u001b[31m driver","last_success":null}],
            "models":[{"model":"m","requests":12,"outcomes":{},"errors":{},
                "tokens":{"reported":{"input":100,"output":200},"estimated":{"input":1,"output":2}},
                "cache_read_input_tokens":0,
                "latency_seconds":{"ttft":{"p50":0.25,"p95":1.5,"p99":2},"tpot":null,"duration":null},
                "usd":0.5,"usd_per_million_tokens":{"usage":{},"allocation":{"all":3.25}}}],
            "cost":{"usd_per_hour":6.88,"price_source":"config","bill_usd":2.0,"attributed_usd":0.5,
                "idle_usd":1.5,"unattributed_usd":0,"pending_usd":0},
            "budgets":[{"budget":"all","limit_usd":100,"spent_usd":50.125,"forecast_usd":null}]}"#;
        assert_eq!(
            table(summary).unwrap(),
            "gaugeway-agent 0.1.0

SOURCE  STATE
envoy   up
nvml    down   no?[31m driver

MODEL  REQUESTS  INPUT  OUTPUT  TTFT p50      p95  TPOT p50     USD  USD/Mtok
m            12    101     202    250 ms  1500 ms         -  0.5000     3.250

COST SINCE START  USD     SHARE
attributed        0.5000  25.0 %
idle              1.5000  75.0 %
unattributed      0.0000  0.0 %
pending           0.0000  0.0 %
bill              2.0000  100.0 %
price per hour    6.8800  config

BUDGET  SPENT   LIMIT  FORECAST
all     50.12  100.00         -

"
        );
    }

    #[test]
    fn something_else_is_no_summary() {
        assert!(table(b"<html>").is_err());
        assert!(table(b"{}").is_err());
    }
}
