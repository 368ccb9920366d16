//! The gateway's counts against the engines' own.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gaugeway_core::stat::{Label, Stat};

use super::{EngineStats, Figure};
use crate::envoy::{EnvoyStats, Value};

/// The mean time to first token is compared over this long, in this many steps.
const WINDOW: Duration = Duration::from_mins(5);
const SLOTS: u32 = 10;

/// What the gateway counted beyond the engines behind one upstream; negative where the engines
/// counted more. Absent where one of the two does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// Input tokens since both were first seen.
    pub input_tokens: Option<f64>,
    /// Output tokens since both were first seen. Engines go on counting after a client has left.
    pub output_tokens: Option<f64>,
    /// Mean time to first token over the last minutes, in seconds: what lies between client and engine.
    pub ttft_seconds: Option<f64>,
}

/// Follows the counters of both sides, across restarts of either.
#[derive(Debug, Default)]
pub struct Reconciler {
    upstreams: BTreeMap<String, Upstream>,
}

#[derive(Debug, Default)]
struct Upstream {
    input: Pair,
    output: Pair,
    ttft: Means,
}

/// Growth of the same count on both sides, from the moment that both were there.
#[derive(Debug, Default)]
struct Pair {
    gateway: Growth,
    engine: Growth,
}

/// How much a counter grew since it was first seen; one that fell has started over.
#[derive(Debug, Default)]
struct Growth {
    last: Option<f64>,
    sum: f64,
}

impl Growth {
    /// Returns what the counter grew by.
    fn follow(&mut self, value: f64) -> f64 {
        let grown = match self.last.replace(value) {
            None => 0.0,
            Some(last) if value < last => value,
            Some(last) => value - last,
        };
        self.sum += grown;
        grown
    }
}

impl Pair {
    fn follow(&mut self, gateway: Option<f64>, engine: Option<f64>) -> Option<f64> {
        let (gateway, engine) = (gateway?, engine?);
        self.gateway.follow(gateway);
        self.engine.follow(engine);
        Some(self.gateway.sum - self.engine.sum)
    }
}

/// Sums and counts of the time to first token on both sides, and their growth in the window.
#[derive(Debug, Default)]
struct Means {
    /// Gateway sum and count, engine sum and count.
    counters: [Growth; 4],
    in_slot: Duration,
    slots: VecDeque<[f64; 4]>,
}

impl Means {
    fn follow(&mut self, elapsed: Duration, values: [Option<f64>; 4]) -> Option<f64> {
        let [Some(a), Some(b), Some(c), Some(d)] = values else { return None };
        self.in_slot += elapsed;
        if self.slots.is_empty() || self.in_slot >= WINDOW / SLOTS {
            self.in_slot = Duration::ZERO;
            self.slots.push_back([0.0; 4]);
            if self.slots.len() > SLOTS as usize {
                self.slots.pop_front();
            }
        }
        let slot = self.slots.back_mut()?;
        for ((sum, counter), value) in slot.iter_mut().zip(&mut self.counters).zip([a, b, c, d]) {
            *sum += counter.follow(value);
        }
        let total =
            |place: usize| self.slots.iter().filter_map(|slot| slot.get(place)).sum::<f64>();
        let mean = |sum: f64, count: f64| (count > 0.0).then(|| sum / count);
        Some(mean(total(0), total(1))? - mean(total(2), total(3))?)
    }
}

impl Reconciler {
    /// Compares the pages of one tick. Engines with the same upstream are replicas and are added
    /// up; when one of them is down nothing is said about that upstream.
    pub fn advance(
        &mut self,
        elapsed: Duration,
        gateway: Option<&EnvoyStats>,
        engines: &[(&str, Option<&EngineStats>)],
    ) -> BTreeMap<String, Difference> {
        let Some(gateway) = gateway else { return BTreeMap::new() };
        let mut replicas = BTreeMap::<&str, Vec<Option<&EngineStats>>>::new();
        for (upstream, stats) in engines {
            replicas.entry(upstream).or_default().push(*stats);
        }
        let mut differences = BTreeMap::new();
        for (upstream, stats) in replicas {
            let Some(stats) = stats.into_iter().collect::<Option<Vec<_>>>() else { continue };
            let state = self.upstreams.entry(upstream.to_owned()).or_default();
            differences
                .insert(upstream.to_owned(), state.compare(elapsed, gateway, upstream, &stats));
        }
        differences
    }
}

impl Upstream {
    fn compare(
        &mut self,
        elapsed: Duration,
        gateway: &EnvoyStats,
        upstream: &str,
        engines: &[&EngineStats],
    ) -> Difference {
        let seen = |stat| gateway_sum(gateway, upstream, stat);
        let engine = |figure| engines.iter().map(|stats| stats.get(figure)).sum::<Option<f64>>();
        let cached_too = engines.iter().all(|stats| stats.kind.counts_cached_input());
        let cached = if cached_too { 0.0 } else { seen(Stat::CacheReadInputTokens) };
        let (ttft_sum, ttft_count) = (seen(Stat::TtftSum) / 1e6, seen(Stat::Ttft));
        Difference {
            input_tokens: self
                .input
                .follow(Some(seen(Stat::InputTokens) - cached), engine(Figure::InputTokens)),
            output_tokens: self
                .output
                .follow(Some(seen(Stat::OutputTokens)), engine(Figure::OutputTokens)),
            ttft_seconds: self.ttft.follow(
                elapsed,
                [
                    Some(ttft_sum),
                    Some(ttft_count),
                    engine(Figure::TtftSum),
                    engine(Figure::TtftCount),
                ],
            ),
        }
    }
}

/// A stat summed over an upstream's series: the count of a histogram, the value of all else. Nothing
/// seen yet is 0: the gateway shows a counter from its first request on.
fn gateway_sum(gateway: &EnvoyStats, upstream: &str, stat: Stat) -> f64 {
    let own =
        gateway.of(stat).filter(|(series, _)| series.labels.get(Label::Upstream) == Some(upstream));
    own.map(|(_, value)| match value {
        Value::Number(number) => *number,
        Value::Histogram(histogram) => histogram.count,
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(5);

    fn gateway(input: u64, cached: u64, output: u64) -> EnvoyStats {
        EnvoyStats::read(
            format!(
                "gaugeway_input_tokens_total{{upstream=\"u\",model=\"a\"}} {input}\n\
                 gaugeway_cache_read_input_tokens_total{{upstream=\"u\",model=\"a\"}} {cached}\n\
                 gaugeway_output_tokens_total{{upstream=\"u\",model=\"a\",outcome=\"success\"}} {output}\n\
                 gaugeway_output_tokens_total{{upstream=\"other\",model=\"a\",outcome=\"success\"}} 999\n"
            )
            .as_bytes(),
        )
    }

    fn llama(input: u64, output: u64) -> EngineStats {
        let page = format!(
            "llamacpp:prompt_tokens_total {input}\nllamacpp:tokens_predicted_total {output}\n"
        );
        EngineStats::read(page.as_bytes()).unwrap()
    }

    #[track_caller]
    fn check(pages: &[(EnvoyStats, EngineStats)], input: f64, output: f64) {
        let mut reconciler = Reconciler::default();
        let mut last = BTreeMap::new();
        for (gateway, engine) in pages {
            last = reconciler.advance(TICK, Some(gateway), &[("u", Some(engine))]);
        }
        assert_eq!((last["u"].input_tokens, last["u"].output_tokens), (Some(input), Some(output)));
    }

    #[test]
    fn what_was_there_before_does_not_count() {
        check(&[(gateway(50, 0, 70), llama(900, 900))], 0.0, 0.0);
        check(
            &[(gateway(50, 0, 70), llama(900, 900)), (gateway(60, 0, 90), llama(910, 925))],
            0.0,
            -5.0,
        );
    }

    #[test]
    fn llama_cpp_does_not_count_cached_input() {
        check(&[(gateway(0, 0, 0), llama(0, 0)), (gateway(30, 20, 5), llama(10, 5))], 0.0, 0.0);
    }

    #[test]
    fn both_sides_may_start_over() {
        check(
            &[
                (gateway(0, 0, 0), llama(0, 0)),
                (gateway(10, 0, 10), llama(10, 10)),
                (gateway(4, 0, 4), llama(14, 14)),
                (gateway(6, 0, 6), llama(2, 2)),
            ],
            0.0,
            0.0,
        );
    }

    #[test]
    fn nothing_is_said_while_one_side_or_one_replica_is_down() {
        let mut reconciler = Reconciler::default();
        let (page, engine) = (gateway(1, 0, 1), llama(1, 1));
        assert!(reconciler.advance(TICK, None, &[("u", Some(&engine))]).is_empty());
        let replicas = [("u", Some(&engine)), ("u", None)];
        assert!(reconciler.advance(TICK, Some(&page), &replicas).is_empty());
    }

    #[test]
    fn time_to_first_token_by_the_mean_of_the_window() {
        let gateway = |sum_us: u64, count: u64| {
            EnvoyStats::read(
                format!(
                    "gaugeway_ttft_sum_us_total{{upstream=\"u\"}} {sum_us}\n\
                     gaugeway_ttft_us_count{{upstream=\"u\"}} {count}\n"
                )
                .as_bytes(),
            )
        };
        let vllm = |sum: f64, count: u64| {
            EngineStats::read(
                format!(
                    "vllm:time_to_first_token_seconds_sum {sum}\n\
                     vllm:time_to_first_token_seconds_count {count}\n"
                )
                .as_bytes(),
            )
            .unwrap()
        };
        let mut reconciler = Reconciler::default();
        let mut ttft = |gateway: EnvoyStats, engine: EngineStats, elapsed| {
            reconciler.advance(elapsed, Some(&gateway), &[("u", Some(&engine))])["u"].ttft_seconds
        };
        assert_eq!(ttft(gateway(9_000_000, 9), vllm(9.0, 9), TICK), None, "nothing has grown yet");
        assert_eq!(ttft(gateway(10_000_000, 11), vllm(9.5, 11), TICK), Some(0.25));
        for _ in 0..SLOTS {
            ttft(gateway(10_000_000, 11), vllm(9.5, 11), WINDOW / SLOTS);
        }
        assert_eq!(ttft(gateway(10_000_000, 11), vllm(9.5, 11), TICK), None, "it is long ago");
    }
}
