//! A record as filter state: what Envoy's access logs and traces can print as
//! `%FILTER_STATE(wasm.gaugeway.ttft_us:PLAIN)%` and so on.

use crate::record::Record;
use crate::stat::clean_value;
use crate::time::micros;
use crate::tokens::Counted;
use std::mem::replace;
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

/// What has been handed on of a stream, so that only what has changed since is handed on again: each key
/// is a call into the host.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    anything: bool,
    api: u32,
    model: u32,
    response_model: u32,
    usage_source: u32,
    finish: u32,
    ttfo: u64,
    max_stall: u64,
    events: u64,
    input: u64,
    output: u64,
}

/// A number that is not shown yet.
const NEVER: u64 = u64::MAX;

impl Default for Shown {
    fn default() -> Self {
        Self {
            anything: false,
            api: 0,
            model: 0,
            response_model: 0,
            usage_source: 0,
            finish: 0,
            ttfo: NEVER,
            max_stall: NEVER,
            events: NEVER,
            input: NEVER,
            output: NEVER,
        }
    }
}

/// Hands on every key that has a value, or another one than it had. While a stream runs, its outcome is not
/// known.
pub(crate) fn state(
    record: &Record,
    events: u64,
    tokens: &Counted,
    over: bool,
    shown: &mut Shown,
    set: &mut impl FnMut(&'static str, &str),
) {
    let first = !replace(&mut shown.anything, true);
    let mut text = |key, last: &mut u32, text: Option<&[u8]>| {
        if let Some(text) = text {
            let digest = digest(text);
            if replace(last, digest) != digest {
                set(key, &clean_value(text));
            }
        }
    };
    // The body may name another API than the path, and a model where the request could not be read.
    text("gaugeway.api", &mut shown.api, Some(record.api.as_str().as_bytes()));
    text("gaugeway.model", &mut shown.model, record.model.as_deref());
    text("gaugeway.response_model", &mut shown.response_model, record.response_model.as_deref());
    let finish = record.finish.map(|finish| finish.as_str().as_bytes());
    text("gaugeway.finish_reason", &mut shown.finish, finish);
    let source = tokens.output.or(tokens.input).map(|tokens| tokens.source.as_str().as_bytes());
    text("gaugeway.usage_source", &mut shown.usage_source, source);
    if over {
        let error = record.error.map(|(class, _)| class.as_str().as_bytes());
        text("gaugeway.outcome", &mut 0, Some(record.outcome.as_str().as_bytes()));
        text("gaugeway.error_class", &mut 0, error);
    }

    let mut number = |key, last: &mut u64, number: Option<u64>| {
        if let Some(number) = number
            && replace(last, number) != number
        {
            set(key, &number.to_string());
        }
    };
    let time = |span: Option<Duration>| span.map(micros);
    if first {
        number("gaugeway.ttfb_us", &mut { NEVER }, time(record.ttfb));
        number("gaugeway.ttft_us", &mut { NEVER }, time(record.ttft));
    }
    number("gaugeway.ttfo_us", &mut shown.ttfo, time(record.ttfo));
    number("gaugeway.max_stall_us", &mut shown.max_stall, time(record.max_stall));
    number("gaugeway.generated_events", &mut shown.events, Some(events).filter(|it| *it > 0));
    number("gaugeway.input_tokens", &mut shown.input, tokens.input.map(|it| it.count));
    number("gaugeway.output_tokens", &mut shown.output, tokens.output.map(|it| it.count));
    if first || over {
        let usage = &record.usage;
        number("gaugeway.tpot_us", &mut { NEVER }, time(record.tpot));
        number("gaugeway.cache_read_input_tokens", &mut { NEVER }, usage.cache_read);
        number("gaugeway.reasoning_output_tokens", &mut { NEVER }, usage.reasoning);
    }
}

/// Tells texts of one stream apart (FNV-1a, 32 bits). Never 0, which stands for none, whatever a client
/// calls its model.
fn digest(text: &[u8]) -> u32 {
    let offset = 0x811c_9dc5_u32;
    let hash =
        text.iter().fold(offset, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash | 1
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn no_text_has_the_digest_of_none() {
        // Of the first two FNV-1a makes 0.
        for text in [&b"fxdsatwp"[..], b"\xcc\x24\x31\xc4", b""] {
            assert_ne!(digest(text), 0);
        }
    }
}
