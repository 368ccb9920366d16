//! The core itself, natively: one event after another, against the least that could be done with the same
//! bytes, and against what a filter without a parser of its own would do.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that reads something else than it wrote shall stop"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gaugeway_core::{End, HostTime, Observer, RequestHead, ResponseHead};
use serde::Deserialize;
use std::hint::black_box;

/// What a chat's event is worth to an observer.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
    finish_reason: Option<&'a str>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow)]
    content: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: u64,
}

fn event(text: usize) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"meta-llama/Llama-3.1-8B-Instruct\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}},\"logprobs\":null,\"finish_reason\":null,\"token_ids\":null}}]}}\n\n",
        "token ".repeat(text / 6 + 1).get(..text).unwrap_or_default()
    )
}

fn open() -> Observer {
    let head =
        RequestHead { method: b"POST", path: b"/v1/chat/completions", ..RequestHead::default() };
    let mut observer =
        Observer::start(Some(HostTime::from_nanos(1)), &head).expect("an LLM's path");
    observer.request_chunk(br#"{"model":"m","stream":true}"#);
    observer.response_head(&ResponseHead {
        status: 200,
        content_type: Some(b"text/event-stream"),
        ..ResponseHead::default()
    });
    observer
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event");
    for text in [20, 1_000, 10_000] {
        let event = event(text);
        let bytes = event.as_bytes();
        group.throughput(Throughput::Bytes(u64::try_from(bytes.len()).unwrap_or(0)));
        let size = bytes.len();
        group.bench_function(BenchmarkId::new("memchr of line ends only", size), |bencher| {
            bencher.iter(|| memchr::memchr2_iter(b'\n', b'\r', black_box(bytes)).count());
        });
        let mut observer = open();
        let mut nanos = 1;
        group.bench_function(BenchmarkId::new("core", size), |bencher| {
            bencher.iter(|| {
                nanos += 1_000;
                observer.response_chunk(
                    Some(HostTime::from_nanos(nanos)),
                    black_box(bytes),
                    End::More,
                )
            });
        });
        // Each event in two pieces, so that none can be compared with the one before.
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        let mut observer = open();
        group.bench_function(BenchmarkId::new("core, events in pieces", size), |bencher| {
            bencher.iter(|| {
                let at = Some(HostTime::from_nanos(1_000));
                observer.response_chunk(at, black_box(head), End::More);
                observer.response_chunk(at, black_box(tail), End::More)
            });
        });
        group.bench_function(BenchmarkId::new("serde_json, borrowed struct", size), |bencher| {
            bencher.iter(|| {
                let data = black_box(event.as_str()).trim_end();
                let data = data.strip_prefix("data: ").unwrap_or(data);
                let event: Event<'_> = serde_json::from_str(data).expect("it is JSON");
                let choice = event.choices.first().expect("there is one");
                let text = choice.delta.content.as_deref().map_or(0, str::len);
                (
                    text,
                    choice.finish_reason.is_some(),
                    event.usage.map(|usage| usage.completion_tokens),
                )
            });
        });
        group.bench_function(BenchmarkId::new("serde_json, tree", size), |bencher| {
            bencher.iter(|| {
                let data = black_box(event.as_str()).trim_end();
                let data = data.strip_prefix("data: ").unwrap_or(data);
                let event: serde_json::Value = serde_json::from_str(data).expect("it is JSON");
                event["choices"][0]["delta"]["content"].as_str().map_or(0, str::len)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, events);
criterion_main!(benches);
