//! What the fields of each API mean. A dialect is a tree that mirrors the wire format and says of
//! each wanted value which [`Field`] it is; the code that reads values knows fields, not formats.

mod anthropic;
mod bedrock;
mod cohere;
mod failure;
mod gemini;
mod kind;
mod local;
mod openai;
mod responses;

pub(crate) use bedrock::ENVELOPE;
pub(crate) use kind::{Kind, finish_code, finish_reason};

use crate::endpoint::Api;
use crate::json::Node;
use crate::stat::MAX_VALUE_BYTES;
use crate::usage::{Accounting, Count};

/// Longest model name that is kept: what a label can hold.
#[expect(clippy::cast_possible_truncation, reason = "96")]
const MODEL_BYTES: u16 = MAX_VALUE_BYTES as u16;

/// The meaning of a wanted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The model that answered.
    Model,
    /// A generated payload that is not reasoning: text, refusal, tool call, audio.
    Output,
    /// A generated payload of reasoning.
    Reasoning,
    /// A payload whose [`Kind`] of event says what it is.
    Delta,
    /// The name of an item: generated when the event's kind is the item's beginning.
    ItemName,
    /// A whole payload, generated if none of it came as deltas before.
    WholeItem,
    /// A part of a message begins.
    Part,
    /// The text of a part.
    PartText,
    /// Whether a part is reasoning.
    PartThought,
    /// What kind of event this is.
    Kind,
    /// Whether this is the last event.
    Last,
    /// Why generation ended.
    Finish,
    /// Why a prompt was not answered at all; it is the finish reason where there is no other.
    Blocked,
    /// A token count; the last one stands.
    Usage(Count),
    /// A token count; the largest one stands.
    Largest(Count),
    /// A token count that stands where no other comes.
    Fallback(Count),
    /// An error: an object, or its text.
    Error,
    /// A machine-readable name of the error.
    ErrorName,
    /// The error in words.
    ErrorMessage,
    /// The document is of OpenAI's chat API, whatever the path said.
    OpenAiChat,
    /// In a request: whether a stream is wanted.
    Stream,
    /// In a request: options of the stream.
    StreamOptions,
    /// In a request: TGI's prompt, which proves that the request is TGI's.
    Inputs,
    /// In InvokeModel's envelope: the model's JSON in Base64.
    EnvelopeBytes,
    /// The list of choices.
    Choices,
    /// One of the choices.
    Choice,
    /// The object of token counts.
    UsageObject,
}

/// How the responses of an API are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// One event of a stream.
    pub(crate) event: &'static Node,
    /// An answer in one piece.
    pub(crate) answer: &'static Node,
    pub(crate) accounting: Accounting,
    /// Whether a stream can be complete without having said so.
    pub(crate) ends_silently: bool,
}

impl Dialect {
    const fn new(event: &'static Node, answer: &'static Node) -> Self {
        Self { event, answer, accounting: Accounting::Inclusive, ends_silently: false }
    }

    /// The dialect of an API.
    pub(crate) const fn of(api: Api) -> Self {
        match api {
            Api::OpenAiChat | Api::OpenAiCompletions => Self::new(&openai::EVENT, &openai::ANSWER),
            Api::OpenAiEmbeddings => Self::new(&openai::ANSWER, &openai::ANSWER),
            Api::OpenAiResponses => Self::new(&responses::EVENT, &responses::ANSWER),
            Api::OpenAiAudio | Api::OpenAiImages => Self::new(&responses::MEDIA, &responses::MEDIA),
            Api::AnthropicMessages | Api::AnthropicComplete => Self {
                accounting: Accounting::WithoutCache,
                ..Self::new(&anthropic::EVENT, &anthropic::EVENT)
            },
            Api::Gemini | Api::GeminiEmbed => Self {
                accounting: Accounting::WithoutThoughts,
                ..Self::new(&gemini::EVENT, &gemini::EVENT)
            },
            Api::BedrockConverse => Self {
                accounting: Accounting::WithoutCache,
                ..Self::new(&bedrock::CONVERSE, &bedrock::CONVERSE)
            },
            Api::BedrockInvoke => Self {
                accounting: Accounting::WithoutCache,
                ..Self::new(&bedrock::INVOKE, &bedrock::INVOKE)
            },
            Api::CohereChat => Self::new(&cohere::EVENT, &cohere::ANSWER),
            Api::CohereEmbed => Self::new(&cohere::ANSWER, &cohere::ANSWER),
            Api::Ollama | Api::OllamaEmbed => Self::new(&local::OLLAMA, &local::OLLAMA),
            Api::Tgi => Self::new(&local::TGI_EVENT, &local::TGI_ANSWER),
            Api::Triton => {
                Self { ends_silently: true, ..Self::new(&local::TRITON, &local::TRITON) }
            }
            Api::Watsonx => Self::new(&local::WATSONX, &local::WATSONX),
        }
    }
}

/// The shape of a request.
pub(crate) fn request() -> &'static Node {
    &openai::REQUEST
}

/// The shape of a body that comes with a status of 400 or more, whoever wrote it.
pub(crate) fn failure() -> &'static Node {
    &failure::BODY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tree_fits_the_scanner() {
        for api in Api::ALL {
            let dialect = Dialect::of(*api);
            for depth in [dialect.event.depth(), dialect.answer.depth()] {
                assert!(depth <= crate::json::MAX_DEPTH, "{api:?}: {depth}");
            }
        }
        assert!(failure().depth() <= crate::json::MAX_DEPTH);
        assert!(request().depth() <= crate::json::MAX_DEPTH);
    }
}
