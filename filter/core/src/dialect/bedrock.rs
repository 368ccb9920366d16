//! AWS Bedrock: Converse, and InvokeModel with what the model families behind it speak.

use super::Field;
use super::anthropic::{BLOCK, USAGE as ANTHROPIC_USAGE};
use super::failure::{ERROR, MESSAGE};
use super::openai::{FINISH, KIND, MODEL, OUTPUT, REASONING, STREAMED_CHOICES, count};
use crate::json::{Node, each, leaf, object};
use crate::usage::Count;

/// The payload of a frame, or a whole answer.
pub(super) static CONVERSE: Node = object(&[
    ("start", START),
    ("delta", DELTA),
    ("stopReason", FINISH),
    ("usage", USAGE),
    ("output", OUTPUT_MESSAGE),
    ("message", MESSAGE),
]);

const START: Node = object(&[("toolUse", object(&[("name", OUTPUT)]))]);
const DELTA: Node = object(&[
    ("text", OUTPUT),
    ("toolUse", object(&[("input", OUTPUT)])),
    ("reasoningContent", object(&[("text", REASONING), ("redactedContent", REASONING)])),
]);
const OUTPUT_MESSAGE: Node =
    object(&[("message", object(&[("content", each(&object(&[("text", OUTPUT)])))]))]);

/// Newer answers write each cache count twice, under two names.
const USAGE: Node = object(&[
    ("inputTokens", count(Count::Input)),
    ("outputTokens", count(Count::Output)),
    ("cacheReadInputTokens", count(Count::CacheRead)),
    ("cacheReadInputTokenCount", count(Count::CacheRead)),
    ("cacheWriteInputTokens", count(Count::CacheWrite)),
    ("cacheWriteInputTokenCount", count(Count::CacheWrite)),
]);

/// What AWS measured. The model's own count is what it bills.
const METRICS: Node = object(&[
    ("inputTokenCount", leaf(Field::Fallback(Count::Input))),
    ("outputTokenCount", leaf(Field::Fallback(Count::Output))),
    ("cacheReadInputTokenCount", leaf(Field::Fallback(Count::CacheRead))),
    ("cacheWriteInputTokenCount", leaf(Field::Fallback(Count::CacheWrite))),
]);

/// The model's own JSON: Anthropic, Nova (Converse events with their names), Llama, Titan, Mistral,
/// Cohere and imported OpenAI-like models. Their names do not collide.
pub(super) static INVOKE: Node = object(&[
    ("type", KIND),
    ("model", MODEL),
    (
        "message",
        object(&[("model", MODEL), ("stop_reason", FINISH), ("usage", ANTHROPIC_USAGE)])
            .is(Field::ErrorMessage)
            .text(crate::error::MAX_MESSAGE),
    ),
    ("content_block", BLOCK),
    (
        "delta",
        object(&[
            ("text", OUTPUT),
            ("thinking", REASONING),
            ("partial_json", OUTPUT),
            ("stop_reason", FINISH),
        ]),
    ),
    ("usage", INVOKE_USAGE),
    ("content", each(&BLOCK)),
    ("stop_reason", FINISH),
    ("completion", OUTPUT),
    ("contentBlockStart", object(&[("start", START)])),
    ("contentBlockDelta", object(&[("delta", DELTA)])),
    ("messageStop", object(&[("stopReason", FINISH)])),
    ("metadata", object(&[("usage", USAGE)])),
    ("stopReason", FINISH),
    ("output", OUTPUT_MESSAGE),
    ("generation", OUTPUT),
    ("prompt_token_count", count(Count::Input)),
    ("generation_token_count", count(Count::Output)),
    ("outputText", OUTPUT),
    ("inputTextTokenCount", count(Count::Input)),
    ("totalOutputTextTokenCount", count(Count::Output)),
    ("completionReason", FINISH),
    (
        "results",
        each(&object(&[("tokenCount", count(Count::Output)), ("completionReason", FINISH)])),
    ),
    ("outputs", each(&object(&[("text", OUTPUT), ("stop_reason", FINISH)]))),
    ("text", OUTPUT),
    ("finish_reason", FINISH),
    ("choices", STREAMED_CHOICES),
    ("error", ERROR),
    ("amazon-bedrock-invocationMetrics", METRICS),
    ("amazon-bedrock-guardrailAction", leaf(Field::Blocked).text(8)),
]);

const INVOKE_USAGE: Node = object(&[
    ("input_tokens", count(Count::Input)),
    ("output_tokens", count(Count::Output)),
    ("cache_read_input_tokens", count(Count::CacheRead)),
    ("cache_creation_input_tokens", count(Count::CacheWrite)),
    ("inputTokens", count(Count::Input)),
    ("outputTokens", count(Count::Output)),
    ("cacheReadInputTokenCount", count(Count::CacheRead)),
    ("cacheWriteInputTokenCount", count(Count::CacheWrite)),
    ("prompt_tokens", count(Count::Input)),
    ("completion_tokens", count(Count::Output)),
]);

/// What InvokeModel puts around each piece of the model's JSON: `{"bytes":"…","p":"…"}`.
pub(crate) static ENVELOPE: Node = object(&[("bytes", leaf(Field::EnvelopeBytes).poured())]);
