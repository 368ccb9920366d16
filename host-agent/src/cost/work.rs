//! What the gateway saw in one tick, sorted by pool.

use std::collections::BTreeMap;
use std::time::Duration;

use gaugeway_core::stat::{Label, Stat};

use super::{CostKey, CostOutcome, PoolSpec, TokenType};
use crate::envoy::{EnvoyStats, Series, Value};

/// Tokens and request time of one tick.
#[derive(Debug, Default)]
pub(super) struct Work {
    pools: BTreeMap<usize, PoolWork>,
    unpriced: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct PoolWork {
    tokens: BTreeMap<CostKey, u64>,
    /// Summed durations of the requests that ended in the tick.
    request_time: Duration,
}

impl Work {
    /// Sorts what the counters grew by into the first pool that serves it.
    pub(super) fn gather(grown: Vec<(&Series, u64)>, pools: &[PoolSpec]) -> Self {
        let mut work = Self::default();
        for (series, growth) in grown {
            let label = |label| series.labels.get(label).unwrap_or("unknown");
            let (upstream, model) = (label(Label::Upstream), label(Label::Model));
            let place = pools.iter().position(|pool| pool.serves(upstream, model));
            match (token_type(series.stat), place) {
                (Some(token_type), Some(place)) => {
                    let key = CostKey {
                        model: model.to_owned(),
                        tenant: series.labels.get(Label::Tenant).map(str::to_owned),
                        token_type,
                        outcome: CostOutcome::from_label(series.labels.get(Label::Outcome)),
                    };
                    let tokens = work.pools.entry(place).or_default().tokens.entry(key);
                    add(tokens.or_default(), growth);
                }
                // Cached input is in the input already.
                (Some(TokenType::CachedInput), None) => {}
                (Some(_), None) => add(work.unpriced.entry(model.to_owned()).or_default(), growth),
                (None, Some(place)) => {
                    let time = &mut work.pools.entry(place).or_default().request_time;
                    *time = time.saturating_add(Duration::from_micros(growth));
                }
                (None, None) => {}
            }
        }
        work.pools.values_mut().for_each(PoolWork::take_cached_from_input);
        work
    }

    pub(super) fn request_time(&self, place: usize) -> Duration {
        self.pools.get(&place).map_or(Duration::ZERO, |work| work.request_time)
    }

    pub(super) fn take_tokens(&mut self, place: usize) -> BTreeMap<CostKey, u64> {
        self.pools.get_mut(&place).map(|work| std::mem::take(&mut work.tokens)).unwrap_or_default()
    }

    /// Tokens that no pool serves, by model.
    pub(super) fn take_unpriced(&mut self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.unpriced)
    }
}

impl PoolWork {
    /// The filter's input tokens include cached ones. A page can catch the two counters a moment
    /// apart, so the difference stops at 0.
    fn take_cached_from_input(&mut self) {
        let is_cached = |key: &CostKey| key.token_type == TokenType::CachedInput;
        let cached: Vec<_> = self.tokens.iter().filter(|(key, _)| is_cached(key)).collect();
        let inputs: Vec<_> = cached
            .into_iter()
            .map(|(key, n)| (CostKey { token_type: TokenType::UncachedInput, ..key.clone() }, *n))
            .collect();
        for (input, cached) in inputs {
            if let Some(tokens) = self.tokens.get_mut(&input) {
                *tokens = tokens.saturating_sub(cached);
            }
        }
    }
}

fn token_type(stat: Stat) -> Option<TokenType> {
    match stat {
        Stat::InputTokens => Some(TokenType::UncachedInput),
        Stat::CacheReadInputTokens => Some(TokenType::CachedInput),
        Stat::OutputTokens => Some(TokenType::Output),
        _ => None,
    }
}

/// Whether a request is in flight at an upstream that leads to the pool. Only upstreams that the
/// filter has seen LLM requests on count: an Envoy has other clusters, with streams that never end.
/// Envoy's own gauge goes first; the filter's drifts when a VM of its dies.
pub(super) fn in_flight(page: &EnvoyStats, pool: &PoolSpec) -> bool {
    let upstreams = page.series.keys().filter_map(|series| series.labels.get(Label::Upstream));
    let own = |upstream: &str| {
        let series = Series {
            stat: Stat::ActiveStreams,
            labels: [(Label::Upstream.name(), upstream)].into_iter().collect(),
        };
        match page.series.get(&series) {
            Some(Value::Number(number)) => *number,
            Some(Value::Histogram(_)) | None => 0.0,
        }
    };
    let mut last = None;
    upstreams
        // Series are sorted by label names and values, so one upstream comes in runs.
        .filter(|upstream| last.replace(*upstream) != Some(upstream) && pool.leads_from(upstream))
        .any(|upstream| {
            page.requests_active.get(upstream).copied().unwrap_or_else(|| own(upstream)) > 0.0
        })
}

fn add(sum: &mut u64, growth: u64) {
    *sum = sum.saturating_add(growth);
}
