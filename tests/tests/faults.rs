//! Whatever the host answers, the traffic goes on, the VM lives, and the next stream is counted in full.

use gaugeway_harness::{Fault, HOST_CALLS, Metrics, Module, Options, Status, Value, Vm, VmError};
use gaugeway_tests::harness::{Exchange, module};
use std::collections::BTreeMap;

/// The calls that the filter makes while it is configured.
const WHEN_CONFIGURED: &[&str] =
    &["proxy_define_metric", "proxy_get_buffer_bytes", "proxy_record_metric"];

/// The calls that it makes for a stream into which it writes.
const PER_STREAM: &[&str] = &[
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_set_buffer_bytes",
    "proxy_set_property",
];

const ACTIVE: &str = "upstream=.=upstream;.;gaugeway_active_streams";

/// A configuration with which the filter makes all of its calls.
const CONFIG: &str = r#"{"usage":{"request":"inject"},"tenant":{"header":"x-team"}}"#;

const BODY: &[&[u8]] = &[
    b"data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
    b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
];

#[test]
fn in_a_stream() {
    let (module, options) = (module(), Options::default());
    let (struck, expected) = (strike_each(&module, CONFIG, &options), PER_STREAM.to_vec());
    assert_eq!(struck, expected, "these calls, and no others, are made for a stream");
}

/// The wall clock takes the place of the monotonic one, and can fail as well.
#[test]
fn in_a_stream_on_a_host_without_the_monotonic_clock() {
    let (module, options) = (module(), Options { monotonic_clock: false, ..Options::default() });
    let struck = strike_each(&module, CONFIG, &options);
    assert!(struck.contains(&"proxy_get_current_time_nanoseconds"), "{struck:?}");
}

#[test]
fn while_it_is_configured() {
    let module = module();
    let expected = second_of_two(&module.configure("").unwrap());
    let mut struck = Vec::new();
    for fault in faults() {
        let options = Options { faults: vec![fault], ..Options::default() };
        let vm = module.configure_with("", &options).unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        let in_time = vm.pending_faults().is_empty();
        assert_eq!(second_of_two(&vm), expected, "{fault:?}");
        if in_time && struck.last() != Some(&fault.call) {
            struck.push(fault.call);
        }
    }
    struck.sort_unstable();
    assert_eq!(struck, WHEN_CONFIGURED);
}

/// A configuration that is wrong is refused, also by a host whose log does not work.
#[test]
fn while_it_refuses_its_configuration() {
    let module = module();
    for status in Status::ALL {
        let fault = Fault { call: "proxy_log", nth: 1, status };
        let options = Options { faults: vec![fault], ..Options::default() };
        let refused = module.configure_with("{", &options);
        assert!(matches!(refused, Err(VmError::Refused { .. })), "{status:?}");
    }
}

#[test]
fn times_are_measured_without_the_monotonic_clock() {
    let options = Options { monotonic_clock: false, ..Options::default() };
    let vm = module().configure_with("", &options).unwrap();
    let mut stream = Exchange::CHAT.open(&vm).unwrap();
    vm.advance(std::time::Duration::from_millis(250));
    stream.response_body(BODY[0], gaugeway_harness::End::More).unwrap();
    stream.finish().unwrap();
    let metrics = vm.metrics();
    let ttft = metrics.iter().find(|(name, _)| name.ends_with(";gaugeway_ttft_us"));
    assert_eq!(ttft.map(|(_, value)| value), Some(&Value::Histogram(vec![250_000])));
}

/// Lets each fault happen in a stream, and compares the next stream with one after no fault. The calls
/// that the filter has made.
fn strike_each(module: &Module, config: &str, options: &Options) -> Vec<&'static str> {
    let start = || module.configure_with(config, options).unwrap();
    let expected = second_of_two(&start());
    let mut struck = Vec::new();
    for fault in faults() {
        let vm = start();
        vm.inject(fault).unwrap();
        assert_eq!(second_of_two(&vm), expected, "{fault:?}");
        assert_eq!(longest(&vm.metrics()), 0, "{fault:?}: no time has passed");
        if vm.pending_faults().is_empty() && struck.last() != Some(&fault.call) {
            struck.push(fault.call);
        }
        // A gauge cannot know that the host has not done what it said.
        if fault.call != "proxy_increment_metric" {
            assert_eq!(active(&vm.metrics()), 0, "{fault:?}");
        }
    }
    struck.sort_unstable();
    struck
}

/// Every call, its first three times, with every status.
fn faults() -> impl Iterator<Item = Fault> {
    HOST_CALLS.iter().flat_map(|call| {
        (1..=3).flat_map(move |nth| Status::ALL.map(move |status| Fault { call, nth, status }))
    })
}

/// Runs two streams, and says what the second one added to the stats, but for the gauge of active streams,
/// which ends where it began.
fn second_of_two(vm: &Vm) -> BTreeMap<String, Vec<u64>> {
    let run = || {
        Exchange::CHAT.run(vm, BODY.iter().copied()).unwrap();
        vm.metrics()
    };
    let (before, after) = (run(), run());
    let before: BTreeMap<_, _> = before.iter().collect();
    after
        .iter()
        .map(|(name, after)| (name.to_owned(), added(before.get(name).copied(), after)))
        .filter(|(name, added)| name != ACTIVE && added.iter().any(|value| *value > 0))
        .collect()
}

fn added(before: Option<&Value>, after: &Value) -> Vec<u64> {
    match (before, after) {
        (
            Some(Value::Counter(before) | Value::Gauge(before)),
            Value::Counter(after) | Value::Gauge(after),
        ) => {
            vec![after.wrapping_sub(*before)]
        }
        (Some(Value::Histogram(before)), Value::Histogram(after)) => after[before.len()..].to_vec(),
        (_, Value::Counter(value) | Value::Gauge(value)) => vec![*value],
        (_, Value::Histogram(values)) => values.clone(),
    }
}

/// The longest time that was measured.
fn longest(metrics: &Metrics) -> u64 {
    let times = metrics.iter().filter(|(name, _)| name.ends_with("_us"));
    let longest = times.filter_map(|(_, value)| match value {
        Value::Histogram(values) => values.iter().copied().max(),
        Value::Counter(_) | Value::Gauge(_) => None,
    });
    longest.max().unwrap_or(0)
}

fn active(metrics: &Metrics) -> u64 {
    metrics.gauge(ACTIVE).unwrap_or(0)
}
