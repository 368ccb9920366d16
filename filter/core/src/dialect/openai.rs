//! OpenAI's chat completions, completions and embeddings, and the servers that speak them: vLLM,
//! SGLang, llama.cpp, Ollama, and hosted APIs.

use super::failure::{ERROR, MESSAGE as ERROR_MESSAGE, NAME};
use super::{Field, MODEL_BYTES};
use crate::error::MAX_NAME;
use crate::json::{Node, each, leaf, object};
use crate::usage::Count;

/// Every API that has them calls the model and the stream by these names.
pub(super) static REQUEST: Node = object(&[
    ("model", leaf(Field::Model).text(MODEL_BYTES)),
    ("model_id", leaf(Field::Model).text(MODEL_BYTES)),
    ("stream", leaf(Field::Stream)),
    ("stream_options", leaf(Field::StreamOptions)),
    ("inputs", leaf(Field::Inputs)),
]);

/// A chunk of a stream. Content is in `delta` (chat) or `text` (completions); Perplexity and Writer
/// repeat all of the answer so far as `message` in every chunk, which is not looked at.
pub(super) static EVENT: Node = object(&[
    ("model", MODEL),
    ("choices", STREAMED_CHOICES),
    ("usage", USAGE),
    ("x_groq", object(&[("usage", USAGE)])),
    ("error", ERROR),
    ("object", KIND),
    ("message", ERROR_MESSAGE),
    ("type", NAME),
    ("code", NAME),
    // Writer's completions.
    ("value", OUTPUT),
]);

pub(super) static ANSWER: Node = object(&[
    ("model", MODEL),
    ("choices", WHOLE_CHOICES),
    ("usage", USAGE),
    ("error", ERROR),
    ("object", KIND),
    ("message", ERROR_MESSAGE),
    ("type", NAME),
    ("code", NAME),
]);

pub(super) const MODEL: Node = leaf(Field::Model).text(MODEL_BYTES);
pub(super) const KIND: Node = leaf(Field::Kind).text(MAX_NAME);
pub(super) const FINISH: Node = leaf(Field::Finish).text(MAX_NAME);
pub(super) const OUTPUT: Node = leaf(Field::Output);
pub(super) const REASONING: Node = leaf(Field::Reasoning);

pub(super) const STREAMED_CHOICES: Node =
    each(&object(&[("delta", MESSAGE), ("text", OUTPUT), ("finish_reason", FINISH)]));
pub(super) const WHOLE_CHOICES: Node =
    each(&object(&[("message", MESSAGE), ("text", OUTPUT), ("finish_reason", FINISH)]));

/// Reasoning goes by three names (vLLM changed from the first to the second), and Mistral's content
/// becomes a list with thinking parts in it.
const MESSAGE: Node = object(&[
    ("content", OUTPUT.or_each(&object(&[("text", OUTPUT), ("thinking", THINKING)]))),
    ("reasoning_content", REASONING),
    ("reasoning", REASONING),
    ("reasoning_details", each(&object(&[("text", REASONING), ("summary", REASONING)]))),
    ("refusal", OUTPUT),
    ("tool_calls", each(&object(&[("function", FUNCTION), ("custom", FUNCTION)]))),
    ("function_call", FUNCTION),
    ("audio", object(&[("data", OUTPUT), ("transcript", OUTPUT)])),
]);
const THINKING: Node = each(&object(&[("text", REASONING)]));
pub(super) const FUNCTION: Node =
    object(&[("name", OUTPUT), ("arguments", OUTPUT), ("input", OUTPUT)]);

/// SGLang, Together and DeepSeek put details at the top, Writer drops an `s`.
pub(super) const USAGE: Node = object(&[
    ("prompt_tokens", count(Count::Input)),
    ("completion_tokens", count(Count::Output)),
    ("total_tokens", count(Count::Total)),
    ("prompt_tokens_details", PROMPT_DETAILS),
    ("prompt_token_details", PROMPT_DETAILS),
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
    ("cache_creation_input_tokens", count(Count::CacheWrite)),
]);

const PROMPT_DETAILS: Node = object(&[
    ("cached_tokens", count(Count::CacheRead)),
    ("cache_write_tokens", count(Count::CacheWrite)),
    ("audio_tokens", count(Count::AudioInput)),
]);

pub(super) const fn count(count: Count) -> Node {
    leaf(Field::Usage(count))
}
