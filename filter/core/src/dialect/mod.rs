//! What the fields of each API mean. A dialect is a tree that mirrors the wire format and says of
//! each wanted value which [`Field`] it is; the code that reads values knows fields, not formats.

mod openai;

use crate::http::Api;
use crate::json::Node;
use crate::usage::Count;

/// The meaning of a wanted value in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The model that answered.
    Model,
    /// A generated payload that is not reasoning: text, refusal, tool call, audio.
    Output,
    /// A generated payload of reasoning.
    Reasoning,
    /// Why generation ended.
    Finish,
    /// A token count.
    Usage(Count),
    /// An error: an object, or its text.
    Error,
    /// A name of the kind of object; `error` makes the document an error.
    Object,
    /// A machine-readable name of the error.
    ErrorName,
    /// The error in words.
    ErrorMessage,
}

/// The meaning of a wanted value in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The model that is asked.
    Model,
    /// Whether a stream is wanted.
    Stream,
}

/// The shape of a request to `api`.
pub(crate) fn request(api: Api) -> &'static Node<Ask> {
    match api {
        Api::OpenAiChat | Api::OpenAiCompletions | Api::OpenAiEmbeddings => &openai::REQUEST,
    }
}

/// The shape of an event of a streamed response.
pub(crate) fn event(api: Api) -> &'static Node<Field> {
    match api {
        Api::OpenAiChat | Api::OpenAiCompletions | Api::OpenAiEmbeddings => &openai::EVENT,
    }
}

/// The shape of a response in one piece.
pub(crate) fn answer(api: Api) -> &'static Node<Field> {
    match api {
        Api::OpenAiChat | Api::OpenAiCompletions | Api::OpenAiEmbeddings => &openai::ANSWER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tree_fits_the_scanner() {
        for api in Api::ALL {
            for depth in [request(*api).depth(), event(*api).depth(), answer(*api).depth()] {
                assert!(depth <= crate::json::MAX_DEPTH, "{api:?}: {depth}");
            }
        }
    }
}
