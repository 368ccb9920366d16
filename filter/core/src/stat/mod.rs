//! The stat catalogue: every number the filter hands to Envoy, with its labels, unit and buckets.
//!
//! This list is the only place that spells these names. The shell defines stats from it, the agent
//! reads them back through it, and tests hold README, `envoy/` and `monitoring/` to it.

mod buckets;
mod label;
mod name;

pub use label::Label;
pub use name::{MAX_VALUE_BYTES, ParsedName, clean_value, encode, parse};

/// What Envoy does with the values of a stat (proxy-wasm `MetricType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution; Envoy keeps circllhist bins and prints our buckets.
    Histogram,
}

/// The unit of a stat's raw values. Envoy's values are bare `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things counted: requests, errors, events.
    Count,
    /// LLM tokens.
    Tokens,
    /// Microseconds; the name says `_us`.
    Micros,
}

/// One row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The stat's name, as the last part of the encoded Envoy name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Unit of the raw values.
    pub unit: Unit,
    /// Labels that name the traffic: none, the upstream, or upstream, API and model.
    pub scope: Scope,
    /// Whether the tenant label is added when a tenant header is configured.
    pub tenant: bool,
    /// Labels of this stat alone, in encoding order.
    pub extra: &'static [Label],
    /// Upper bounds of the histogram buckets in the stat's unit; empty for other kinds.
    pub buckets: &'static [u64],
    /// What the figure means, in one sentence.
    pub help: &'static str,
}

/// Which traffic labels a stat carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One series per Envoy.
    Global,
    /// One series per upstream cluster.
    Upstream,
    /// One series per model, API and upstream cluster.
    Stream,
}

impl Scope {
    /// The labels, in the order in which they are encoded.
    pub const fn labels(self) -> &'static [Label] {
        match self {
            Self::Global => &[],
            Self::Upstream => &[Label::Upstream],
            Self::Stream => &[Label::Model, Label::Api, Label::Upstream],
        }
    }
}

macro_rules! catalogue {
    ($($variant:ident: $kind:ident $unit:ident $scope:ident $tenant:ident [$($extra:ident)*] $buckets:expr, $name:literal, $help:literal;)*) => {
        /// A stat of the filter. [`Stat::spec`] tells all about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Stat { $(#[doc = $help] $variant),* }

        impl Stat {
            /// Every stat, in catalogue order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stat's row of the catalogue.
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$variant => &Spec {
                        name: $name, kind: Kind::$kind, unit: Unit::$unit, scope: Scope::$scope,
                        tenant: $tenant, extra: &[$(Label::$extra),*], buckets: $buckets, help: $help,
                    }),*
                }
            }
        }
    };
}

const NONE: &[u64] = &[];

catalogue! {
    Requests: Counter Count Stream true [Outcome Mode] NONE, "gaugeway_requests_total", "Finished LLM requests by outcome.";
    Errors: Counter Count Stream false [Class Phase] NONE, "gaugeway_errors_total", "Errors by class and phase; one of phase after_stream did not spoil the answer.";
    Finishes: Counter Count Stream false [Finish] NONE, "gaugeway_finishes_total", "Why generation ended, as the server said.";
    InputTokens: Counter Tokens Stream true [Source Outcome] NONE, "gaugeway_input_tokens_total", "Input tokens, cached and cache-written ones included.";
    OutputTokens: Counter Tokens Stream true [Source Outcome] NONE, "gaugeway_output_tokens_total", "Output tokens, reasoning included.";
    CacheReadInputTokens: Counter Tokens Stream true [Outcome] NONE, "gaugeway_cache_read_input_tokens_total", "Input tokens read from the prompt cache; a subset of input tokens.";
    CacheWriteInputTokens: Counter Tokens Stream true [Outcome] NONE, "gaugeway_cache_write_input_tokens_total", "Input tokens written to the prompt cache; a subset of input tokens.";
    ReasoningOutputTokens: Counter Tokens Stream true [Outcome] NONE, "gaugeway_reasoning_output_tokens_total", "Reasoning tokens; a subset of output tokens.";
    AudioInputTokens: Counter Tokens Stream true [Outcome] NONE, "gaugeway_audio_input_tokens_total", "Audio input tokens; a subset of input tokens.";
    AudioOutputTokens: Counter Tokens Stream true [Outcome] NONE, "gaugeway_audio_output_tokens_total", "Audio output tokens; a subset of output tokens.";
    UsageMissing: Counter Count Stream false [Reason] NONE, "gaugeway_usage_missing_total", "Finished requests whose token usage was not reported.";
    Duration: Histogram Micros Stream false [Mode] buckets::DURATION, "gaugeway_duration_us", "Request headers to the terminal event or the end of the stream.";
    Ttfb: Histogram Micros Stream false [] buckets::FIRST, "gaugeway_ttfb_us", "Request headers to the first byte of the response body, streams only.";
    Ttft: Histogram Micros Stream false [] buckets::FIRST, "gaugeway_ttft_us", "Request headers to the first generated event of any kind, streams only.";
    Ttfo: Histogram Micros Stream false [] buckets::FIRST, "gaugeway_ttfo_us", "Request headers to the first generated event that is not reasoning, streams only.";
    Tpot: Histogram Micros Stream false [] buckets::BETWEEN, "gaugeway_tpot_us", "Mean time per output token after the first.";
    InterChunk: Histogram Micros Stream false [] buckets::BETWEEN, "gaugeway_inter_chunk_us", "Gap between consecutive generated events.";
    MaxStall: Histogram Micros Stream false [] buckets::DURATION, "gaugeway_max_stall_us", "Largest gap between generated events of a stream.";
    DurationSum: Counter Micros Stream false [] NONE, "gaugeway_duration_sum_us_total", "Exact sum behind gaugeway_duration_us.";
    TtftSum: Counter Micros Stream false [] NONE, "gaugeway_ttft_sum_us_total", "Exact sum behind gaugeway_ttft_us.";
    TpotSum: Counter Micros Stream false [] NONE, "gaugeway_tpot_sum_us_total", "Exact sum behind gaugeway_tpot_us.";
    RequestInputTokens: Histogram Tokens Stream false [] buckets::TOKENS, "gaugeway_request_input_tokens", "Reported input tokens per request.";
    RequestOutputTokens: Histogram Tokens Stream false [] buckets::TOKENS, "gaugeway_request_output_tokens", "Reported output tokens per request.";
    SloEligible: Counter Count Stream false [] NONE, "gaugeway_slo_eligible_total", "Requests that count towards goodput.";
    SloGood: Counter Count Stream false [] NONE, "gaugeway_slo_good_total", "Eligible requests that met every SLO of their model.";
    SloViolated: Counter Count Stream false [Slo] NONE, "gaugeway_slo_violated_total", "Eligible requests that missed an SLO, by SLO.";
    StreamsSeen: Counter Count Global false [] NONE, "gaugeway_streams_seen_total", "HTTP streams that reached the filter, LLM traffic or not.";
    ActiveStreams: Gauge Count Upstream false [] NONE, "gaugeway_active_streams", "LLM requests in flight.";
    Degraded: Counter Count Global false [Reason] NONE, "gaugeway_degraded_total", "Times the filter gave up looking at something, by reason.";
    LabelOverflow: Counter Count Global false [Label] NONE, "gaugeway_label_overflow_total", "Requests whose label value fell outside its cap and became __other__.";
    BuildInfo: Gauge Count Global false [Version] NONE, "gaugeway_build_info", "1, labelled with the filter's version.";
}

impl Stat {
    /// The stat of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|stat| stat.spec().name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for stat in Stat::ALL {
            assert_eq!(Stat::from_name(stat.spec().name), Some(*stat));
        }
        assert_eq!(Stat::from_name("gaugeway_"), None);
    }

    #[test]
    fn only_histograms_have_buckets_and_they_rise() {
        for spec in Stat::ALL.iter().map(|stat| stat.spec()) {
            assert_eq!(spec.kind == Kind::Histogram, !spec.buckets.is_empty(), "{}", spec.name);
            assert!(spec.buckets.is_sorted_by(|a, b| a < b), "{}", spec.name);
        }
    }

    #[test]
    fn counters_end_in_total_and_times_say_microseconds() {
        for spec in Stat::ALL.iter().map(|stat| stat.spec()) {
            assert_eq!(spec.kind == Kind::Counter, spec.name.ends_with("_total"), "{}", spec.name);
            let says_us = spec.name.ends_with("_us") || spec.name.ends_with("_us_total");
            assert_eq!(spec.unit == Unit::Micros, says_us, "{}", spec.name);
        }
    }
}
