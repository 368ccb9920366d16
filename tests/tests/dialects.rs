//! Every dialect, streamed and not, and every end: each hand-written exchange gives what its sidecar
//! expects, from the filter as Envoy runs it.

use gaugeway_harness::replay::{Replay, Stat, StatValue, replay};
use gaugeway_harness::split::Split;
use gaugeway_tests::event_stream;
use gaugeway_tests::fixture::{self, Fixture};
use gaugeway_tests::harness::module;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// Fields of `expected` that need not be there. All others are `null` when they are not.
const OPTIONAL: &[&str] = &[
    "api",
    "response_model",
    "generated_events",
    "cache_write_input_tokens",
    "usage_missing",
    "ttfb_us",
    "ttft_us",
    "ttfo_us",
    "tpot_us",
    "max_stall_us",
];

#[test]
fn each_exchange_gives_what_its_sidecar_expects() {
    let module = module();
    let mut wrong = Vec::new();
    for Fixture { name, exchange, expected } in fixture::all() {
        let seen = replay(&module, b"", &exchange, Split::Whole).unwrap();
        assert!(seen.passthrough, "{name}: the traffic was touched");
        let found = found(&seen);
        for key in expected.as_object().unwrap().keys() {
            assert!(found.contains_key(key.as_str()), "{name}: nobody measures {key}");
        }
        for (key, found) in found {
            let expected = text(&expected[key]);
            let compared = expected.is_some() || !OPTIONAL.contains(&key);
            if compared && found != expected {
                wrong.push(format!("{name}: {key} is {found:?}, expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Bedrock's bodies are binary; the text beside each says what is in it.
#[test]
fn binary_bodies_are_what_their_text_says() {
    let mut bodies = 0;
    for text in fixture::files(&gaugeway_tests::workspace().join("tests/fixtures/bedrock")) {
        if text.extension().is_some_and(|extension| extension == "frames") {
            let made = event_stream::from_text(&fs::read_to_string(&text).unwrap());
            let body = text.with_extension("body");
            if std::env::var_os("GAUGEWAY_WRITE_FIXTURES").is_some() {
                fs::write(&body, &made).unwrap();
            }
            let written = fs::read(&body).unwrap();
            assert!(
                made == written,
                "{body:?} is out of date: GAUGEWAY_WRITE_FIXTURES=1 writes it again"
            );
            bodies += 1;
        }
    }
    assert!(bodies > 5, "{bodies} bodies");
}

/// What was measured, under the names of `expected`.
fn found(seen: &Replay) -> BTreeMap<&'static str, Option<String>> {
    let state = |key: &str| seen.filter_state.get(&format!("gaugeway.{key}")).cloned();
    let mut found = BTreeMap::from([
        ("input_tokens", reported(seen, "gaugeway_input_tokens_total")),
        ("output_tokens", reported(seen, "gaugeway_output_tokens_total")),
        // Filter state has no 0 here.
        ("generated_events", state("generated_events").or_else(|| Some("0".to_owned()))),
        ("cache_write_input_tokens", counter(seen, "gaugeway_cache_write_input_tokens_total")),
        ("outcome", label(seen, "gaugeway_requests_total", "outcome")),
        ("mode", label(seen, "gaugeway_requests_total", "mode")),
        ("model", label(seen, "gaugeway_requests_total", "model")),
        ("api", label(seen, "gaugeway_requests_total", "api")),
        ("phase", label(seen, "gaugeway_errors_total", "phase")),
        ("usage_missing", label(seen, "gaugeway_usage_missing_total", "reason")),
    ]);
    for key in [
        "response_model",
        "error_class",
        "finish_reason",
        "cache_read_input_tokens",
        "reasoning_output_tokens",
        "ttfb_us",
        "ttft_us",
        "ttfo_us",
        "tpot_us",
        "max_stall_us",
    ] {
        found.insert(key, state(key));
    }
    found
}

/// The one series of that name, where one request can have no second.
fn stat<'a>(seen: &'a Replay, name: &str) -> Option<&'a Stat> {
    let mut series = seen.stats.iter().filter(|stat| stat.name == name);
    let first = series.next();
    assert!(series.next().is_none(), "{} has {name} twice", seen.name);
    first
}

fn label(seen: &Replay, name: &str, label: &str) -> Option<String> {
    stat(seen, name)?.labels.get(label).cloned()
}

fn counter(seen: &Replay, name: &str) -> Option<String> {
    stat(seen, name).map(value)
}

/// What the filter estimates is not what the sidecar knows.
fn reported(seen: &Replay, name: &str) -> Option<String> {
    stat(seen, name).filter(|stat| stat.labels["source"] == "reported").map(value)
}

fn value(stat: &Stat) -> String {
    match &stat.value {
        StatValue::Counter { value } | StatValue::Gauge { value } => value.to_string(),
        StatValue::Histogram { values } => format!("{values:?}"),
    }
}

fn text(expected: &Value) -> Option<String> {
    match expected {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
