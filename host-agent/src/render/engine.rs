//! The serving engines' figures under one name each, and what the gateway counted beyond them.

use std::collections::BTreeMap;

use super::page::Page;
use crate::engines::{Difference, Figure};
use crate::snapshot::Engine;

/// Counters end in `_total`; all else is a gauge.
const FIGURES: &[(Figure, &str, &str)] = &[
    (
        Figure::RequestsRunning,
        "gaugeway_engine_requests_running",
        "Requests that the engine works on.",
    ),
    (
        Figure::RequestsWaiting,
        "gaugeway_engine_requests_waiting",
        "Requests in the engine's queue.",
    ),
    (Figure::KvCacheUsage, "gaugeway_engine_kv_cache_usage_ratio", "Used share of the KV cache."),
    (
        Figure::PrefixCacheQueries,
        "gaugeway_engine_prefix_cache_query_tokens_total",
        "Tokens looked up in the prefix cache.",
    ),
    (
        Figure::PrefixCacheHits,
        "gaugeway_engine_prefix_cache_hit_tokens_total",
        "Tokens found in the prefix cache.",
    ),
    (
        Figure::Preemptions,
        "gaugeway_engine_preemptions_total",
        "Requests thrown back into the queue because the KV cache was full.",
    ),
    (
        Figure::InputTokens,
        "gaugeway_engine_input_tokens_total",
        "Input tokens as the engine counts them.",
    ),
    (
        Figure::OutputTokens,
        "gaugeway_engine_output_tokens_total",
        "Output tokens as the engine counts them.",
    ),
    (
        Figure::TtftSum,
        "gaugeway_engine_ttft_sum_seconds_total",
        "Time to first token as the engine measures it, summed.",
    ),
    (
        Figure::TtftCount,
        "gaugeway_engine_ttft_requests_total",
        "Requests in gaugeway_engine_ttft_sum_seconds_total.",
    ),
    (
        Figure::ItlSum,
        "gaugeway_engine_inter_token_sum_seconds_total",
        "Time between tokens as the engine measures it, summed.",
    ),
    (
        Figure::ItlCount,
        "gaugeway_engine_inter_token_gaps_total",
        "Gaps in gaugeway_engine_inter_token_sum_seconds_total.",
    ),
];

pub(super) fn add(page: &mut Page, engines: &[Engine], differences: &BTreeMap<String, Difference>) {
    for engine in engines {
        let Ok(stats) = &engine.stats.outcome else { continue };
        let mut labels = vec![("engine", engine.name.as_str()), ("kind", stats.kind.as_str())];
        labels.extend(engine.upstream.as_deref().map(|upstream| ("upstream", upstream)));
        for (figure, name, help) in FIGURES {
            match stats.get(*figure) {
                Some(value) if name.ends_with("_total") => page.counter(name, help, &labels, value),
                Some(value) => page.gauge(name, help, &labels, value),
                None => {}
            }
        }
    }
    for (upstream, difference) in differences {
        let upstream = ("upstream", upstream.as_str());
        let tokens = [("input", difference.input_tokens), ("output", difference.output_tokens)];
        for (token_type, difference) in tokens {
            let Some(difference) = difference else { continue };
            page.gauge(
                "gaugeway_engine_token_difference",
                "Tokens that the gateway counted beyond the engines since the agent has seen both. Below 0: work that no client was told of.",
                &[upstream, ("token_type", token_type)],
                difference,
            );
        }
        if let Some(seconds) = difference.ttft_seconds {
            page.gauge(
                "gaugeway_engine_ttft_difference_seconds",
                "Mean time to first token over the last minutes: at the gateway, less at the engines.",
                &[upstream],
                seconds,
            );
        }
    }
}
