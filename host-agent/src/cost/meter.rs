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
    last: BTreeMap<Series, Last>,
    uptime_seconds: Option<f64>,
    /// How many pages there were.
    pages: u64,
}

#[derive(Debug)]
struct Last {
    value: u64,
    /// On which page it was last seen.
    page: u64,
}

impl Meter {
    /// What each metered counter grew by.
    ///
    /// The first page is the baseline: what it shows was counted before the agent ran, and is not
    /// the agent's to bill, unless Envoy started after the agent. A counter that appears later
    /// counts in full. After a restart of Envoy, known by a shorter uptime, every counter does; a
    /// counter that fell for any other reason restarted alone.
    pub(super) fn advance<'page>(
        &mut self,
        page: &'page EnvoyStats,
        agent_age: Duration,
    ) -> Vec<(&'page Series, u64)> {
        let started_after_us = page
            .uptime_seconds
            .is_some_and(|uptime| uptime + UPTIME_LAG.as_secs_f64() < agent_age.as_secs_f64());
        let is_baseline = self.pages == 0 && !started_after_us;
        let restarted = matches!((self.uptime_seconds, page.uptime_seconds), (Some(then), Some(now)) if now < then);
        self.uptime_seconds = page.uptime_seconds;
        self.pages += 1;
        let (mut grown, mut seen) = (Vec::new(), 0);
        for (series, value) in METERED.iter().flat_map(|stat| page.of(*stat)) {
            let Some(value) = value.as_count() else { continue };
            seen += 1;
            let now = Last { value, page: self.pages };
            // Most are known, so that keys are copied only once.
            let before = match self.last.get_mut(series) {
                Some(last) => Some(std::mem::replace(last, now).value),
                None => self.last.insert(series.clone(), now).map(|last| last.value),
            };
            let growth = before.filter(|_| !restarted).and_then(|before| value.checked_sub(before));
            let growth = growth.unwrap_or(value);
            if growth > 0 && !is_baseline {
                grown.push((series, growth));
            }
        }
        if seen < self.last.len() {
            self.last.retain(|_, last| last.page == self.pages);
        }
        grown
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
            let page = page(*uptime, outputs);
            let growths = meter.advance(&page, Duration::from_secs(20)).into_iter();
            grown = growths.map(|(_, growth)| growth).collect();
        }
        assert_eq!(grown, last);
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
