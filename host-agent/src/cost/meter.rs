//! Turns the gateway's counters into what happened since the last tick, across restarts of either.

use std::collections::BTreeMap;
use std::time::Duration;

use gaugeway_core::stat::Stat;

use crate::envoy::{EnvoyStats, Series};

/// The counters that cost is worked out from.
const METERED: [Stat; 4] =
    [Stat::InputTokens, Stat::OutputTokens, Stat::CacheReadInputTokens, Stat::DurationSum];

/// Envoy sets its uptime at each stats flush, every 5 s unless configured otherwise; until then it
/// reads too low.
const UPTIME_LAG: Duration = Duration::from_secs(5);

/// Remembers the last value of each counter. Its memory is bounded by one page: a counter that is
/// no longer on the page is forgotten, for Envoy drops stats only by restarting.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    values: BTreeMap<Series, u64>,
    uptime_seconds: Option<f64>,
}

impl Meter {
    /// What each metered counter grew by.
    ///
    /// The first page is the baseline: what it shows was counted before the agent ran, and is not
    /// the agent's to bill, unless Envoy started after the agent. A counter that appears later
    /// counts in full. After a restart of Envoy, known by a shorter uptime, every counter does; a
    /// counter that fell for any other reason restarted alone.
    pub(super) fn advance(&mut self, page: &EnvoyStats, agent_age: Duration) -> Vec<(Series, u64)> {
        let now: BTreeMap<_, _> = METERED
            .iter()
            .flat_map(|stat| page.of(*stat))
            .filter_map(|(series, value)| Some((series.clone(), value.as_count()?)))
            .collect();
        let started_after_us = page
            .uptime_seconds
            .is_some_and(|uptime| uptime + UPTIME_LAG.as_secs_f64() < agent_age.as_secs_f64());
        let grown = match &self.last {
            None if started_after_us => now.clone().into_iter().collect(),
            None => Vec::new(),
            Some(last) => {
                let restarted = matches!((last.uptime_seconds, page.uptime_seconds), (Some(then), Some(now)) if now < then);
                now.iter()
                    .map(|(series, value)| {
                        let before = last.values.get(series).filter(|_| !restarted);
                        let growth = before.and_then(|before| value.checked_sub(*before));
                        (series.clone(), growth.unwrap_or(*value))
                    })
                    .collect()
            }
        };
        self.last = Some(Last { values: now, uptime_seconds: page.uptime_seconds });
        grown.into_iter().filter(|(_, growth)| *growth > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::Value;

    fn page(uptime: f64, outputs: &[(&str, f64)]) -> EnvoyStats {
        let series = |model: &str| Series {
            stat: Stat::OutputTokens,
            labels: [("model", model)].into_iter().collect(),
        };
        EnvoyStats {
            series: outputs.iter().map(|(m, v)| (series(m), Value::Number(*v))).collect(),
            uptime_seconds: Some(uptime),
            ..EnvoyStats::default()
        }
    }

    #[track_caller]
    fn check(pages: &[(f64, &[(&str, f64)])], last: &[u64]) {
        let mut meter = Meter::default();
        let mut grown = Vec::new();
        for (uptime, outputs) in pages {
            grown = meter.advance(&page(*uptime, outputs), Duration::from_secs(20));
        }
        assert_eq!(grown.iter().map(|(_, growth)| *growth).collect::<Vec<_>>(), last);
    }

    #[test]
    fn the_first_page_is_the_baseline() {
        check(&[(100.0, &[("a", 50.0)])], &[]);
        check(&[(100.0, &[("a", 50.0)]), (105.0, &[("a", 53.0)])], &[3]);
    }

    #[test]
    fn an_envoy_that_is_younger_than_the_agent_counts_from_the_start() {
        check(&[(3.0, &[("a", 50.0)])], &[50]);
        // 16 s may be 21 s by now: it may have started before an agent of 20 s.
        check(&[(16.0, &[("a", 50.0)])], &[]);
    }

    #[test]
    fn a_counter_that_appears_counts_in_full() {
        check(&[(100.0, &[("a", 50.0)]), (105.0, &[("a", 50.0), ("b", 7.0)])], &[7]);
    }

    #[test]
    fn restarts_lose_nothing_that_was_counted_since() {
        // Fell: restarted.
        check(&[(100.0, &[("a", 50.0)]), (105.0, &[("a", 4.0)])], &[4]);
        // Has overtaken the old value already; only the uptime tells.
        check(&[(100.0, &[("a", 50.0)]), (2.0, &[("a", 60.0)])], &[60]);
        // Was away for a page.
        check(&[(100.0, &[("a", 50.0)]), (2.0, &[]), (7.0, &[("a", 60.0)])], &[60]);
    }

    #[test]
    fn what_is_no_count_is_left_out() {
        check(&[(1.0, &[("a", f64::NAN), ("b", -1.0), ("c", 1e300)])], &[]);
    }
}
