//! What the filter measured for each stream, from Envoy's access log: exact where a histogram is not.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Streams of one model.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    ttft_us: Vec<u64>,
    tpot_us: Vec<u64>,
}

/// The fields that matter here; Envoy writes filter state as text, and leaves out what is not known.
#[derive(Deserialize)]
struct Line {
    model: Option<String>,
    ttft_us: Option<String>,
    tpot_us: Option<String>,
}

/// Requests in the log that the filter took for LLM traffic, by model.
pub(crate) fn by_model(log: &str) -> Result<BTreeMap<String, Latencies>> {
    let mut models = BTreeMap::<_, Latencies>::new();
    for line in whole_lines(log) {
        let line: Line =
            serde_json::from_str(line).with_context(|| format!("access log: {line}"))?;
        let Some(model) = line.model else { continue };
        let latencies = models.entry(model).or_default();
        latencies.ttft_us.extend(micros(line.ttft_us.as_deref())?);
        latencies.tpot_us.extend(micros(line.tpot_us.as_deref())?);
    }
    for latencies in models.values_mut() {
        latencies.ttft_us.sort_unstable();
        latencies.tpot_us.sort_unstable();
    }
    Ok(models)
}

/// Complete lines; Envoy may be writing another.
pub(crate) fn whole_lines(log: &str) -> impl Iterator<Item = &str> {
    log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

impl Latencies {
    /// A percentile of the time to first token, in milliseconds.
    pub(crate) fn ttft_ms(&self, percent: u64) -> Option<f64> {
        percentile_ms(&self.ttft_us, percent)
    }

    /// A percentile of the time per output token, in milliseconds.
    pub(crate) fn tpot_ms(&self, percent: u64) -> Option<f64> {
        percentile_ms(&self.tpot_us, percent)
    }
}

/// By nearest rank: always a value that occurred.
fn percentile_ms(sorted: &[u64], percent: u64) -> Option<f64> {
    let rank = (sorted.len() as u64 * percent).div_ceil(100).max(1);
    let micros = sorted.get(usize::try_from(rank - 1).ok()?)?;
    Some(*micros as f64 / 1000.0)
}

fn micros(text: Option<&str>) -> Result<Option<u64>> {
    text.map(|text| text.parse().with_context(|| format!("access log: `{text}` microseconds")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<u64> = (1..=100).map(|n| n * 1000).collect();
        for (percent, ms) in [(1, 1.0), (50, 50.0), (95, 95.0), (100, 100.0)] {
            assert_eq!(percentile_ms(&hundred, percent), Some(ms));
        }
        assert_eq!(percentile_ms(&[7], 50), Some(0.007));
        assert_eq!(percentile_ms(&[], 50), None);
    }

    #[test]
    fn lines_are_grouped_and_what_is_absent_stays_absent() {
        let log = "{\"model\":\"a\",\"ttft_us\":\"2000\",\"tpot_us\":\"10\"}\n\
                   {\"model\":\"a\",\"ttft_us\":\"1000\"}\n\
                   {\"path\":\"/health\"}\n\
                   {\"model\":\"b\"}\n\
                   {\"model\":\"b\",\"ttft";
        let models = by_model(log).unwrap();
        assert_eq!(models["a"].ttft_us, [1000, 2000]);
        assert_eq!(models["a"].tpot_ms(50), Some(0.01));
        assert_eq!(models["b"].ttft_ms(50), None);
        assert!(by_model("{\"model\":\"a\",\"ttft_us\":\"soon\"}\n").is_err());
    }
}
