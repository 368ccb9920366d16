//! Cohere's chat, v2 (server-sent events) and v1 (JSON lines), and its embeddings. Writer answers at
//! the same path in OpenAI's words.

use super::Field;
use super::openai::{
    FINISH, FUNCTION, KIND, MODEL, OUTPUT, REASONING, STREAMED_CHOICES, USAGE as OPENAI_USAGE,
    WHOLE_CHOICES, count,
};
use crate::json::{Node, each, leaf, object};
use crate::usage::Count;

pub(super) static EVENT: Node = object(&[
    ("type", KIND),
    (
        "delta",
        object(&[
            ("message", DELTA),
            ("finish_reason", FINISH),
            ("usage", USAGE),
            ("error", super::failure::ERROR),
        ]),
    ),
    ("event_type", KIND),
    ("text", OUTPUT),
    ("finish_reason", FINISH),
    ("response", object(&[("meta", USAGE)])),
    ("model", MODEL),
    ("choices", STREAMED_CHOICES.is(Field::OpenAiChat)),
    ("usage", OPENAI_USAGE),
]);

/// In a stream `content` and `tool_calls` are objects.
const DELTA: Node = object(&[
    ("content", object(&[("text", OUTPUT), ("thinking", REASONING)])),
    ("tool_plan", OUTPUT),
    ("tool_calls", object(&[("function", FUNCTION)])),
]);

pub(super) static ANSWER: Node = object(&[
    ("finish_reason", FINISH),
    ("text", OUTPUT),
    ("usage", ANSWER_USAGE),
    ("meta", USAGE),
    (
        "message",
        object(&[("content", each(&object(&[("text", OUTPUT)])))])
            .is(Field::ErrorMessage)
            .text(crate::error::MAX_MESSAGE),
    ),
    ("model", MODEL),
    ("choices", WHOLE_CHOICES.is(Field::OpenAiChat)),
]);

/// What the model saw, and what is billed, which is less: the latter stands in where the former is
/// missing (embeddings).
const USAGE: Node = object(&[
    ("billed_units", TOKENS),
    ("tokens", TOKENS),
    ("cached_tokens", count(Count::CacheRead)),
]);
const TOKENS: Node = object(&[
    ("input_tokens", leaf(Field::Largest(Count::Input))),
    ("output_tokens", leaf(Field::Largest(Count::Output))),
]);

const ANSWER_USAGE: Node = object(&[
    ("billed_units", TOKENS),
    ("tokens", TOKENS),
    ("cached_tokens", count(Count::CacheRead)),
    ("prompt_tokens", count(Count::Input)),
    ("completion_tokens", count(Count::Output)),
    ("total_tokens", count(Count::Total)),
]);
