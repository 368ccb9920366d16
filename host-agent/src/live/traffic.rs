//! What came through the gateway since its last page, by model, upstream and tenant.

use std::collections::BTreeMap;

use gaugeway_core::stat::{Label, Stat};
use serde::Serialize;

use crate::envoy::{EnvoyStats, Histogram, Series, Value};

/// Most lines of a frame. The filter's caps on labels keep a second far below it.
const MAX_LINES: usize = 512;

/// The traffic of a frame.
#[derive(Serialize)]
pub(super) struct Traffic<'a> {
    /// Since the gateway's page before this one; more than the frame where the gateway was down.
    seconds: f64,
    /// Requests in flight.
    active: u64,
    lines: Vec<Line<'a>>,
    /// Whether there were more lines than fit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

/// Whose traffic it is. The gateway counts latencies, errors and goodput without a tenant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Whose<'a> {
    model: &'a str,
    upstream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

/// What is not there did not rise.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    whose: Whose<'a>,
    #[serde(flatten)]
    grown: Grown<'a>,
}

#[derive(Default, Serialize)]
struct Grown<'a> {
    /// By outcome.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    requests: BTreeMap<&'a str, u64>,
    /// By class and phase.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<&'a str, BTreeMap<&'a str, u64>>,
    /// By source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<&'a str, Tokens>,
    /// A part of the input.
    #[serde(skip_serializing_if = "is_zero")]
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    slo_eligible: u64,
    #[serde(skip_serializing_if = "is_zero")]
    slo_good: u64,
    /// By SLO.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slo_violated: BTreeMap<&'a str, u64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft: Option<Buckets>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpot: Option<Buckets>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Buckets>,
}

#[derive(Default, Serialize)]
struct Tokens {
    input: u64,
    output: u64,
}

/// Buckets that are not empty: lower bound, upper bound, observations in between. The last one has
/// no upper bound.
#[derive(Serialize)]
struct Buckets(Vec<(f64, Option<f64>, u64)>);

impl<'a> Traffic<'a> {
    pub(super) fn between(before: &EnvoyStats, now: &'a EnvoyStats, seconds: f64) -> Self {
        let mut lines = BTreeMap::<Whose<'_>, Grown<'_>>::new();
        let mut histograms = BTreeMap::<(Whose<'_>, Stat), Histogram>::new();
        let (mut active, mut cut) = (0, false);
        for (series, value) in &now.series {
            if let (Stat::ActiveStreams, Value::Number(number)) = (series.stat, value) {
                active += whole(*number);
                continue;
            }
            let earlier = before.series.get(series);
            if earlier == Some(value) {
                continue;
            }
            let Some(whose) = Whose::of(series) else { continue };
            if !lines.contains_key(&whose) && lines.len() >= MAX_LINES {
                cut = true;
                continue;
            }
            match value {
                Value::Number(number) => {
                    lines.entry(whose).or_default().add(series, growth(earlier, *number));
                }
                Value::Histogram(histogram) => {
                    lines.entry(whose).or_default();
                    let grown = histogram_growth(earlier, histogram);
                    histograms.entry((whose, series.stat)).or_default().merge(&grown);
                }
            }
        }
        for ((whose, stat), histogram) in histograms {
            lines.entry(whose).or_default().set(stat, &histogram);
        }
        let lines = lines.into_iter().map(|(whose, grown)| Line { whose, grown });
        Self { seconds, active, lines: lines.collect(), cut }
    }
}

impl<'a> Whose<'a> {
    /// `None` for stats that are not shown.
    fn of(series: &'a Series) -> Option<Self> {
        let shown = matches!(
            series.stat,
            Stat::Requests
                | Stat::Errors
                | Stat::InputTokens
                | Stat::OutputTokens
                | Stat::CacheReadInputTokens
                | Stat::SloEligible
                | Stat::SloGood
                | Stat::SloViolated
                | Stat::Ttft
                | Stat::Tpot
                | Stat::Duration
        );
        let label = |label| series.labels.get(label);
        shown.then_some(Self {
            model: label(Label::Model)?,
            upstream: label(Label::Upstream).unwrap_or("unknown"),
            tenant: label(Label::Tenant),
        })
    }
}

impl<'a> Grown<'a> {
    fn add(&mut self, series: &'a Series, grown: u64) {
        let label = |label| series.labels.get(label).unwrap_or("unknown");
        *match series.stat {
            Stat::Requests => self.requests.entry(label(Label::Outcome)).or_default(),
            Stat::Errors => {
                let phases = self.errors.entry(label(Label::Class)).or_default();
                phases.entry(label(Label::Phase)).or_default()
            }
            Stat::InputTokens => &mut self.tokens.entry(label(Label::Source)).or_default().input,
            Stat::OutputTokens => &mut self.tokens.entry(label(Label::Source)).or_default().output,
            Stat::CacheReadInputTokens => &mut self.cache_read_input_tokens,
            Stat::SloEligible => &mut self.slo_eligible,
            Stat::SloGood => &mut self.slo_good,
            Stat::SloViolated => self.slo_violated.entry(label(Label::Slo)).or_default(),
            _ => return,
        } += grown;
    }

    fn set(&mut self, stat: Stat, histogram: &Histogram) {
        match stat {
            Stat::Ttft => self.ttft = Buckets::of_micros(histogram),
            Stat::Tpot => self.tpot = Buckets::of_micros(histogram),
            Stat::Duration => self.duration = Buckets::of_micros(histogram),
            _ => {}
        }
    }
}

impl Buckets {
    /// `None` without observations.
    fn of_micros(histogram: &Histogram) -> Option<Self> {
        let mut buckets = Vec::new();
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &histogram.buckets {
            buckets.push((lower / 1e6, Some(bound / 1e6), whole(count - below)));
            (lower, below) = (*bound, *count);
        }
        buckets.push((lower / 1e6, None, whole(histogram.count - below)));
        buckets.retain(|(.., count)| *count > 0);
        (!buckets.is_empty()).then_some(Self(buckets))
    }
}

/// A counter that fell started over, as for Prometheus; one that was not there was 0.
fn growth(earlier: Option<&Value>, now: f64) -> u64 {
    whole(match earlier {
        Some(Value::Number(before)) if now >= *before => now - before,
        _ => now,
    })
}

/// A count, which is shorter in JSON than a float.
fn whole(count: f64) -> u64 {
    Value::Number(count).as_count().unwrap_or(0)
}

fn histogram_growth(earlier: Option<&Value>, now: &Histogram) -> Histogram {
    match earlier {
        Some(Value::Histogram(before)) => now.since(before).unwrap_or_else(|| now.clone()),
        _ => now.clone(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
