//! The serving engines' own metrics, and how far the gateway agrees with them.
//!
//! An engine sees what the gateway cannot: its queue, its KV cache, its preemptions. The gateway
//! sees what the engine loses: tenants, aborted answers. Both count tokens and the time to the
//! first one, so each checks the other; see [`reconcile`](Reconciler).

mod names;
mod reconcile;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::exposition::{Sample, samples};
use crate::http::{Ask, Limits, Url, fetch};

pub use names::EngineKind;
pub use reconcile::{Difference, Reconciler};

/// An engine as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The `engine` label.
    pub name: String,
    /// Its metrics page.
    pub url: Url,
    /// The Envoy cluster that leads to it; without one nothing is compared.
    pub upstream: Option<String>,
}

/// One figure of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Requests being worked on.
    RequestsRunning,
    /// Requests in the queue.
    RequestsWaiting,
    /// Used share of the KV cache, 0 to 1.
    KvCacheUsage,
    /// Tokens looked up in the prefix cache.
    PrefixCacheQueries,
    /// Tokens found there.
    PrefixCacheHits,
    /// Requests thrown back into the queue because the KV cache was full.
    Preemptions,
    /// Prompt tokens, as the engine counts them.
    InputTokens,
    /// Generated tokens.
    OutputTokens,
    /// Seconds to the first token, summed.
    TtftSum,
    /// Over so many requests.
    TtftCount,
    /// Seconds between tokens, summed.
    ItlSum,
    /// Over so many gaps.
    ItlCount,
}

/// An engine's page.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineStats {
    /// Which engine it is.
    pub kind: EngineKind,
    figures: BTreeMap<Figure, (usize, f64)>,
    /// Lines that could not be read.
    pub unreadable: u64,
}

impl EngineStats {
    /// Reads a page; `None` when no engine that is known wrote it.
    pub fn read(page: &[u8]) -> Option<Self> {
        let mut stats = None::<Self>;
        let mut unreadable = 0;
        for sample in samples(page) {
            let Ok(sample) = sample else {
                unreadable += 1;
                continue;
            };
            let Some(kind) = EngineKind::of_metric(&sample.name) else { continue };
            let stats =
                stats.get_or_insert_with(|| Self { kind, figures: BTreeMap::new(), unreadable: 0 });
            stats.add(&sample);
        }
        stats.map(|stats| Self { unreadable, ..stats })
    }

    /// A figure; absent where the engine does not have it.
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.figures.get(&figure).map(|(_, value)| *value)
    }

    /// Takes a sample in. Models and data-parallel ranks of one engine are added up; of shares of
    /// caches the fullest counts, for it is the one that holds requests up.
    fn add(&mut self, sample: &Sample<'_>) {
        // NaN is what an engine says of a mean over nothing.
        if !sample.value.is_finite() {
            return;
        }
        for (rank, (name, figure)) in self.kind.names().iter().enumerate() {
            if *name != sample.name {
                continue;
            }
            match self.figures.entry(*figure) {
                Entry::Vacant(entry) => drop(entry.insert((rank, sample.value))),
                Entry::Occupied(mut entry) => {
                    let (known, value) = entry.get_mut();
                    match rank.cmp(known) {
                        std::cmp::Ordering::Less => (*known, *value) = (rank, sample.value),
                        std::cmp::Ordering::Equal if *figure == Figure::KvCacheUsage => {
                            *value = value.max(sample.value);
                        }
                        std::cmp::Ordering::Equal => *value += sample.value,
                        std::cmp::Ordering::Greater => {}
                    }
                }
            }
        }
    }
}

/// An engine's page is smaller than Envoy's, and many of them may be read at once.
const LIMITS: Limits = Limits { body: 4 * 1024 * 1024, ..Limits::PAGE };

/// Reads an engine's page once.
pub async fn collect(url: &Url) -> Result<EngineStats, String> {
    let page = fetch(&url.address, Ask::get(&url.path), LIMITS).await;
    let page = page.map_err(|error| format!("{url}: {error}"))?;
    EngineStats::read(&page)
        .ok_or_else(|| format!("{url}: no metrics of vLLM, SGLang or llama.cpp on the page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, kind: EngineKind, figures: &[(Figure, f64)]) {
        let stats = EngineStats::read(page.as_bytes()).unwrap();
        let read: Vec<_> =
            stats.figures.iter().map(|(figure, (_, value))| (*figure, *value)).collect();
        assert_eq!((stats.kind, read.as_slice()), (kind, figures));
    }

    #[test]
    fn vllm_is_read_by_its_newest_names() {
        check(
            r#"python_gc_objects_collected_total{generation="0"} 9
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 0.0
vllm:gpu_cache_usage_perc{engine="0",model_name="m"} 0.9
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.25
vllm:prompt_tokens_total{engine="0",model_name="m"} 100.0
vllm:prompt_tokens_created{engine="0",model_name="m"} 1.7e+09
vllm:time_to_first_token_seconds_bucket{le="1.0"} 4.0
vllm:time_to_first_token_seconds_sum{engine="0"} 1.5
vllm:time_to_first_token_seconds_count{engine="0"} 4.0
"#,
            EngineKind::Vllm,
            &[
                (RequestsRunning, 5.0),
                (RequestsWaiting, 0.0),
                (KvCacheUsage, 0.5),
                (InputTokens, 100.0),
                (TtftSum, 1.5),
                (TtftCount, 4.0),
            ],
        );
    }

    #[test]
    fn sglang_and_llama_cpp() {
        check(
            "sglang:num_queue_reqs{model_name=\"m\"} 1\nsglang:prompt_tokens_total{} 80\n\
             sglang:cached_tokens_total{} 30\nsglang:cache_hit_rate{} NaN",
            EngineKind::Sglang,
            &[
                (RequestsWaiting, 1.0),
                (PrefixCacheQueries, 80.0),
                (PrefixCacheHits, 30.0),
                (InputTokens, 80.0),
            ],
        );
        check(
            "llamacpp:prompt_tokens_total 7\nllamacpp:tokens_predicted_total 12\n\
             llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\nllamacpp:n_decode_total 3",
            EngineKind::LlamaCpp,
            &[
                (RequestsRunning, 1.0),
                (RequestsWaiting, 0.0),
                (InputTokens, 7.0),
                (OutputTokens, 12.0),
            ],
        );
    }

    #[test]
    fn a_page_of_somebody_else_is_none() {
        assert_eq!(EngineStats::read(b"go_goroutines 7\n<html>\n"), None);
        assert_eq!(EngineStats::read(b"llamacpp:x 1\n<html>\n").unwrap().unreadable, 1);
    }

    use Figure::*;
}
