//! The parts of an OpenAI-compatible answer that a client measures.

use serde::Deserialize;
use serde_json::Value;

use crate::served::Usage;

/// A stream's chunk or a unary answer. Fields that no measurement needs are left out.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<UsageOnWire>,
    pub(super) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    delta: Option<Delta>,
    text: Option<String>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    reasoning: Option<String>,
    reasoning_content: Option<String>,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

fn says_something(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

impl Choice {
    pub(super) fn has_output(&self) -> bool {
        let in_delta = self.delta.as_ref().is_some_and(|delta| {
            says_something(&delta.content)
                || says_something(&delta.refusal)
                || delta.tool_calls.iter().filter_map(|call| call.function.as_ref()).any(
                    |function| {
                        says_something(&function.name) || says_something(&function.arguments)
                    },
                )
        });
        in_delta || says_something(&self.text)
    }

    pub(super) fn has_reasoning(&self) -> bool {
        self.delta.as_ref().is_some_and(|delta| {
            says_something(&delta.reasoning) || says_something(&delta.reasoning_content)
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct UsageOnWire {
    prompt_tokens: u64,
    /// Embeddings have none.
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<&UsageOnWire> for Usage {
    fn from(wire: &UsageOnWire) -> Self {
        Self {
            input: wire.prompt_tokens,
            output: wire.completion_tokens.unwrap_or(0),
            cached: wire.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens),
            reasoning: wire
                .completion_tokens_details
                .as_ref()
                .and_then(|details| details.reasoning_tokens),
        }
    }
}
