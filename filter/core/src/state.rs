//! A record as filter state: what Envoy's access logs and traces can print as
//! `%FILTER_STATE(wasm.gaugeway.ttft_us:PLAIN)%` and so on.

use crate::record::Record;
use crate::stat::clean_value;
use crate::time::micros;
use crate::tokens::Counted;
use std::time::Duration;

/// Every key, as it stands after `wasm.` in Envoy's filter state.
pub const STATE_KEYS: &[&str] = &[
    "gaugeway.api",
    "gaugeway.model",
    "gaugeway.response_model",
    "gaugeway.outcome",
    "gaugeway.error_class",
    "gaugeway.finish_reason",
    "gaugeway.ttfb_us",
    "gaugeway.ttft_us",
    "gaugeway.ttfo_us",
    "gaugeway.tpot_us",
    "gaugeway.max_stall_us",
    "gaugeway.generated_events",
    "gaugeway.input_tokens",
    "gaugeway.output_tokens",
    "gaugeway.cache_read_input_tokens",
    "gaugeway.reasoning_output_tokens",
    "gaugeway.usage_source",
];

/// Hands on what may have changed since a running stream was last looked at. All else was known with its
/// first generated event, or is not known before its end.
pub(crate) fn progress(
    record: &Record,
    events: u64,
    tokens: &Counted,
    set: &mut impl FnMut(&'static str, &str),
) {
    if let Some(finish) = record.finish {
        set("gaugeway.finish_reason", finish.as_str());
    }
    let mut number = |key, number: Option<u64>| {
        if let Some(number) = number {
            set(key, &number.to_string());
        }
    };
    number("gaugeway.ttfo_us", record.ttfo.map(micros));
    number("gaugeway.max_stall_us", record.max_stall.map(micros));
    number("gaugeway.generated_events", Some(events));
    number("gaugeway.input_tokens", tokens.input.map(|tokens| tokens.count));
    number("gaugeway.output_tokens", tokens.output.map(|tokens| tokens.count));
}

/// Hands on every key that has a value. While a stream runs, its outcome is not known.
pub(crate) fn state(
    record: &Record,
    events: u64,
    tokens: &Counted,
    over: bool,
    set: &mut impl FnMut(&'static str, &str),
) {
    let mut text = |key, text: Option<&[u8]>| {
        if let Some(text) = text {
            set(key, &clean_value(text));
        }
    };
    text("gaugeway.api", Some(record.api.as_str().as_bytes()));
    text("gaugeway.model", record.model.as_deref());
    text("gaugeway.response_model", record.response_model.as_deref());
    text("gaugeway.finish_reason", record.finish.map(|finish| finish.as_str().as_bytes()));
    if over {
        text("gaugeway.outcome", Some(record.outcome.as_str().as_bytes()));
        text("gaugeway.error_class", record.error.map(|(class, _)| class.as_str().as_bytes()));
    }
    let source = tokens.output.or(tokens.input).map(|tokens| tokens.source.as_str().as_bytes());
    text("gaugeway.usage_source", source);

    let mut number = |key, number: Option<u64>| {
        if let Some(number) = number {
            set(key, &number.to_string());
        }
    };
    let time = |span: Option<Duration>| span.map(micros);
    number("gaugeway.ttfb_us", time(record.ttfb));
    number("gaugeway.ttft_us", time(record.ttft));
    number("gaugeway.ttfo_us", time(record.ttfo));
    number("gaugeway.tpot_us", time(record.tpot));
    number("gaugeway.max_stall_us", time(record.max_stall));
    number("gaugeway.generated_events", Some(events).filter(|events| *events > 0));
    number("gaugeway.input_tokens", tokens.input.map(|tokens| tokens.count));
    number("gaugeway.output_tokens", tokens.output.map(|tokens| tokens.count));
    number("gaugeway.cache_read_input_tokens", record.usage.cache_read);
    number("gaugeway.reasoning_output_tokens", record.usage.reasoning);
}
