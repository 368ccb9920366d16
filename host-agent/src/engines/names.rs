//! What each serving engine calls its figures.
//!
//! Names are as the engines write them on `/metrics`. Where an engine renamed one, both names stand
//! here, the newer first: a page that has both is read by the newer.

use super::Figure::{self, *};

/// A serving engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama.cpp's server.
    LlamaCpp,
}

impl EngineKind {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LlamaCpp => "llama_cpp",
        }
    }

    /// By the prefix that all of an engine's own names have.
    pub(super) fn of_metric(name: &str) -> Option<Self> {
        match name.split_once(':')?.0 {
            "vllm" => Some(Self::Vllm),
            "sglang" => Some(Self::Sglang),
            "llamacpp" => Some(Self::LlamaCpp),
            _ => None,
        }
    }

    /// Whether the engine's input tokens include those that it took from its prompt cache.
    pub(super) fn counts_cached_input(self) -> bool {
        match self {
            Self::Vllm | Self::Sglang => true,
            // llama.cpp counts what it had to process.
            Self::LlamaCpp => false,
        }
    }

    /// The engine's name for each figure.
    pub(super) fn names(self) -> &'static [(&'static str, Figure)] {
        match self {
            Self::Vllm => VLLM,
            Self::Sglang => SGLANG,
            Self::LlamaCpp => LLAMA_CPP,
        }
    }
}

const VLLM: &[(&str, Figure)] = &[
    ("vllm:num_requests_running", RequestsRunning),
    ("vllm:num_requests_waiting", RequestsWaiting),
    ("vllm:kv_cache_usage_perc", KvCacheUsage),
    ("vllm:gpu_cache_usage_perc", KvCacheUsage),
    ("vllm:prefix_cache_queries_total", PrefixCacheQueries),
    ("vllm:gpu_prefix_cache_queries_total", PrefixCacheQueries),
    ("vllm:prefix_cache_hits_total", PrefixCacheHits),
    ("vllm:gpu_prefix_cache_hits_total", PrefixCacheHits),
    ("vllm:num_preemptions_total", Preemptions),
    ("vllm:prompt_tokens_total", InputTokens),
    ("vllm:generation_tokens_total", OutputTokens),
    ("vllm:time_to_first_token_seconds_sum", TtftSum),
    ("vllm:time_to_first_token_seconds_count", TtftCount),
    ("vllm:inter_token_latency_seconds_sum", ItlSum),
    ("vllm:time_per_output_token_seconds_sum", ItlSum),
    ("vllm:inter_token_latency_seconds_count", ItlCount),
    ("vllm:time_per_output_token_seconds_count", ItlCount),
];

const SGLANG: &[(&str, Figure)] = &[
    ("sglang:num_running_reqs", RequestsRunning),
    ("sglang:num_queue_reqs", RequestsWaiting),
    ("sglang:token_usage", KvCacheUsage),
    // Every prompt token is looked up in the radix cache.
    ("sglang:prompt_tokens_total", PrefixCacheQueries),
    ("sglang:cached_tokens_total", PrefixCacheHits),
    ("sglang:num_retractions_total", Preemptions),
    ("sglang:prompt_tokens_total", InputTokens),
    ("sglang:generation_tokens_total", OutputTokens),
    ("sglang:time_to_first_token_seconds_sum", TtftSum),
    ("sglang:time_to_first_token_seconds_count", TtftCount),
    ("sglang:inter_token_latency_seconds_sum", ItlSum),
    ("sglang:time_per_output_token_seconds_sum", ItlSum),
    ("sglang:inter_token_latency_seconds_count", ItlCount),
    ("sglang:time_per_output_token_seconds_count", ItlCount),
];

const LLAMA_CPP: &[(&str, Figure)] = &[
    ("llamacpp:requests_processing", RequestsRunning),
    ("llamacpp:requests_deferred", RequestsWaiting),
    ("llamacpp:kv_cache_usage_ratio", KvCacheUsage),
    ("llamacpp:prompt_tokens_total", InputTokens),
    ("llamacpp:tokens_predicted_total", OutputTokens),
];
