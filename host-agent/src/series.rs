//! `GET /api/v1/series`: the last hour in short, for pages and scripts. Rules and long spans are
//! Prometheus' work.
//!
//! Points are taken at most every [`STEP`], so the memory is bounded whatever the tick is: an hour of
//! points, each of a bounded number of models and GPUs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gaugeway_core::stat::{Label, Stat};
use serde::Serialize;

use crate::cost::NanoDollars;
use crate::envoy::{EnvoyStats, Histogram, Value};
use crate::gpu::GpuSample;
use crate::snapshot::Snapshot;

const STEP: Duration = Duration::from_secs(10);
const SPAN: Duration = Duration::from_hours(1);
const MAX_MODELS: usize = 64;
const MAX_GPUS: usize = 64;

/// The points of the last hour.
#[derive(Debug, Default)]
pub(crate) struct History {
    points: VecDeque<Point>,
    last: Option<Last>,
}

/// What a point's rates are worked out from.
#[derive(Debug)]
struct Last {
    at: SystemTime,
    models: BTreeMap<Arc<str>, Counters>,
    bill: Option<NanoDollars>,
    idle: Option<NanoDollars>,
}

/// A model's counters since Envoy, and its money since the agent started.
#[derive(Debug, Default)]
struct Counters {
    requests: f64,
    input_tokens: f64,
    output_tokens: f64,
    dollars: Option<f64>,
    ttft: Histogram,
}

#[derive(Debug)]
struct Point {
    at: f64,
    models: BTreeMap<Arc<str>, ModelPoint>,
    gpus: BTreeMap<Arc<str>, GpuPoint>,
    bill: Option<f32>,
    idle: Option<f32>,
}

/// Rates since the point before. Null where a counter started over or the source was down.
#[derive(Debug)]
struct ModelPoint {
    requests_per_second: Option<f32>,
    input_tokens_per_second: Option<f32>,
    output_tokens_per_second: Option<f32>,
    usd_per_hour: Option<f32>,
    ttft_p50_seconds: Option<f32>,
    ttft_p95_seconds: Option<f32>,
}

#[derive(Debug)]
struct GpuPoint {
    utilization_ratio: Option<f32>,
    memory_used_ratio: Option<f32>,
    power_watts: Option<f32>,
}

impl History {
    /// Takes a point when the last one is old enough. A clock that was set back starts anew.
    pub(crate) fn record(&mut self, snapshot: &Snapshot) {
        let Some(at) = snapshot.taken_at else { return };
        let since = match &self.last {
            None => Duration::ZERO,
            Some(last) => match at.duration_since(last.at) {
                Ok(since) if since < STEP => return,
                Ok(since) => since,
                Err(_) => {
                    self.points.clear();
                    Duration::ZERO
                }
            },
        };
        let now = Last::of(snapshot, at);
        if let Some(before) = self.last.as_ref().filter(|_| !since.is_zero()) {
            self.points.push_back(Point::between(before, &now, since, snapshot));
        }
        self.last = Some(now);
        let oldest = unix_seconds(at) - SPAN.as_secs_f64();
        while self.points.front().is_some_and(|point| point.at <= oldest) {
            self.points.pop_front();
        }
    }

    /// The points as JSON: one list per figure, as long as the list of times.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Series<'a> {
            step_seconds: u64,
            times: Vec<f64>,
            cost: BTreeMap<&'static str, Vec<Option<f32>>>,
            models: Columns<'a>,
            gpus: Columns<'a>,
        }
        let cost = |of: fn(&Point) -> Option<f32>| self.points.iter().map(of).collect();
        let series = Series {
            step_seconds: STEP.as_secs(),
            times: self.points.iter().map(|point| point.at).collect(),
            cost: [
                ("bill_usd_per_hour", cost(|point| point.bill)),
                ("idle_usd_per_hour", cost(|point| point.idle)),
            ]
            .into(),
            models: self.columns(|point| &point.models, MODEL_FIGURES),
            gpus: self.columns(|point| &point.gpus, GPU_FIGURES),
        };
        // No map here has keys that are not text, so there is nothing that could fail.
        serde_json::to_string(&series).unwrap_or_default()
    }

    fn columns<P: 'static>(
        &self,
        of: fn(&Point) -> &BTreeMap<Arc<str>, P>,
        figures: &[Figure<P>],
    ) -> Columns<'_> {
        let names: BTreeSet<&str> =
            self.points.iter().flat_map(|point| of(point).keys()).map(AsRef::as_ref).collect();
        let lists = |name: &str| {
            let list = |get: fn(&P) -> Option<f32>| {
                self.points.iter().map(|point| of(point).get(name).and_then(get)).collect()
            };
            figures.iter().map(|Figure(figure, get)| (*figure, list(*get))).collect()
        };
        names.into_iter().map(|name| (name, lists(name))).collect()
    }
}

/// By name and figure.
type Columns<'a> = BTreeMap<&'a str, BTreeMap<&'static str, Vec<Option<f32>>>>;

/// What a list is called and where its values are.
struct Figure<P>(&'static str, fn(&P) -> Option<f32>);

const MODEL_FIGURES: &[Figure<ModelPoint>] = &[
    Figure("requests_per_second", |point| point.requests_per_second),
    Figure("input_tokens_per_second", |point| point.input_tokens_per_second),
    Figure("output_tokens_per_second", |point| point.output_tokens_per_second),
    Figure("usd_per_hour", |point| point.usd_per_hour),
    Figure("ttft_p50_seconds", |point| point.ttft_p50_seconds),
    Figure("ttft_p95_seconds", |point| point.ttft_p95_seconds),
];

const GPU_FIGURES: &[Figure<GpuPoint>] = &[
    Figure("utilization_ratio", |point| point.utilization_ratio),
    Figure("memory_used_ratio", |point| point.memory_used_ratio),
    Figure("power_watts", |point| point.power_watts),
];

impl Last {
    fn of(snapshot: &Snapshot, at: SystemTime) -> Self {
        let cost = snapshot.cost.as_ref();
        let mut models = BTreeMap::new();
        if let Ok(stats) = &snapshot.envoy.outcome {
            models = counters(stats);
            for (model, counters) in &mut models {
                counters.dollars = cost.map(|cost| {
                    let lines = cost.attributed.iter().filter(|(key, _)| *key.model == **model);
                    lines.map(|(_, sum)| *sum).sum::<NanoDollars>().dollars()
                });
            }
        }
        Self {
            at,
            models,
            bill: cost.map(|cost| cost.bill.iter().map(|(_, sum)| *sum).sum()),
            idle: cost.map(|cost| cost.idle.iter().map(|(_, _, sum)| *sum).sum()),
        }
    }
}

/// The first models by name; the filter caps them long before.
fn counters(stats: &EnvoyStats) -> BTreeMap<Arc<str>, Counters> {
    let mut models = BTreeMap::<Arc<str>, Counters>::new();
    let shown = [Stat::Requests, Stat::InputTokens, Stat::OutputTokens, Stat::Ttft];
    for (series, value) in shown.into_iter().flat_map(|stat| stats.of(stat)) {
        let Some(name) = series.labels.get(Label::Model) else { continue };
        if models.len() >= MAX_MODELS && !models.contains_key(name) {
            continue;
        }
        let model = models.entry(Arc::from(name)).or_default();
        match (series.stat, value) {
            (Stat::Requests, Value::Number(number)) => model.requests += number,
            (Stat::InputTokens, Value::Number(number)) => model.input_tokens += number,
            (Stat::OutputTokens, Value::Number(number)) => model.output_tokens += number,
            (_, Value::Histogram(histogram)) => model.ttft.merge(histogram),
            (_, Value::Number(_)) => {}
        }
    }
    models
}

impl Point {
    fn between(before: &Last, now: &Last, since: Duration, snapshot: &Snapshot) -> Self {
        let seconds = since.as_secs_f64();
        let per_hour = |before: Option<NanoDollars>, now: Option<NanoDollars>| {
            rate(before?.dollars(), now?.dollars(), seconds / 3600.0)
        };
        let models = now.models.iter().filter_map(|(name, now)| {
            let point = ModelPoint::between(before.models.get(name)?, now, seconds);
            Some((Arc::clone(name), point))
        });
        let gpus = snapshot.nvml.as_ref().and_then(|nvml| nvml.gpus.outcome.as_deref().ok());
        let gpus = gpus.map(|reading| reading.gpus.as_slice()).unwrap_or_default();
        Self {
            at: unix_seconds(now.at),
            models: models.collect(),
            gpus: gpus
                .iter()
                .take(MAX_GPUS)
                .map(|gpu| (Arc::from(gpu.identity.uuid.as_str()), GpuPoint::of(gpu)))
                .collect(),
            bill: per_hour(before.bill, now.bill),
            idle: per_hour(before.idle, now.idle),
        }
    }
}

impl ModelPoint {
    fn between(before: &Counters, now: &Counters, seconds: f64) -> Self {
        let ttft = now.ttft.since(&before.ttft);
        let quantile =
            |q| ttft.as_ref().and_then(|ttft| ttft.quantile(q)).map(|us| short(us / 1e6));
        let dollars = before.dollars.zip(now.dollars);
        Self {
            requests_per_second: rate(before.requests, now.requests, seconds),
            input_tokens_per_second: rate(before.input_tokens, now.input_tokens, seconds),
            output_tokens_per_second: rate(before.output_tokens, now.output_tokens, seconds),
            usd_per_hour: dollars.and_then(|(before, now)| rate(before, now, seconds / 3600.0)),
            ttft_p50_seconds: quantile(0.5),
            ttft_p95_seconds: quantile(0.95),
        }
    }
}

impl GpuPoint {
    fn of(gpu: &GpuSample) -> Self {
        Self {
            utilization_ratio: gpu.utilization_ratio().map(short),
            memory_used_ratio: gpu.memory_used_ratio().map(short),
            power_watts: gpu.power_milliwatts.map(|power| short(f64::from(power) / 1e3)),
        }
    }
}

/// `None` where a counter fell: it started over.
fn rate(before: f64, now: f64, time: f64) -> Option<f32> {
    (now >= before && time > 0.0).then(|| short((now - before) / time))
}

#[expect(clippy::cast_possible_truncation, reason = "a picture needs no more digits")]
fn short(value: f64) -> f32 {
    value as f32
}

fn unix_seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::snapshot;

    fn at(seconds: u64, requests: u64) -> Snapshot {
        let page = format!(
            "gaugeway_requests_total{{model=\"m\",outcome=\"success\"}} {requests}\n\
             gaugeway_ttft_us_bucket{{model=\"m\",le=\"100000\"}} {requests}\n\
             gaugeway_ttft_us_count{{model=\"m\"}} {requests}\n"
        );
        let mut snapshot = snapshot();
        snapshot.taken_at = Some(UNIX_EPOCH + Duration::from_secs(seconds));
        snapshot.envoy.outcome = Ok(Arc::new(EnvoyStats::read(page.as_bytes())));
        snapshot
    }

    fn json(history: &History) -> serde_json::Value {
        serde_json::from_str(&history.json()).unwrap()
    }

    #[test]
    fn rates_between_points_and_null_where_a_counter_started_over() {
        let mut history = History::default();
        for (seconds, requests) in [(100, 0), (101, 5), (110, 20), (120, 20), (130, 3)] {
            history.record(&at(seconds, requests));
        }
        let json = json(&history);
        assert_eq!(json["times"], serde_json::json!([110.0, 120.0, 130.0]));
        let model = &json["models"]["m"];
        assert_eq!(model["requests_per_second"], serde_json::json!([2.0, 0.0, null]));
        assert_eq!(model["ttft_p50_seconds"], serde_json::json!([0.05, null, null]));
        assert_eq!(json["gpus"]["GPU-1"]["utilization_ratio"], serde_json::json!([0.5, 0.5, 0.5]));
        assert_eq!(json["cost"]["bill_usd_per_hour"], serde_json::json!([0.0, 0.0, 0.0]));
    }

    #[test]
    fn an_hour_of_points_is_kept() {
        let mut history = History::default();
        for step in 0..1_000 {
            history.record(&at(100 + step * 10, step));
        }
        assert_eq!(history.points.len(), 360);
    }

    #[test]
    fn a_clock_that_is_set_back_starts_anew() {
        let mut history = History::default();
        for seconds in [1_000, 1_010, 1_020, 500, 510] {
            history.record(&at(seconds, seconds));
        }
        assert_eq!(json(&history)["times"], serde_json::json!([510.0]));
    }
}
