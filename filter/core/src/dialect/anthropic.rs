//! Anthropic's Messages, streamed and not, and its legacy text completions.

use super::failure::ERROR;
use super::openai::{FINISH, KIND, MODEL, OUTPUT, REASONING, count};
use crate::json::{Node, each, object};
use crate::usage::Count;

/// Events and whole answers share no member that means two things. A tool's result block has no
/// `name`, so only blocks in which the model calls a tool announce one; redacted thinking comes whole.
pub(super) static EVENT: Node = object(&[
    ("type", KIND),
    ("message", object(&[("model", MODEL), ("stop_reason", FINISH), ("usage", USAGE)])),
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
    ("usage", USAGE),
    ("error", ERROR),
    ("model", MODEL),
    ("stop_reason", FINISH),
    ("content", each(&BLOCK)),
    ("completion", OUTPUT),
]);

pub(super) const BLOCK: Node =
    object(&[("name", OUTPUT), ("text", OUTPUT), ("thinking", REASONING), ("data", REASONING)]);

pub(super) const USAGE: Node = object(&[
    ("input_tokens", count(Count::Input)),
    ("output_tokens", count(Count::Output)),
    ("cache_read_input_tokens", count(Count::CacheRead)),
    ("cache_creation_input_tokens", count(Count::CacheWrite)),
    ("output_tokens_details", object(&[("thinking_tokens", count(Count::Reasoning))])),
]);
