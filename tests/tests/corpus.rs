//! Recorded answers of real servers, read with the values that an independent script found in them.
//!
//! They lie beside the project and not in it; without them this test says so and passes.

use gaugeway_core::{
    End, Ending, FACT_HEADERS, HostTime, Observer, Outcome, Record, RequestHead, ResponseHead,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A recorded exchange.
struct Exchange {
    name: String,
    body: Vec<u8>,
    sidecar: Value,
}

impl Exchange {
    fn text(&self, key: &str) -> Option<&str> {
        self.sidecar[key].as_str()
    }

    fn expected(&self, key: &str) -> &Value {
        &self.sidecar["expected"][key]
    }

    /// What the filter makes of it when the body comes in these pieces, and how many generated events
    /// it has seen.
    fn replay<'a>(&'a self, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Record, u64) {
        let mut observer = self.begin();
        for piece in pieces {
            observer.response_chunk(Some(HostTime::from_nanos(1)), piece, End::More);
        }
        observer.response_chunk(Some(HostTime::from_nanos(1)), b"", End::Last);
        let events = observer.generated_events();
        let ending = Ending { reached_upstream: true, ..Ending::default() };
        (observer.finish(Some(HostTime::from_nanos(1)), &ending).expect("LLM traffic"), events)
    }

    fn begin(&self) -> Observer {
        let path = self.text("request_path").expect("a path");
        let head = RequestHead { method: b"POST", path: path.as_bytes(), ..RequestHead::default() };
        let start = Some(HostTime::from_nanos(0));
        let mut observer =
            Observer::start(start, &head).unwrap_or_else(|| panic!("{path} is no LLM API"));
        observer.request_chunk(self.sidecar["request_body"].to_string().as_bytes());
        let header =
            |name: &str| self.sidecar["response_headers"][name].as_str().map(str::as_bytes);
        observer.response_head(&ResponseHead {
            status: u16::try_from(self.sidecar["status"].as_u64().expect("a status"))
                .expect("a status"),
            content_type: self.text("content_type").map(str::as_bytes),
            content_encoding: self.text("content_encoding").map(str::as_bytes),
            facts: FACT_HEADERS.map(header),
        });
        observer
    }
}

/// All exchanges, or none with a word about it.
fn corpus() -> &'static [Exchange] {
    static CORPUS: OnceLock<Vec<Exchange>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
        if !folder.is_dir() {
            println!("skipped: no recorded answers at {}", folder.display());
            return Vec::new();
        }
        let mut sidecars: Vec<PathBuf> = std::fs::read_dir(&folder)
            .expect("a folder")
            .flat_map(|provider| {
                std::fs::read_dir(provider.expect("an entry").path()).into_iter().flatten()
            })
            .map(|file| file.expect("an entry").path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
            .collect();
        sidecars.sort();
        sidecars.iter().map(|file| read(file)).collect()
    })
}

fn read(sidecar: &Path) -> Exchange {
    let text = std::fs::read(sidecar).expect("a sidecar");
    Exchange {
        name: sidecar.file_stem().expect("a name").to_string_lossy().into_owned(),
        body: std::fs::read(sidecar.with_extension("body")).expect("a body"),
        sidecar: serde_json::from_slice(&text).expect("JSON"),
    }
}

/// The contract's finish reason for what a server wrote.
fn finish(raw: &str) -> &'static str {
    match raw.strip_prefix("incomplete:").unwrap_or(raw) {
        "stop" | "end_turn" | "stop_sequence" | "STOP" | "COMPLETE" | "completed" | "eos"
        | "eos_token" | "done" | "pause_turn" | "FINISH" | "1" => "stop",
        "length" | "max_tokens" | "MAX_TOKENS" | "model_length" | "max_output_tokens" => "length",
        "tool_calls" | "tool_use" | "TOOL_CALL" | "function_call" => "tool_calls",
        "content_filter"
        | "SAFETY"
        | "RECITATION"
        | "PROHIBITED_CONTENT"
        | "guardrail_intervened"
        | "refusal"
        | "sensitive" => "content_filter",
        raw if raw.starts_with("blocked:") => "content_filter",
        _ => "other",
    }
}

/// The contract's error class for the corpus' hint.
fn class(hint: &str) -> &str {
    match hint {
        "rate_limit" => "rate_limited",
        "quota" => "quota_exceeded",
        "capacity" => "overloaded",
        "server_error" => "upstream_5xx",
        "tool_use_failed" => "generation_failed",
        other => other,
    }
}

/// Every difference between the record and what was expected.
fn differences(exchange: &Exchange, record: &Record, events: u64) -> Vec<String> {
    let mut all = Vec::new();
    let mut check = |what: &str, found: String, expected: String| {
        if found != expected {
            all.push(format!("{}: {what} is {found}, expected {expected}", exchange.name));
        }
    };
    let count = |key| exchange.expected(key).as_u64();
    for (key, found) in [
        ("input_tokens_total", record.usage.input),
        ("output_tokens_total", record.usage.output),
        ("cached_tokens", record.usage.cache_read),
        ("cache_creation_tokens", record.usage.cache_write),
        ("reasoning_tokens", record.usage.reasoning),
    ] {
        check(key, format!("{found:?}"), format!("{:?}", count(key)));
    }
    let model =
        record.response_model.as_deref().map(|model| String::from_utf8_lossy(model).into_owned());
    let expected = exchange.expected("model").as_str().filter(|model| !model.is_empty());
    let expected = expected.map(|model| model.chars().take(96).collect::<String>());
    check("model", format!("{model:?}"), format!("{expected:?}"));
    let raw = exchange.expected("finish_reason");
    let raw = raw.as_str().map(str::to_owned).or_else(|| raw.as_i64().map(|raw| raw.to_string()));
    let expected = raw.as_deref().filter(|raw| *raw != "failed").map(finish);
    check("finish", format!("{:?}", record.finish.map(|f| f.as_str())), format!("{expected:?}"));
    let hint = exchange.expected("error_class_hint").as_str().map(class);
    let found = record.error.map(|(class, _)| class.as_str());
    check("error", format!("{found:?}"), format!("{hint:?}"));
    check("outcome", (record.outcome == Outcome::Error).to_string(), hint.is_some().to_string());
    if exchange.sidecar["stream"] == true {
        let expected =
            count("content_chunks").unwrap_or(0) + count("tool_start_chunks").unwrap_or(0);
        check("generated events", events.to_string(), expected.to_string());
    }
    all
}

/// Exchanges whose expectation is wrong, and why.
const WRONG: &[(&str, &str)] = &[
    (
        "bedrock-invoke_stream-stream-04",
        "a guardrail blocked the prompt: there is no stop reason, but `INTERVENED` is content_filter",
    ),
    (
        "lmstudio-responses-stream-02",
        "the call's arguments came whole and without deltas: one more payload",
    ),
    ("lmstudio-responses-stream-03", "the same"),
    (
        "openai-chat_completions-unary-04-br",
        "the expectation was made without undoing `br`: all null",
    ),
    ("vertex-embeddings-unary-02", "`statistics.token_count` is the prompt's tokens: 10, not null"),
];

#[test]
fn every_exchange_says_what_was_expected() {
    let mut wrong = Vec::new();
    for exchange in corpus() {
        let (record, events) = exchange.replay([exchange.body.as_slice()]);
        let differences = differences(exchange, &record, events);
        let known = WRONG.iter().any(|(name, _)| *name == exchange.name);
        if known == differences.is_empty() {
            wrong.push(format!("{}: known to be wrong: {known}; {differences:?}", exchange.name));
        }
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_cut_makes_a_difference() {
    for exchange in corpus() {
        let body = exchange.body.as_slice();
        let whole = exchange.replay([body]);
        assert_eq!(exchange.replay(body.chunks(1)), whole, "{} byte by byte", exchange.name);
        for size in [2, 7, 61, 1024] {
            assert_eq!(exchange.replay(body.chunks(size)), whole, "{} by {size}", exchange.name);
        }
        if body.len() <= 4 << 10 {
            for cut in 1..body.len() {
                let (head, tail) = body.split_at(cut);
                assert_eq!(
                    exchange.replay([head, &[], tail]),
                    whole,
                    "{} cut at {cut}",
                    exchange.name
                );
            }
        }
    }
}

#[test]
fn the_first_generated_event_counts_with_its_last_byte_and_not_before() {
    for exchange in corpus() {
        // Bodies in a content coding, and events that are not text, have no such place.
        let end = exchange.expected("first_output")["end_offset"].as_u64();
        let plain = exchange.text("content_encoding").is_none();
        let framing = exchange.text("framing");
        let (Some(end), true, Some("sse" | "ndjson")) = (end, plain, framing) else { continue };
        let end = usize::try_from(end).expect("an offset");
        let seen = |length: usize| {
            let mut observer = exchange.begin();
            observer.response_chunk(None, exchange.body.get(..length).expect("within"), End::More);
            observer.generated_events()
        };
        assert_eq!(seen(end.min(exchange.body.len())), 1, "{}: at {end}", exchange.name);
        assert_eq!(seen(end - 2), 0, "{}: before {end}", exchange.name);
    }
}
