//! OpenAI's Responses, and its audio and image APIs, whose events are typed alike.
//!
//! The terminal event embeds the whole answer, often megabytes of it; only a few members are looked at
//! as they pass.

use super::Field;
use super::failure::{ERROR, MESSAGE, NAME};
use super::openai::{FINISH, KIND, MODEL, OUTPUT, WHOLE_CHOICES, count};
use crate::json::{Node, leaf, object};
use crate::usage::Count;

pub(super) static EVENT: Node = object(&[
    ("type", KIND),
    ("delta", leaf(Field::Delta)),
    ("arguments", leaf(Field::WholeItem)),
    ("input", leaf(Field::WholeItem)),
    ("item", object(&[("name", leaf(Field::ItemName))])),
    ("partial_image_b64", OUTPUT),
    ("response", RESPONSE),
    ("error", ERROR),
    ("code", NAME),
    ("message", MESSAGE),
]);

/// An answer in one piece. A gateway may answer with a chat completion at this path.
pub(super) static ANSWER: Node = object(&[
    ("model", MODEL),
    ("status", FINISH),
    ("incomplete_details", INCOMPLETE),
    ("usage", USAGE),
    ("error", ERROR),
    ("choices", WHOLE_CHOICES.is(Field::OpenAiChat)),
    ("type", KIND),
]);

const RESPONSE: Node = object(&[
    ("model", MODEL),
    ("status", FINISH),
    ("incomplete_details", INCOMPLETE),
    ("usage", USAGE),
    ("error", ERROR),
]);
const INCOMPLETE: Node = object(&[("reason", FINISH)]);

const USAGE: Node = object(&[
    ("input_tokens", count(Count::Input)),
    ("output_tokens", count(Count::Output)),
    ("total_tokens", count(Count::Total)),
    ("input_tokens_details", INPUT_DETAILS),
    ("output_tokens_details", object(&[("reasoning_tokens", count(Count::Reasoning))])),
    // Audio and images drop an `s`.
    ("input_token_details", INPUT_DETAILS),
    ("prompt_tokens", count(Count::Input)),
    ("completion_tokens", count(Count::Output)),
    (
        "prompt_tokens_details",
        object(&[
            ("cached_tokens", count(Count::CacheRead)),
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
]);
const INPUT_DETAILS: Node = object(&[
    ("cached_tokens", count(Count::CacheRead)),
    ("cache_write_tokens", count(Count::CacheWrite)),
    ("audio_tokens", count(Count::AudioInput)),
]);

/// Audio and images, streamed or not.
pub(super) static MEDIA: Node = object(&[
    ("type", KIND),
    ("delta", leaf(Field::Delta)),
    ("audio", OUTPUT),
    ("b64_json", OUTPUT),
    ("model", MODEL),
    ("usage", USAGE),
    ("error", ERROR),
]);
