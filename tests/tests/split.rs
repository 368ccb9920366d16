//! Any cut gives the same, and any bytes do no harm.

use gaugeway_tests::harness::{Exchange, module};
use gaugeway_tests::{fixture, native};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// Paths of every API.
const PATHS: &[&str] = &[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/audio/transcriptions",
    "/v1/images/generations",
    "/v1/messages",
    "/v1/complete",
    "/v1beta/models/m:streamGenerateContent",
    "/v1beta/models/m:embedContent",
    "/model/m/converse-stream",
    "/model/m/invoke-with-response-stream",
    "/v2/chat",
    "/v2/embed",
    "/api/chat",
    "/api/embed",
    "/generate_stream",
    "/v2/models/m/generate_stream",
    "/ml/v1/text/generation/text_stream",
    "/",
    "/health",
];

const MEDIA: &[&str] = &[
    "text/event-stream",
    "application/json",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "text/html",
    "",
];

const CODINGS: &[&str] = &["", "identity", "gzip", "deflate", "br", "zstd", "compress"];

const STATUSES: &[&str] = &["200", "400", "529", "100", "x", ""];

/// Words that wire formats are made of, so that random bodies get somewhere.
const WORDS: &[&str] = &[
    "data: ",
    "event: error\n",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    ":",
    "[DONE]",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "\\",
    "\\u00",
    "é",
    "\u{feff}",
    "0",
    "-1e99",
    "null",
    "true",
    "\"model\":",
    "\"choices\":",
    "\"delta\":",
    "\"content\":",
    "\"usage\":",
    "\"prompt_tokens\":",
    "\"type\":",
    "\"error\":",
    "\"bytes\":",
    "\"candidates\":",
    "\"response\":",
    "\0\0\0\x10\0\0\0\0",
    "\x1f\u{8b}",
];

#[test]
fn any_partition_of_any_exchange_gives_the_same() {
    for fixture in fixture::all() {
        let exchange = fixture.exchange;
        let whole = native::record(&exchange, &[]);
        let cuts = prop::collection::vec(any::<Index>(), 0..40);
        runner(64)
            .run(&cuts, |cuts| {
                let length = exchange.body.len() + 1;
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(length)).collect();
                cuts.sort_unstable();
                prop_assert_eq!(&native::record(&exchange, &cuts), &whole);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
    }
}

/// What one stream may hold for the window of its br or zstd coding, which random bytes may well fill: a
/// few of them copy megabytes.
const WINDOW_BYTES: usize = 8 << 20;
/// All else that a VM holds: its own memory, tables, and what the allocator loses between pieces.
const VM_BYTES: usize = 4 << 20;

/// All in one VM, so that memory which a stream does not give back is seen as well.
#[test]
fn any_bytes_pass_untouched_and_leave_nothing_behind() {
    let vm = module().configure("").unwrap();
    let word = prop_oneof![
        4 => select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    let bytes = || prop::collection::vec(word.clone(), 0..60).prop_map(|words| words.concat());
    let head = (select(PATHS), select(STATUSES), select(MEDIA), select(CODINGS));
    let pieces = prop::collection::vec(bytes(), 0..6);
    runner(4_000)
        .run(&(head, bytes(), pieces), |((path, status, media, coding), request, pieces)| {
            let headers = [("content-type", media), ("content-encoding", coding)];
            let exchange = Exchange { path, request: &request, status, headers: &headers };
            let finished = exchange
                .run(&vm, pieces.iter().map(Vec::as_slice))
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(finished.passthrough(), "touched by {:?}", finished.touched_by);
            prop_assert_eq!(finished.response_body, pieces.concat());
            Ok(())
        })
        .unwrap();
    assert!(vm.memory_bytes() <= VM_BYTES + WINDOW_BYTES, "{} bytes", vm.memory_bytes());
}

/// Without a file of failures: each is to become a fixture.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}
