use serde_json::Value;

use super::*;
use crate::fault::{HttpFault, StreamFault};

fn writer(api: Api, style: Style) -> StreamWriter {
    let profile = ModelProfile { name: "m\"1".to_owned(), style, ..ModelProfile::default() };
    StreamWriter::new(api, &profile, "7", 1_700_000_000, true)
}

fn payload(event: &str) -> Value {
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).expect("a data line");
    serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
}

const USAGE: Usage = Usage { input: 9, output: 4, cached: Some(3), reasoning: Some(1) };

fn generated(channel: Channel) -> Event {
    Event::Generated { channel, index: 4, tokens: 2, finish: None }
}

#[test]
fn every_event_is_one_sse_event_with_valid_json() {
    let mut events = vec![
        Event::Role,
        generated(Channel::Text),
        generated(Channel::Reasoning),
        generated(Channel::ToolName),
        generated(Channel::ToolArguments),
        Event::Finish(Finish::Stop),
        Event::Usage(USAGE),
    ];
    events.extend(StreamFault::ALL.iter().map(|fault| Event::Fault(*fault, USAGE)));
    for style in Style::ALL {
        for event in &events {
            let text = writer(Api::Chat, *style).write(*event);
            assert!(text.ends_with("\n\n"), "{style} {event:?}");
            assert_eq!(text.matches("\n\n").count(), 1, "{style} {event:?}");
            payload(&text);
        }
    }
}

#[test]
fn content_stands_where_clients_of_each_style_look() {
    for (style, channel, pointer) in [
        (Style::OpenAi, Channel::Text, "/choices/0/delta/content"),
        (Style::Vllm, Channel::Reasoning, "/choices/0/delta/reasoning"),
        (Style::LlamaCpp, Channel::Reasoning, "/choices/0/delta/reasoning_content"),
        (Style::Vllm, Channel::ToolName, "/choices/0/delta/tool_calls/0/function/name"),
        (Style::Vllm, Channel::ToolArguments, "/choices/0/delta/tool_calls/0/function/arguments"),
    ] {
        let chunk = payload(&writer(Api::Chat, style).write(generated(channel)));
        let content = chunk.pointer(pointer).and_then(Value::as_str);
        assert!(content.is_some_and(|text| !text.is_empty()), "{style} {chunk}");
    }
    let completion =
        payload(&writer(Api::Completions, Style::Vllm).write(generated(Channel::Text)));
    assert_eq!(completion["choices"][0]["text"], " \"usage\": größer");
}

#[test]
fn usage_is_inclusive_and_names_its_parts() {
    let chunk = payload(&writer(Api::Chat, Style::Vllm).write(Event::Usage(USAGE)));
    assert_eq!(chunk["choices"], serde_json::json!([]));
    assert_eq!(
        chunk["usage"],
        serde_json::json!({
            "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 1},
        })
    );
}

#[test]
fn error_bodies_are_json_except_the_proxy_page() {
    for style in Style::ALL {
        for fault in HttpFault::ALL {
            let (content_type, body) = error_body(*fault, *style);
            let parsed = serde_json::from_str::<Value>(&body);
            assert_eq!(parsed.is_ok(), content_type == "application/json", "{fault} {body}");
        }
    }
    let body: Value = serde_json::from_str(&unknown_model("a\"b")).unwrap();
    assert_eq!(body["error"]["code"], "model_not_found");
}

#[test]
fn tokens_are_as_long_as_asked() {
    assert_eq!(token(0, 12).len(), 12);
    assert_eq!(token(6, 1), " 答え");
}
