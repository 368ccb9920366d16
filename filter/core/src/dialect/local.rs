//! Servers' own formats: Ollama, TGI, Triton, watsonx.

use super::Field;
use super::failure::{ERROR, NAME};
use super::openai::{FINISH, FUNCTION, MODEL, OUTPUT, REASONING, count};
use crate::json::{Node, each, leaf, object};
use crate::usage::Count;

/// Ollama's chat, generate and embed: lines of a stream and whole answers alike.
pub(super) static OLLAMA: Node = object(&[
    ("model", MODEL),
    (
        "message",
        object(&[
            ("content", OUTPUT),
            ("thinking", REASONING),
            ("tool_calls", each(&object(&[("function", FUNCTION)]))),
        ]),
    ),
    ("response", OUTPUT),
    ("thinking", REASONING),
    ("done", leaf(Field::Last)),
    ("done_reason", FINISH),
    ("prompt_eval_count", count(Count::Input)),
    ("eval_count", count(Count::Output)),
    ("error", ERROR),
]);

/// TGI's frames. A special token has text, and is no text for the user.
pub(super) static TGI_EVENT: Node = object(&[
    ("token", object(&[("text", OUTPUT)])),
    ("details", TGI_DETAILS),
    ("error", ERROR),
    ("error_type", NAME),
]);
pub(super) static TGI_ANSWER: Node = TGI.or_each(&TGI);
const TGI: Node = object(&[
    ("generated_text", OUTPUT),
    ("details", TGI_DETAILS),
    ("error", ERROR),
    ("error_type", NAME),
]);
const TGI_DETAILS: Node = object(&[
    ("finish_reason", FINISH),
    ("generated_tokens", count(Count::Output)),
    ("input_length", count(Count::Input)),
]);

/// Triton's generate extension; no usage, no finish.
pub(super) static TRITON: Node =
    object(&[("model_name", MODEL), ("text_output", OUTPUT), ("error", ERROR)]);

/// watsonx counts the input in the first event and says 0 from then on.
pub(super) static WATSONX: Node = object(&[
    ("model_id", MODEL),
    (
        "results",
        each(&object(&[
            ("generated_text", OUTPUT),
            ("generated_token_count", leaf(Field::Largest(Count::Output))),
            ("input_token_count", leaf(Field::Largest(Count::Input))),
            ("stop_reason", FINISH),
        ])),
    ),
    ("errors", each(&ERROR)),
]);
