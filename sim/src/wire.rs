//! How real servers write: SSE events, unary bodies and error bodies in each [`Style`].
//!
//! JSON is written by hand from templates with the key order of the real servers, and text is quoted by `serde_json`.

mod error;
mod text;

use error::fault_event;
pub use error::{error_body, unknown_model};
pub use text::token;

use std::fmt::Write as _;

use crate::profile::{ModelProfile, Style};
use crate::script::{Answer, Channel, Event, Finish};
use crate::served::Usage;

/// The API that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
    /// `/v1/embeddings`.
    Embeddings,
}

impl Api {
    /// Every API.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Completions, Self::Embeddings];

    /// Its request path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
        }
    }
}

/// The content type of a stream.
pub const fn stream_content_type(style: Style) -> &'static str {
    match style {
        Style::OpenAi | Style::Vllm => "text/event-stream; charset=utf-8",
        Style::LlamaCpp => "text/event-stream",
    }
}

/// Writes the events of one stream.
#[derive(Clone, Debug)]
pub struct StreamWriter {
    api: Api,
    style: Style,
    bytes_per_token: u32,
    /// The chunk up to and including `"choices":[`.
    head: String,
    /// What closes a chunk after its choices.
    tail: &'static str,
}

impl StreamWriter {
    /// A writer for one stream. `unix_seconds` becomes `created`.
    pub fn new(api: Api, profile: &ModelProfile, id: &str, unix_seconds: u64, usage: bool) -> Self {
        let (prefix, object) = match api {
            Api::Chat | Api::Embeddings => ("chatcmpl", "chat.completion.chunk"),
            Api::Completions => ("cmpl", "text_completion"),
        };
        let id = quote(&format!("{prefix}-{id}"));
        let model = quote(&profile.name);
        let extra = match profile.style {
            Style::OpenAi => r#""service_tier":"default","system_fingerprint":"fp_51db84afab","#,
            Style::Vllm => "",
            Style::LlamaCpp => r#""system_fingerprint":"b9000-51db84af","#,
        };
        let head = format!(
            r#"data: {{"id":{id},"object":"{object}","created":{unix_seconds},"model":{model},{extra}"choices":["#
        );
        // With include_usage the hosted API names usage in every chunk; llama.cpp never does.
        let tail = match (profile.style, usage) {
            (Style::OpenAi, true) => "],\"usage\":null,\"obfuscation\":\"9xKf2\"}\n\n",
            (Style::OpenAi, false) => "],\"obfuscation\":\"9xKf2\"}\n\n",
            (Style::Vllm, true) => "],\"usage\":null}\n\n",
            (Style::Vllm, false) | (Style::LlamaCpp, _) => "]}\n\n",
        };
        Self { api, style: profile.style, bytes_per_token: profile.bytes_per_token, head, tail }
    }

    /// The bytes of an event. Empty for one that this API or style does not write.
    pub fn write(&self, event: Event) -> String {
        match event {
            Event::Role => self.role(),
            Event::Generated { channel, index, tokens, finish } => {
                self.generated(channel, index, tokens, finish)
            }
            Event::Finish(finish) => match self.api {
                Api::Completions => self.choice(r#""text":"""#, Some(finish)),
                Api::Chat | Api::Embeddings => self.choice(r#""delta":{}"#, Some(finish)),
            },
            Event::Usage(usage) => self.usage(usage),
            Event::Fault(fault, usage) => fault_event(fault, &self.head, usage),
            Event::Done => "data: [DONE]\n\n".to_owned(),
            Event::Cut(_) | Event::End => String::new(),
        }
    }

    fn choice(&self, content: &str, finish: Option<Finish>) -> String {
        let Self { head, tail, .. } = self;
        let finish =
            finish.map_or_else(|| "null".to_owned(), |finish| format!("\"{}\"", finish.as_str()));
        let stop_reason = match self.style {
            Style::Vllm => r#","stop_reason":null"#,
            Style::OpenAi | Style::LlamaCpp => "",
        };
        format!(
            r#"{head}{{"index":0,{content},"logprobs":null,"finish_reason":{finish}{stop_reason}}}{tail}"#
        )
    }

    fn role(&self) -> String {
        match (self.api, self.style) {
            (Api::Completions, _) => String::new(),
            (_, Style::OpenAi) => {
                self.choice(r#""delta":{"role":"assistant","content":"","refusal":null}"#, None)
            }
            (_, Style::Vllm) => self.choice(r#""delta":{"role":"assistant","content":""}"#, None),
            (_, Style::LlamaCpp) => {
                self.choice(r#""delta":{"role":"assistant","content":null}"#, None)
            }
        }
    }

    fn generated(
        &self,
        channel: Channel,
        index: u32,
        tokens: u32,
        finish: Option<Finish>,
    ) -> String {
        let text = quote(&text::tokens(index, tokens, self.bytes_per_token));
        let reasoning_key = match self.style {
            Style::Vllm => "reasoning",
            Style::OpenAi | Style::LlamaCpp => "reasoning_content",
        };
        let content = match (self.api, channel) {
            (Api::Completions, _) => format!(r#""text":{text}"#),
            (_, Channel::Text) => format!(r#""delta":{{"content":{text}}}"#),
            (_, Channel::Reasoning) => format!(r#""delta":{{"{reasoning_key}":{text}}}"#),
            (_, Channel::ToolName) => {
                r#""delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"lookup","arguments":""}}]}"#
                    .to_owned()
            }
            (_, Channel::ToolArguments) => format!(
                r#""delta":{{"tool_calls":[{{"index":0,"function":{{"arguments":{text}}}}}]}}"#
            ),
        };
        self.choice(&content, finish)
    }

    fn usage(&self, usage: Usage) -> String {
        let usage_json = usage_json(usage);
        let timings = match self.style {
            Style::LlamaCpp => format!(
                r#","timings":{{"prompt_n":{},"predicted_n":{}}}"#,
                usage.input, usage.output
            ),
            Style::OpenAi | Style::Vllm => String::new(),
        };
        format!("{}],\"usage\":{usage_json}{timings}}}\n\n", self.head)
    }
}

/// The usage object.
pub fn usage_json(usage: Usage) -> String {
    let Usage { input, output, cached, reasoning } = usage;
    let mut json = format!(
        r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}"#,
        input + output
    );
    // Writing to a String cannot fail.
    if let Some(cached) = cached {
        let _ = write!(json, r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#);
    }
    if let Some(reasoning) = reasoning {
        let _ = write!(json, r#","completion_tokens_details":{{"reasoning_tokens":{reasoning}}}"#);
    }
    json.push('}');
    json
}

/// A whole unary answer.
pub fn unary_body(
    api: Api,
    profile: &ModelProfile,
    id: &str,
    unix_seconds: u64,
    answer: &Answer,
    usage: Option<Usage>,
) -> String {
    let model = quote(&profile.name);
    if api == Api::Embeddings {
        let usage = usage.map_or(String::new(), |usage| {
            format!(r#","usage":{{"prompt_tokens":{0},"total_tokens":{0}}}"#, usage.input)
        });
        let vector = vec!["-0.0123456"; 256].join(",");
        return format!(
            r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{vector}]}}],"model":{model}{usage}}}"#
        );
    }
    let text = |from, tokens| quote(&text::tokens(from, tokens, profile.bytes_per_token));
    let content = text(answer.reasoning_tokens, answer.answer_tokens);
    let reasoning = match answer.reasoning_tokens {
        0 => String::new(),
        tokens => format!(r#","reasoning_content":{}"#, text(0, tokens)),
    };
    let (prefix, object, result) = match (api, answer.calls_tool) {
        (Api::Completions, _) => ("cmpl", "text_completion", format!(r#""text":{content}"#)),
        (_, false) => (
            "chatcmpl",
            "chat.completion",
            format!(r#""message":{{"role":"assistant","content":{content}{reasoning}}}"#),
        ),
        (_, true) => (
            "chatcmpl",
            "chat.completion",
            format!(
                r#""message":{{"role":"assistant","content":null{reasoning},"tool_calls":[{{"id":"call_1","type":"function","function":{{"name":"lookup","arguments":{content}}}}}]}}"#
            ),
        ),
    };
    let id = quote(&format!("{prefix}-{id}"));
    let finish = answer.finish.as_str();
    let usage = usage.map_or(String::new(), |usage| format!(r#","usage":{}"#, usage_json(usage)));
    format!(
        r#"{{"id":{id},"object":"{object}","created":{unix_seconds},"model":{model},"choices":[{{"index":0,{result},"logprobs":null,"finish_reason":"{finish}"}}]{usage}}}"#
    )
}

/// The answer to `GET /v1/models`.
pub fn models_body<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let models: Vec<_> = names
        .map(|name| {
            format!(r#"{{"id":{},"object":"model","owned_by":"gaugeway-sim"}}"#, quote(name))
        })
        .collect();
    format!(r#"{{"object":"list","data":[{}]}}"#, models.join(","))
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "wire/tests.rs"]
mod tests;
