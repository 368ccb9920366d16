//! What the filter holds is bounded, whatever comes. README states these bounds.

use flate2::Compression;
use flate2::write::GzEncoder;
use gaugeway_harness::{End, Module, Value, Vm};
use gaugeway_tests::harness::{Exchange, end, module};
use std::io::Write as _;

/// Bytes of VM memory for each open stream of events, the allocator's share included, besides the pattern
/// of its events.
const STREAM_BYTES: usize = 1_024;

/// Bytes that VM memory may grow while one body of any size goes by, its largest piece included: the host
/// puts each piece, of 64 KiB here, into the VM's memory.
const BODY_BYTES: usize = 256 << 10;

/// Bytes of VM memory with as many models, upstreams and APIs as are let in.
const FULL_TABLE_BYTES: usize = 8 << 20;

const PIECE: usize = 64 << 10;

/// As OpenAI writes it.
const FIRST: &[u8] = b"data: {\"id\":\"chatcmpl-A1b2C3d4E5f6G7h8I9j0K1l2M3n4\",\
    \"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"m-1-2026-01-01\",\
    \"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{\"index\":0,\
    \"delta\":{\"content\":\"Hi\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\
    \"obfuscation\":\"kq3\"}\n\n";
const LAST: &[u8] = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

#[test]
fn ten_thousand_open_streams() {
    const STREAMS: usize = 10_000;
    let vm = warm(&module());
    let before = vm.memory_bytes();
    let mut streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let mut stream = Exchange::CHAT.open(&vm).unwrap();
            stream.response_body(FIRST, End::More).unwrap();
            // Cut within an event.
            stream.response_body(&FIRST[..100], End::More).unwrap();
            stream
        })
        .collect();
    let each = (vm.memory_bytes() - before) / STREAMS;
    println!("{each} bytes of VM memory for each open stream, {} of them a pattern", FIRST.len());
    assert!(each <= STREAM_BYTES + FIRST.len(), "{each} bytes for each open stream");
    for mut stream in streams.drain(..) {
        stream.response_body(&FIRST[100..], End::More).unwrap();
        stream.response_body(LAST, End::More).unwrap();
        end(stream).unwrap();
    }
    // One more than here: the one that has warmed the VM.
    assert_eq!(counter(&vm, "outcome=.=success;.;mode=.=stream;.;gaugeway_requests_total"), 10_001);
    assert_eq!(vm.metrics().gauge("upstream=.=upstream;.;gaugeway_active_streams"), Some(0));
}

#[test]
fn a_hundred_megabytes_without_a_line_feed() {
    let module = module();
    for begin in [
        &b"data: {\"choices\":[{\"delta\":{\"content\":\""[..],
        b"data: {\"",
        b"data: {\"choices\":[{\"finish_reason\":\"",
        b"data: ",
        b": ",
        b"event: ",
        b"",
    ] {
        let vm = warm(&module);
        let piece = [b'a'; PIECE];
        let pieces = std::iter::repeat_n(&piece[..], (100 << 20) / PIECE);
        check_growth(&vm, &Exchange::CHAT, std::iter::once(begin).chain(pieces));
    }
}

#[test]
fn a_terminal_event_of_ten_megabytes() {
    let vm = warm(&module());
    let event = format!(
        "data: {{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\",\"output\":[{{\"content\":[{{\"text\":\"{}\"}}]}}],\"usage\":{{\"input_tokens\":7,\"output_tokens\":5}}}}}}\n\n",
        "word \\n".repeat(10 << 20 >> 3)
    );
    check_growth(
        &vm,
        &Exchange { path: "/v1/responses", ..Exchange::CHAT },
        event.as_bytes().chunks(PIECE),
    );
    let success = "api=.=openai_responses;.;upstream=.=upstream;.;source=.=reported;.;outcome=.=success;.;gaugeway_output_tokens_total";
    assert_eq!(counter(&vm, success), 5);
}

/// Events that are never quite like the ones before, which the filter must not study for long: each holds
/// the worker's thread.
#[test]
fn long_events_that_differ_in_ever_other_places() {
    let vm = warm(&module());
    let text = "x".repeat(1 << 20);
    let mut stream = Exchange::CHAT.open(&vm).unwrap();
    for number in 0..40 {
        let others: String = (0..8)
            .map(|place| {
                format!(",\"other{place}\":{}", if place == number % 8 { number } else { 0 })
            })
            .collect();
        let event =
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]{others}}}\n\n");
        let before = vm.fuel();
        stream.response_body(event.as_bytes(), End::More).unwrap();
        let per_byte = (vm.fuel() - before) / event.len() as u64;
        assert!(per_byte <= 6, "event {number}: {per_byte} fuel per byte");
    }
}

/// Decoded, it would be 1 GiB.
#[test]
fn an_archive_that_explodes() {
    let vm = warm(&module());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"data: ").unwrap();
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..1 << 10 {
        gzip.write_all(&zeros).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    check_growth(&vm, &Exchange { headers: &headers, ..Exchange::CHAT }, bomb.chunks(PIECE));
    assert_eq!(counter(&vm, "reason=.=response_too_large;.;gaugeway_degraded_total"), 1);
}

/// A frame header that asks for a window of gigabytes is not given one.
#[test]
fn an_archive_with_a_huge_window() {
    let vm = warm(&module());
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "zstd")];
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 0, 0, 0];
    check_growth(&vm, &Exchange { headers: &headers, ..Exchange::CHAT }, [&frame[..]]);
    assert_eq!(counter(&vm, "reason=.=response_too_large;.;gaugeway_degraded_total"), 1);
}

#[test]
fn a_million_model_names() {
    let vm = warm(&module());
    let measure = |names: std::ops::Range<u32>| {
        for name in names {
            let request =
                format!("{{\"model\":\"model-{name}-{}\"}}", name.wrapping_mul(2_654_435_761));
            let exchange = Exchange { request: request.as_bytes(), headers: &[], ..Exchange::CHAT };
            exchange
                .run(&vm, [&br#"{"usage":{"prompt_tokens":1,"completion_tokens":1}}"#[..]])
                .unwrap();
        }
        let metrics = vm.metrics();
        (vm.memory_bytes(), metrics.iter().count(), metrics.ids())
    };
    let (few, many) = (measure(0..1_000), measure(1_000..1_000_000));
    println!("{} bytes of VM memory, {} series, {} ids", many.0, many.1, many.2);
    assert_eq!(few, many, "memory, series and ids do not grow past the cap");
    assert!(many.0 <= FULL_TABLE_BYTES, "{} bytes", many.0);
    assert!(counter(&vm, "label=.=model;.;gaugeway_label_overflow_total") > 999_000);
}

/// Envoy tells the filter of some streams only when they are logged, and of others without the headers
/// that it looks for.
#[test]
fn streams_without_headers() {
    let vm = warm(&module());
    let before = vm.memory_bytes();
    for _ in 0..100_000 {
        vm.stream().finish().unwrap();
        let mut stream = vm.stream();
        stream.request_headers::<&str, &str>(&[], End::Last).unwrap();
        stream.response_headers::<&str, &str>(&[], End::Last).unwrap();
        stream.finish().unwrap();
    }
    assert_eq!(vm.memory_bytes(), before);
}

/// A VM that has seen a stream, so that what it keeps for good is there.
fn warm(module: &Module) -> Vm {
    let vm = module.configure("").unwrap();
    Exchange::CHAT.run(&vm, [FIRST, LAST]).unwrap();
    vm
}

/// Runs a stream and holds the growth of memory to its bound.
fn check_growth<'a>(vm: &Vm, exchange: &Exchange<'_>, body: impl IntoIterator<Item = &'a [u8]>) {
    let before = vm.memory_bytes();
    exchange.run(vm, body).unwrap();
    let growth = vm.memory_bytes() - before;
    assert!(growth <= BODY_BYTES, "memory grew by {growth} bytes");
}

/// The sum of all counters whose name ends so.
fn counter(vm: &Vm, end: &str) -> u64 {
    let metrics = vm.metrics();
    let found = metrics.iter().filter(|(name, _)| name.ends_with(end));
    found
        .map(|(_, value)| match value {
            Value::Counter(value) => *value,
            Value::Gauge(_) | Value::Histogram(_) => 0,
        })
        .sum()
}
