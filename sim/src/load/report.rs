//! The summary of a load, per model.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Observation;
use crate::outcome::{ErrorClass, Outcome};

/// What a load saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// From the first request to the last end.
    pub elapsed: Duration,
    /// Every request, in the order of their ends.
    pub observations: Vec<Observation>,
    /// The sums, by model name.
    pub models: Vec<ModelReport>,
}

/// What a load saw of one model. Percentiles are nearest-rank over single requests; absent means none was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelReport {
    /// The model that was asked for.
    pub model: String,
    /// Requests that ended.
    pub requests: u64,
    /// Median time to the first generated event.
    pub ttft_p50_ms: Option<f64>,
    /// 95th percentile of it.
    pub ttft_p95_ms: Option<f64>,
    /// Median time per output token.
    pub tpot_p50_ms: Option<f64>,
    /// Input tokens as received in usage.
    pub input_tokens: u64,
    /// Output tokens as received in usage.
    pub output_tokens: u64,
    /// Requests by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Errors by class.
    pub errors: BTreeMap<ErrorClass, u64>,
}

impl Report {
    /// Sums up.
    pub fn new(elapsed: Duration, observations: Vec<Observation>) -> Self {
        let mut by_model: BTreeMap<&str, Vec<&Observation>> = BTreeMap::new();
        for observation in &observations {
            by_model.entry(&observation.model).or_default().push(observation);
        }
        let models =
            by_model.into_iter().map(|(model, seen)| ModelReport::new(model, &seen)).collect();
        Self { elapsed, observations, models }
    }
}

impl ModelReport {
    fn new(model: &str, seen: &[&Observation]) -> Self {
        let mut ttft: Vec<_> = seen.iter().filter_map(|request| request.ttft_us).collect();
        let mut tpot: Vec<_> = seen.iter().filter_map(|request| request.tpot_us).collect();
        ttft.sort_unstable();
        tpot.sort_unstable();
        let usages = || seen.iter().filter_map(|request| request.usage);
        Self {
            model: model.to_owned(),
            requests: u64::try_from(seen.len()).unwrap_or(u64::MAX),
            ttft_p50_ms: percentile_ms(&ttft, 50),
            ttft_p95_ms: percentile_ms(&ttft, 95),
            tpot_p50_ms: percentile_ms(&tpot, 50),
            input_tokens: usages().map(|usage| usage.input).sum(),
            output_tokens: usages().map(|usage| usage.output).sum(),
            outcomes: count(seen.iter().map(|request| request.outcome)),
            errors: count(seen.iter().filter_map(|request| request.error_class)),
        }
    }
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn percentile_ms(sorted_us: &[u64], percent: usize) -> Option<f64> {
    let rank = (sorted_us.len() * percent).div_ceil(100);
    let micros = *sorted_us.get(rank.checked_sub(1)?)?;
    Some(Duration::from_micros(micros).as_secs_f64() * 1000.0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.models.iter().map(|model| model.model.len()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "{:width$}  requests  TTFT p50  TTFT p95  TPOT p50  tokens in  tokens out  outcomes and errors",
            "model"
        )?;
        for model in &self.models {
            writeln!(
                f,
                "{:width$}  {:>8}  {:>8}  {:>8}  {:>8}  {:>9}  {:>10}  {}",
                model.model,
                model.requests,
                ms(model.ttft_p50_ms),
                ms(model.ttft_p95_ms),
                ms(model.tpot_p50_ms),
                model.input_tokens,
                model.output_tokens,
                Counts(model),
            )?;
        }
        write!(f, "{} requests in {:.1} s", self.observations.len(), self.elapsed.as_secs_f64())
    }
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} ms"))
}

/// `success 70, client_abort 20, error 10 (rate_limited 6, auth 4)`.
struct Counts<'a>(&'a ModelReport);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors: Vec<_> =
            self.0.errors.iter().map(|(class, count)| format!("{class} {count}")).collect();
        let outcomes = self.0.outcomes.iter().map(|(outcome, count)| match outcome {
            Outcome::Error => format!("{outcome} {count} ({})", errors.join(", ")),
            Outcome::Success | Outcome::ClientAbort | Outcome::Truncated => {
                format!("{outcome} {count}")
            }
        });
        f.write_str(&outcomes.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<u64> = (1..=20).map(|value| value * 1000).collect();
        assert_eq!(percentile_ms(&values, 50), Some(10.0));
        assert_eq!(percentile_ms(&values, 95), Some(19.0));
        assert_eq!(percentile_ms(&values[..1], 95), Some(1.0));
        assert_eq!(percentile_ms(&[], 50), None);
    }
}
