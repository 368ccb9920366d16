//! OpenAI's chat completions, completions and embeddings, and the servers that speak them: vLLM,
//! SGLang, llama.cpp, Ollama, and hosted APIs. The only file that spells their field names.

use super::{Ask, Field};
use crate::error::{MAX_MESSAGE, MAX_NAME};
use crate::json::{Node, each, leaf, object};
use crate::stat::MAX_VALUE_BYTES;
use crate::usage::Count;

#[expect(clippy::cast_possible_truncation, reason = "96")]
const MODEL_BYTES: u16 = MAX_VALUE_BYTES as u16;

pub(super) static REQUEST: Node<Ask> =
    object(&[("model", leaf(Ask::Model).text(MODEL_BYTES)), ("stream", leaf(Ask::Stream))]);

/// A chunk of a stream. Content is in `delta` (chat) or `text` (completions); Perplexity and Writer
/// repeat all of the answer so far as `message` in every chunk, which is not looked at.
pub(super) static EVENT: Node<Field> = object(&[
    ("model", MODEL),
    ("choices", each(&object(&[("delta", MESSAGE), ("text", leaf(Field::Output)), FINISH]))),
    ("usage", USAGE),
    ("x_groq", object(&[("usage", USAGE)])),
    ("error", ERROR),
    ("object", OBJECT),
    ("message", ERROR_MESSAGE),
    ("type", ERROR_NAME),
    ("code", ERROR_NAME),
]);

pub(super) static ANSWER: Node<Field> = object(&[
    ("model", MODEL),
    ("choices", each(&object(&[("message", MESSAGE), ("text", leaf(Field::Output)), FINISH]))),
    ("usage", USAGE),
    ("error", ERROR),
    ("object", OBJECT),
    ("message", ERROR_MESSAGE),
    ("detail", ERROR_MESSAGE),
    ("type", ERROR_NAME),
    ("error_type", ERROR_NAME),
    ("code", ERROR_NAME),
]);

const MODEL: Node<Field> = leaf(Field::Model).text(MODEL_BYTES);
const FINISH: (&str, Node<Field>) = ("finish_reason", leaf(Field::Finish).text(MAX_NAME));
const OUTPUT: Node<Field> = leaf(Field::Output);
const REASONING: Node<Field> = leaf(Field::Reasoning);

/// Reasoning goes by three names (vLLM changed from the first to the second), and Mistral's content
/// becomes a list with thinking parts in it.
const MESSAGE: Node<Field> = object(&[
    ("content", OUTPUT.or_each(&object(&[("text", OUTPUT), ("thinking", THINKING)]))),
    ("reasoning_content", REASONING),
    ("reasoning", REASONING),
    ("reasoning_details", each(&object(&[("text", REASONING), ("summary", REASONING)]))),
    ("refusal", OUTPUT),
    ("tool_calls", each(&object(&[("function", FUNCTION), ("custom", FUNCTION)]))),
    ("function_call", FUNCTION),
    ("audio", object(&[("data", OUTPUT), ("transcript", OUTPUT)])),
]);
const THINKING: Node<Field> = each(&object(&[("text", REASONING)]));
const FUNCTION: Node<Field> = object(&[("name", OUTPUT), ("arguments", OUTPUT), ("input", OUTPUT)]);

/// SGLang, Together and DeepSeek put details at the top.
const USAGE: Node<Field> = object(&[
    ("prompt_tokens", count(Count::Input)),
    ("completion_tokens", count(Count::Output)),
    ("total_tokens", count(Count::Total)),
    (
        "prompt_tokens_details",
        object(&[
            ("cached_tokens", count(Count::CacheRead)),
            ("cache_write_tokens", count(Count::CacheWrite)),
            ("audio_tokens", count(Count::AudioInput)),
        ]),
    ),
    (
        "completion_tokens_details",
        object(&[
            ("reasoning_tokens", count(Count::Reasoning)),
            ("audio_tokens", count(Count::AudioOutput)),
        ]),
    ),
    ("cached_tokens", count(Count::CacheRead)),
    ("prompt_cache_hit_tokens", count(Count::CacheRead)),
    ("reasoning_tokens", count(Count::Reasoning)),
]);

const fn count(count: Count) -> Node<Field> {
    leaf(Field::Usage(count))
}

/// `{"error": {…}}`, `{"error": "text"}`, and the flat forms of older vLLM, SGLang and Mistral.
const ERROR: Node<Field> = object(&[
    ("message", ERROR_MESSAGE),
    ("type", ERROR_NAME),
    ("code", ERROR_NAME),
    ("status", ERROR_NAME),
    ("http_status_code", ERROR_NAME),
    ("status_code", ERROR_NAME),
])
.is(Field::Error)
.text(MAX_MESSAGE);
const OBJECT: Node<Field> = leaf(Field::Object).text(8);
const ERROR_NAME: Node<Field> = leaf(Field::ErrorName).text(MAX_NAME);
const ERROR_MESSAGE: Node<Field> = leaf(Field::ErrorMessage).text(MAX_MESSAGE);
