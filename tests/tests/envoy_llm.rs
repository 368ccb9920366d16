//! The real client asks a real LLM server through the real Envoy: the filter counts what the server reports.

use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::llm::{self, LlmServer};
use gaugeway_tests::{real, scratch};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MODEL: &str = "smollm2";

#[test]
fn counts_equal_what_the_server_reports() {
    let (Some(binary), Some(llm)) = (real::envoy(), real::llm()) else { return };
    let dir = scratch::dir("envoy_llm");
    let server = LlmServer::start(&llm, &dir, MODEL);
    let envoy = Envoy::start(&binary, &dir, Config::example(server.address())).unwrap();

    let requests = requests();
    let seen =
        llm::ask(&llm, &format!("http://{}/v1", envoy.listener()), &Value::from(requests.clone()));
    assert_eq!(seen.len(), requests.len());
    let logged: BTreeMap<String, Value> = envoy
        .access_log(requests.len())
        .into_iter()
        .map(|line| (line["sim_id"].as_str().unwrap().to_owned(), line))
        .collect();

    let (mut input, mut output) = (0, 0);
    for (request, seen) in requests.iter().zip(&seen) {
        let id = request["id"].as_str().unwrap();
        let line = &logged[id];
        assert_eq!(line["finish_reason"], seen["finish_reason"], "{id}: {line}");
        assert_eq!(line["outcome"], "success", "{id}: {line}");
        assert_eq!(line["model"], MODEL, "{id}: {line}");
        if request["body"]["stream"] == true {
            assert_eq!(number(line, "generated_events"), seen["chunks"].as_u64(), "{id}: {line}");
            let [ttfb, ttft] = ["ttfb_us", "ttft_us"].map(|key| number(line, key).expect(key));
            assert!(0 < ttfb && ttfb <= ttft, "{id}: {line}");
        }
        match seen["usage"].as_object() {
            Some(usage) => {
                let [prompt, completion] =
                    ["prompt_tokens", "completion_tokens"].map(|key| usage[key].as_u64().unwrap());
                assert_eq!(number(line, "input_tokens"), Some(prompt), "{id}: {line}");
                assert_eq!(number(line, "output_tokens"), Some(completion), "{id}: {line}");
                assert_eq!(line["usage_source"], "reported", "{id}: {line}");
                input += prompt;
                output += completion;
            }
            // Nobody was told: what the filter says is marked as its own estimate.
            None => assert_eq!(line["usage_source"], "estimated", "{id}: {line}"),
        }
    }

    let stats = envoy.stats();
    let reported =
        |name| stats.sum(name, &[("model", MODEL), ("source", "reported"), ("outcome", "success")]);
    assert_eq!(reported("gaugeway_input_tokens_total"), Some(input as f64));
    assert_eq!(reported("gaugeway_output_tokens_total"), Some(output as f64));
    assert_eq!(
        stats.sum("gaugeway_requests_total", &[("outcome", "success")]),
        Some(requests.len() as f64)
    );
    assert_eq!(
        stats.sum("gaugeway_usage_missing_total", &[]),
        Some(1.0),
        "one stream did not ask for usage"
    );
    assert_eq!(stats.sum("gaugeway_errors_total", &[]), None);
}

/// Chat and legacy completions, streamed with usage, streamed without, and in one piece.
fn requests() -> Vec<Value> {
    let messages = json!([{"role": "user", "content": "Name three rivers of Europe, please. 🌊"}]);
    let chat = |extra: Value| {
        merge(json!({"model": MODEL, "messages": messages, "max_tokens": 24}), extra)
    };
    let completion =
        |extra| merge(json!({"model": MODEL, "prompt": "The river", "max_tokens": 16}), extra);
    let with_usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    vec![
        json!({"id": "chat-usage", "api": "chat", "body": chat(with_usage.clone())}),
        json!({"id": "chat-silent", "api": "chat", "body": chat(json!({"stream": true}))}),
        json!({"id": "chat-unary", "api": "chat", "body": chat(json!({}))}),
        json!({"id": "completion-usage", "api": "completions", "body": completion(with_usage)}),
        json!({"id": "completion-unary", "api": "completions", "body": completion(json!({}))}),
    ]
}

fn merge(mut base: Value, extra: Value) -> Value {
    base.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    base
}

/// Filter state is text; an absent value is an absent field.
fn number(line: &Value, key: &str) -> Option<u64> {
    line[key].as_str().map(|text| text.parse().unwrap())
}
