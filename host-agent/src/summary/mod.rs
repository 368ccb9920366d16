//! `GET /api/v1/summary`: the snapshot as a small JSON object, for scripts and people.
//!
//! Counts run from Envoy's start, money from the agent's; `usd_per_million_tokens` covers the
//! configured window and is absent below its minimum of tokens. Fields may be added, never renamed.

mod gpu;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use gaugeway_core::stat::{Label, Stat};
use serde::Serialize;

use crate::budget::BudgetReport;
use crate::cost::{CostOutcome, CostReport, HourlyPrice, ModelUnitCosts, NanoDollars, UnitCost};
use crate::engines::Figure;
use crate::envoy::{EnvoyStats, Histogram, Value};
use crate::price::Price;
use crate::snapshot::{Engine, Snapshot};
use gpu::Gpus;

/// The object.
#[derive(Serialize)]
struct Summary<'a> {
    version: &'static str,
    /// Unix seconds; null before the first tick.
    taken_at: Option<f64>,
    sources: Vec<SourceState<'a>>,
    /// Sorted by name; empty while the gateway is down.
    models: Vec<Model<'a>>,
    /// Null without a price.
    cost: Option<Cost>,
    budgets: Vec<Budget<'a>>,
    engines: Vec<EngineState<'a>>,
    /// Null where GPUs are not read or cannot be.
    gpus: Option<Gpus<'a>>,
}

#[derive(Serialize)]
struct SourceState<'a> {
    name: &'a str,
    up: bool,
    error: Option<&'a str>,
    last_success: Option<f64>,
}

#[derive(Serialize, Default)]
struct Model<'a> {
    model: &'a str,
    requests: u64,
    /// Requests by outcome.
    outcomes: BTreeMap<&'a str, u64>,
    /// Errors by class.
    errors: BTreeMap<&'a str, u64>,
    /// Tokens by source: `reported` and `estimated` are never added up.
    tokens: BTreeMap<&'a str, Tokens>,
    cache_read_input_tokens: u64,
    latency_seconds: Latency,
    /// What was attributed, waste included.
    usd: Option<f64>,
    usd_per_million_tokens: Option<UnitCosts>,
    #[serde(skip)]
    histograms: BTreeMap<Stat, Histogram>,
}

#[derive(Serialize, Default)]
struct Tokens {
    input: u64,
    output: u64,
}

#[derive(Serialize, Default)]
struct Latency {
    ttft: Option<Quantiles>,
    tpot: Option<Quantiles>,
    duration: Option<Quantiles>,
}

/// From the buckets, as Prometheus' `histogram_quantile` works them out.
#[derive(Serialize)]
struct Quantiles {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

/// By token type and over `all`; see [`UnitCost`] for the two bases.
#[derive(Serialize)]
struct UnitCosts {
    usage: BTreeMap<&'static str, f64>,
    allocation: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
struct Cost {
    /// Instance and overhead; energy comes on top.
    usd_per_hour: f64,
    /// `config`, `owned` or `catalogue`.
    price_source: &'static str,
    bill_usd: f64,
    attributed_usd: f64,
    /// The part of what is attributed that failed, broke off or was left by its client.
    wasted_usd: f64,
    idle_usd: f64,
    unattributed_usd: f64,
    pending_usd: f64,
}

/// One month of a budget.
#[derive(Serialize)]
struct Budget<'a> {
    budget: &'a str,
    limit_usd: f64,
    spent_usd: f64,
    /// By the blended method; null while too little was seen.
    forecast_usd: Option<f64>,
    /// Unix seconds.
    period_start: i64,
    period_end: i64,
}

impl<'a> From<&'a BudgetReport> for Budget<'a> {
    fn from(report: &'a BudgetReport) -> Self {
        Self {
            budget: &report.name,
            limit_usd: report.limit.dollars(),
            spent_usd: report.spent.dollars(),
            forecast_usd: report.blended.map(NanoDollars::dollars),
            period_start: report.period.start,
            period_end: report.period.end,
        }
    }
}

/// What the engine itself says. Null is what it does not say.
#[derive(Serialize)]
struct EngineState<'a> {
    engine: &'a str,
    upstream: Option<&'a str>,
    kind: Option<&'static str>,
    requests_running: Option<f64>,
    requests_waiting: Option<f64>,
    kv_cache_usage: Option<f64>,
}

impl<'a> From<&'a Engine> for EngineState<'a> {
    fn from(engine: &'a Engine) -> Self {
        let stats = engine.stats.outcome.as_ref().ok();
        let get = |figure| stats.and_then(|stats| stats.get(figure));
        Self {
            engine: &engine.name,
            upstream: engine.upstream.as_deref(),
            kind: stats.map(|stats| stats.kind.as_str()),
            requests_running: get(Figure::RequestsRunning),
            requests_waiting: get(Figure::RequestsWaiting),
            kv_cache_usage: get(Figure::KvCacheUsage),
        }
    }
}

/// Writes the object.
pub(crate) fn json(snapshot: &Snapshot) -> String {
    let cost = snapshot.cost.as_ref();
    let summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        taken_at: snapshot.taken_at.map(unix_seconds),
        sources: sources(snapshot),
        models: snapshot
            .envoy
            .outcome
            .as_ref()
            .map(|stats| models(stats, cost))
            .unwrap_or_default(),
        budgets: snapshot.budgets.iter().map(Budget::from).collect(),
        engines: snapshot.engines.iter().map(EngineState::from).collect(),
        gpus: snapshot.nvml.as_ref().and_then(Gpus::of),
        cost: cost.zip(snapshot.price.as_ref().ok()).map(Cost::from),
    };
    // No map here has keys that are not text, so there is nothing that could fail.
    serde_json::to_string(&summary).unwrap_or_default()
}

fn sources(snapshot: &Snapshot) -> Vec<SourceState<'_>> {
    let sources = snapshot.sources().into_iter().map(|health| SourceState {
        name: health.name,
        up: health.error.is_none(),
        error: health.error,
        last_success: health.last_success.map(unix_seconds),
    });
    sources.collect()
}

fn models<'a>(stats: &'a EnvoyStats, cost: Option<&CostReport>) -> Vec<Model<'a>> {
    let mut models = BTreeMap::<&str, Model<'_>>::new();
    for (series, value) in &stats.series {
        let Some(name) = series.labels.get(Label::Model) else { continue };
        let model = models.entry(name).or_default();
        model.model = name;
        let label = |label| series.labels.get(label).unwrap_or("unknown");
        let count = value.as_count().unwrap_or(0);
        match (series.stat, value) {
            (Stat::Requests, _) => {
                model.requests += count;
                *model.outcomes.entry(label(Label::Outcome)).or_default() += count;
            }
            (Stat::Errors, _) => *model.errors.entry(label(Label::Class)).or_default() += count,
            (Stat::InputTokens, _) => {
                model.tokens.entry(label(Label::Source)).or_default().input += count;
            }
            (Stat::OutputTokens, _) => {
                model.tokens.entry(label(Label::Source)).or_default().output += count;
            }
            (Stat::CacheReadInputTokens, _) => model.cache_read_input_tokens += count,
            (stat @ (Stat::Ttft | Stat::Tpot | Stat::Duration), Value::Histogram(histogram)) => {
                model.histograms.entry(stat).or_default().merge(histogram);
            }
            _ => {}
        }
    }
    models.into_values().map(|model| model.finish(cost)).collect()
}

impl Model<'_> {
    fn finish(mut self, cost: Option<&CostReport>) -> Self {
        let quantiles = |stat| self.histograms.get(&stat).and_then(Quantiles::of_micros);
        self.latency_seconds = Latency {
            ttft: quantiles(Stat::Ttft),
            tpot: quantiles(Stat::Tpot),
            duration: quantiles(Stat::Duration),
        };
        self.usd = cost.map(|cost| {
            let lines = cost.attributed.iter().chain(&cost.held);
            lines
                .filter(|(key, _)| key.model == self.model)
                .map(|(_, sum)| *sum)
                .sum::<NanoDollars>()
                .dollars()
        });
        self.usd_per_million_tokens =
            cost.and_then(|cost| cost.unit_costs.get(self.model)).map(UnitCosts::from);
        self
    }
}

impl Quantiles {
    fn of_micros(histogram: &Histogram) -> Option<Self> {
        let seconds = |q| histogram.quantile(q).map(|micros| micros / 1e6);
        (histogram.count > 0.0).then(|| Self {
            p50: seconds(0.5),
            p95: seconds(0.95),
            p99: seconds(0.99),
        })
    }
}

impl From<&ModelUnitCosts> for UnitCosts {
    fn from(costs: &ModelUnitCosts) -> Self {
        let by = |basis: fn(&UnitCost) -> f64| {
            let by_type = costs.by_type.iter().map(|(kind, cost)| (kind.as_str(), basis(cost)));
            by_type.chain(costs.all.iter().map(|cost| ("all", basis(cost)))).collect()
        };
        Self { usage: by(|cost| cost.usage), allocation: by(|cost| cost.allocation) }
    }
}

impl From<(&CostReport, &Price)> for Cost {
    fn from((cost, price): (&CostReport, &Price)) -> Self {
        fn usd<'a>(amounts: impl Iterator<Item = &'a NanoDollars>) -> f64 {
            amounts.copied().sum::<NanoDollars>().dollars()
        }
        // Nobody waits for Prometheus here: what is held back is attributed.
        let attributed = || cost.attributed.iter().chain(&cost.held);
        let wasted = attributed().filter(|(key, _)| key.outcome != CostOutcome::Ok);
        let held: NanoDollars = cost.held.iter().map(|(_, sum)| *sum).sum();
        Self {
            usd_per_hour: price.rates.instance.dollars()
                + price.rates.overhead.map_or(0.0, HourlyPrice::dollars),
            price_source: price.source,
            bill_usd: usd(cost.bill.iter().map(|(_, sum)| sum)),
            attributed_usd: usd(attributed().map(|(_, sum)| sum)),
            wasted_usd: usd(wasted.map(|(_, sum)| sum)),
            idle_usd: usd(cost.idle.iter().map(|(_, _, sum)| sum)),
            unattributed_usd: usd(cost.unattributed.iter().map(|(_, sum)| sum)),
            pending_usd: (cost.pending - held).dollars(),
        }
    }
}

fn unix_seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
