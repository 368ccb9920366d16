//! The part of a request body that decides the answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::outcome::Mode;
use crate::script::Ask;
use crate::wire::Api;

/// An OpenAI-compatible request of any of the three APIs. Everything else in it is ignored.
#[derive(Debug, Deserialize)]
pub(super) struct RequestBody<'a> {
    #[serde(borrow)]
    pub(super) model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    tools: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    messages: Vec<Message>,
    prompt: Option<Value>,
    input: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<Value>,
}

impl RequestBody<'_> {
    /// What is asked; `exact_tokens` comes from a header.
    pub(super) fn ask(&self, api: Api, exact_tokens: Option<u32>) -> Ask {
        let contents = self.messages.iter().filter_map(|message| message.content.as_ref());
        let texts = contents.chain(&self.prompt).chain(&self.input);
        // Embeddings have no stream, whatever is asked.
        let streams = self.stream && api != Api::Embeddings;
        Ask {
            api,
            mode: if streams { Mode::Stream } else { Mode::Unary },
            include_usage: self
                .stream_options
                .as_ref()
                .is_some_and(|options| options.include_usage),
            tools: !self.tools.is_empty(),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            exact_tokens,
            input_tokens: texts.fold(0, |sum: u32, text| sum.saturating_add(words(text))),
        }
    }
}

/// The simulated tokenizer: a word is a token. Both sides can count that without a vocabulary.
fn words(value: &Value) -> u32 {
    match value {
        Value::String(text) => u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX),
        Value::Array(parts) => {
            parts.iter().fold(0, |sum: u32, part| sum.saturating_add(words(part)))
        }
        Value::Object(part) => part.get("text").map_or(0, words),
        Value::Number(_) => 1,
        Value::Null | Value::Bool(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &str) -> Ask {
        serde_json::from_str::<RequestBody<'_>>(body).unwrap().ask(Api::Chat, None)
    }

    #[test]
    fn prompts_of_every_api_are_counted() {
        for (body, tokens) in [
            (r#"{"model":"m","messages":[{"role":"user","content":"one two three"}]}"#, 3),
            (
                r#"{"model":"m","messages":[{"content":[{"type":"text","text":"one two"}]},{"content":null}]}"#,
                2,
            ),
            (r#"{"model":"m","prompt":"one two"}"#, 2),
            (r#"{"model":"m","prompt":[7,8,9]}"#, 3),
            (r#"{"model":"m","input":["one","two three"]}"#, 3),
        ] {
            assert_eq!(ask(body).input_tokens, tokens, "{body}");
        }
    }

    #[test]
    fn usage_is_asked_for_in_so_many_words() {
        for (body, included) in [
            (r#"{"model":"m","stream":true}"#, false),
            (r#"{"model":"m","stream":true,"stream_options":null}"#, false),
            (r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#, true),
        ] {
            assert_eq!(ask(body).include_usage, included, "{body}");
        }
    }
}
