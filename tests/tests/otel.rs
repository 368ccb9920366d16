//! The parts of `envoy/otel/` in the real Envoy: a real OTLP receiver gets spans, logs and metrics that say what the
//! user saw, for answers that were streamed, whole, failed and aborted.

use gaugeway_core::{Api, STATE_KEYS};
use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{Mode, ModelProfile, Observation, Outcome, Server, ServerConfig};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::otlp::{Received, Receiver, attributes, part};
use gaugeway_tests::{real, scratch, wait_for};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

/// The conventions have no name for whom these are from, or for what is asked of them.
const WITHOUT_OPERATION: &[&str] =
    &["openai_audio", "openai_images", "bedrock_invoke", "ollama", "tgi", "triton", "watsonx"];
const WITHOUT_PROVIDER: &[&str] = &["tgi", "triton"];

const REQUESTS: u64 = 60;
const MIX: &str = "ok=5,http:503=1,error_in_stream:3:vllm=1,truncate:3=1,abort:3=2";

type Attributes = BTreeMap<String, String>;

/// One request, seen from all sides.
struct Exchange {
    observed: Observation,
    /// The line of the access log.
    line: Value,
    span: Value,
    record: Value,
}

#[test]
fn spans_logs_and_metrics_say_what_the_user_saw() {
    let (Some(binary), Some(python)) = (real::envoy(), real::otlp()) else { return };
    let dir = scratch::dir("otel");
    let receiver = Receiver::start(&python, &dir);
    let server = Server::start(ServerConfig::default()).unwrap();
    let envoy =
        Envoy::start(&binary, &dir, receiver.fed_by(Config::example(server.addr()))).unwrap();

    let observed = ask(&envoy);
    let lines = envoy.access_log(observed.len());
    let received = wait_for("spans and logs", Duration::from_secs(30), || {
        let received = receiver.received();
        let arrived = received.spans.len().min(received.logs.len());
        if arrived < observed.len() { Err(format!("{arrived}")) } else { Ok(received) }
    });

    let exchanges = join(observed, lines, &received);
    for exchange in &exchanges {
        tells_the_outcome(exchange);
        tells_the_usage_and_times(exchange);
        is_one_story(exchange);
    }
    let kinds: BTreeSet<_> =
        exchanges.iter().map(|e| (e.observed.mode, e.observed.outcome)).collect();
    for kind in [
        (Mode::Stream, Outcome::Success),
        (Mode::Unary, Outcome::Success),
        (Mode::Unary, Outcome::Error),
        (Mode::Stream, Outcome::Error),
        (Mode::Stream, Outcome::Truncated),
        (Mode::Stream, Outcome::ClientAbort),
    ] {
        assert!(kinds.contains(&kind), "nothing was {kind:?}");
    }
    tokens_and_times_arrive_as_metrics(&receiver, &exchanges);
}

/// A client's trace goes on through the gateway: its span is the parent of ours, and ours that of the engine's.
#[test]
fn the_engine_joins_the_client_s_trace() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const CLIENT: &str = "b7ad6b7169203331";
    let (Some(binary), Some(python)) = (real::envoy(), real::otlp()) else { return };
    let dir = scratch::dir("otel_context");
    let receiver = Receiver::start(&python, &dir);
    let upstream = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let config = receiver.fed_by(Config::example(upstream.local_addr().unwrap()));
    let envoy = Envoy::start(&binary, &dir, config).unwrap();

    let engine = thread::spawn(move || head_of_one_request(&upstream));
    ureq::post(format!("http://{}/v1/chat/completions?key=secret", envoy.listener()))
        .header("traceparent", format!("00-{TRACE}-{CLIENT}-01"))
        .header("content-type", "application/json")
        .send(r#"{"model": "m", "messages": []}"#)
        .unwrap();
    let head = engine.join().unwrap();
    let span = wait_for("the span", Duration::from_secs(30), || {
        receiver.received().spans.into_iter().next().ok_or_else(|| "none".to_owned())
    });

    assert_eq!(span["traceId"], TRACE);
    assert_eq!(span["parentSpanId"], CLIENT);
    let context = head.iter().find_map(|line| line.strip_prefix("traceparent: ")).unwrap();
    let ours = span["spanId"].as_str().unwrap();
    assert_eq!(context, format!("00-{TRACE}-{ours}-01"));
    assert!(!span.to_string().contains("secret"), "{span}");
}

/// The words for operation and provider, of the wire APIs that have any.
#[test]
fn every_wire_api_has_its_words() {
    let span = tags(&serde_saphyr::from_str::<Value>(&part("tracing")).unwrap()["tracing"]);
    for (tag, without) in
        [("gen_ai.operation.name", WITHOUT_OPERATION), ("gen_ai.provider.name", WITHOUT_PROVIDER)]
    {
        for api in Api::ALL.iter().map(|api| api.as_str()) {
            let named = span[tag].matches(&format!("b'{api}'")).count();
            assert_eq!(named, usize::from(!without.contains(&api)), "{tag}: {api}");
        }
    }
}

#[test]
fn the_log_record_has_the_attributes_of_the_span() {
    let tracing: Value = serde_saphyr::from_str(&part("tracing")).unwrap();
    let log: Value = serde_saphyr::from_str(&part("access-log")).unwrap();
    let record = tags(&log[0]["typed_config"]);
    let mut span = tags(&tracing["tracing"]);
    span.remove("http.url");
    for (tag, value) in span {
        assert_eq!(record.get(&tag), Some(&value), "{tag}");
    }
    for key in STATE_KEYS {
        let written = format!("%FILTER_STATE(wasm.{key}:PLAIN)%");
        assert!(record.values().any(|value| *value == written), "{key}");
    }
}

fn ask(envoy: &Envoy) -> Vec<Observation> {
    let models = ModelProfile::catalogue().into_iter().map(|model| model.name).collect();
    let config = LoadConfig {
        until: Until::Requests(REQUESTS),
        mix: MIX.parse().unwrap(),
        stream_share: 0.5,
        apis: gaugeway_sim::wire::Api::ALL.to_vec(),
        ..LoadConfig::new(format!("http://{}", envoy.listener()).parse().unwrap(), models)
    };
    load::run(&config, |_| ()).unwrap().observations
}

/// Lines are found by the simulator's id, spans and records by the line's trace id.
fn join(observed: Vec<Observation>, lines: Vec<Value>, received: &Received) -> Vec<Exchange> {
    let by = |messages: &[Value], key: &str| -> BTreeMap<String, Value> {
        let key_of = |message: &Value| message[key].as_str().unwrap_or_default().to_owned();
        messages.iter().map(|message| (key_of(message), message.clone())).collect()
    };
    let (lines, spans) = (by(&lines, "sim_id"), by(&received.spans, "traceId"));
    let records = by(&received.logs, "traceId");
    let exchange = |observed: Observation| {
        let line = lines[&observed.id].clone();
        let trace = line["trace_id"].as_str().expect("a line has the id of its trace");
        let (span, record) = (spans[trace].clone(), records[trace].clone());
        Exchange { observed, line, span, record }
    };
    observed.into_iter().map(exchange).collect()
}

fn tells_the_outcome(Exchange { observed, span, .. }: &Exchange) {
    let said = attributes(span);
    let get = |key: &str| said.get(key).map(String::as_str);
    let (operation, api) = match observed.path.as_str() {
        "/v1/chat/completions" => ("chat", "openai_chat"),
        "/v1/completions" => ("text_completion", "openai_completions"),
        _ => ("embeddings", "openai_embeddings"),
    };
    assert_eq!(span["name"], format!("{api} {}", observed.model), "{said:?}");
    assert_eq!(get("gen_ai.operation.name"), Some(operation), "{said:?}");
    assert_eq!(get("gen_ai.provider.name"), Some("openai"), "{said:?}");
    assert_eq!(get("gen_ai.request.model"), Some(observed.model.as_str()), "{said:?}");
    assert_eq!(get("http.url"), Some(observed.path.as_str()), "{said:?}");

    let class = observed.error_class.map(|class| class.to_string());
    assert_eq!(get("error.type"), class.as_deref(), "{said:?}");
    match observed.outcome {
        // Envoy ends the span before the filter hears of it, and says itself who went.
        Outcome::ClientAbort => {
            assert_eq!(
                (get("gaugeway.outcome"), get("response_flags")),
                (None, Some("DC")),
                "{said:?}"
            );
        }
        Outcome::Truncated => assert_ne!(get("gaugeway.outcome"), Some("success"), "{said:?}"),
        outcome => {
            assert_eq!(get("gaugeway.outcome"), Some(outcome.to_string().as_str()), "{said:?}")
        }
    }
}

fn tells_the_usage_and_times(Exchange { observed, span, .. }: &Exchange) {
    let said = attributes(span);
    let number = |key: &str| said.get(key).map(|text| text.parse::<u64>().unwrap());
    if observed.outcome == Outcome::Success {
        assert!(said.contains_key("gen_ai.response.model"), "{said:?}");
        let usage = observed.usage.expect("every server reports");
        assert_eq!(number("gen_ai.usage.input_tokens"), Some(usage.input), "{said:?}");
        if !observed.path.ends_with("embeddings") {
            let finish = said["gen_ai.response.finish_reasons"].as_str();
            assert!(["stop", "length", "tool_calls"].contains(&finish), "{said:?}");
            assert_eq!(number("gen_ai.usage.output_tokens"), Some(usage.output), "{said:?}");
        }
    }
    // The user is a little further away than the filter.
    if let (Some(user), Mode::Stream) = (observed.ttft_us, observed.mode) {
        let filter = number("gaugeway.ttft_us").expect("a first token takes its time");
        assert!(filter <= user, "{filter} {user}: {said:?}");
    } else {
        assert_eq!(number("gaugeway.ttft_us"), None, "{said:?}");
    }
}

/// Span, log record and line of the access log agree.
fn is_one_story(Exchange { span, record, line, .. }: &Exchange) {
    assert_eq!(record["spanId"], span["spanId"]);
    let (span, record) = (attributes(span), attributes(record));
    assert_eq!(line["request_id"].as_str(), span.get("guid:x-request-id").map(String::as_str));
    let ours = |of: &Attributes| -> Attributes {
        let is_ours =
            |key: &str| ["gen_ai.", "gaugeway.", "error."].iter().any(|p| key.starts_with(p));
        of.iter().filter(|(key, _)| is_ours(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    assert_eq!(ours(&span), ours(&record));
    for (key, in_line) in [
        ("gen_ai.request.model", "model"),
        ("gen_ai.usage.output_tokens", "output_tokens"),
        ("error.type", "error_class"),
        ("gaugeway.outcome", "outcome"),
        ("gaugeway.ttft_us", "ttft_us"),
    ] {
        assert_eq!(span.get(key).map(String::as_str), line[in_line].as_str(), "{key}: {line}");
    }
}

fn tokens_and_times_arrive_as_metrics(receiver: &Receiver, exchanges: &[Exchange]) {
    let reported = |of: fn(&Observation) -> u64| -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for Exchange { observed, .. } in exchanges.iter().filter(|e| e.observed.usage.is_some()) {
            *sums.entry(observed.model.clone()).or_default() += of(observed);
        }
        sums
    };
    let input = reported(|observed| observed.usage.map_or(0, |usage| usage.input));
    let streams = exchanges.iter().filter(|e| attributes(&e.span).contains_key("gaugeway.ttft_us"));
    let streams = streams.count() as u64;
    wait_for("the metrics", Duration::from_secs(20), || {
        let metrics = receiver.received().metrics;
        let last = |name: &str| metrics.iter().rev().find(|metric| metric["name"] == name);
        let mut found = BTreeMap::<String, u64>::new();
        for point in points(last("gen_ai.client.inference.usage.input_tokens")) {
            let labels = attributes(point);
            if labels["source"] == "reported" {
                *found.entry(labels["model"].clone()).or_default() += count(&point["asInt"]);
            }
        }
        let per_request = points(last("gen_ai.client.inference.operation.input_tokens"));
        let per_request: u64 = per_request.map(|point| count(&point["count"])).sum();
        let times: Vec<&Value> = points(last("wasmcustom.gaugeway_ttft_us")).collect();
        let timed: u64 = times.iter().map(|point| count(&point["count"])).sum();
        let first = times.first().map(|point| attributes(point)).unwrap_or_default();
        let all_there = found == input && per_request > 0 && timed == streams;
        let labelled = ["model", "api", "upstream"].iter().all(|label| first.contains_key(*label));
        match all_there && labelled {
            true => Ok(()),
            false => Err(format!("{found:?} of {input:?}, {timed} of {streams}, {first:?}")),
        }
    });
}

/// The data points of a counter or a histogram.
fn points(metric: Option<&Value>) -> impl Iterator<Item = &Value> {
    metric
        .into_iter()
        .flat_map(|metric| [&metric["sum"]["dataPoints"], &metric["histogram"]["dataPoints"]])
        .filter_map(Value::as_array)
        .flatten()
}

/// Protobuf's JSON writes large integers as text.
fn count(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).expect("a count is a number")
}

/// The custom tags of a tracer or a logger.
fn tags(of: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a tag is text").to_owned();
    let tags = of["custom_tags"].as_array().expect("there are tags");
    tags.iter().map(|tag| (text(&tag["tag"]), text(&tag["value"]))).collect()
}

/// Answers one request, and gives its head.
fn head_of_one_request(listener: &TcpListener) -> Vec<String> {
    let (mut stream, _) = listener.accept().unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let head = lines.take_while(|line| !line.is_empty()).collect();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    head
}
