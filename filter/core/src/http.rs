//! The parts of HTTP that decide how a stream is read.

use crate::endpoint::Endpoint;

/// The request head, as the filter sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestHead<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`, with its query.
    pub path: &'a [u8],
    /// `content-encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// The value of the configured tenant header.
    pub tenant: Option<&'a [u8]>,
}

impl RequestHead<'_> {
    /// Whether the request is, or may be, to an LLM API that is known.
    pub fn is_llm(&self) -> bool {
        Endpoint::at(self.method, self.path).is_some()
    }
}

/// The response head, as the filter sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseHead<'a> {
    /// `:status`; 0 when it is no number.
    pub status: u16,
    /// `content-type`.
    pub content_type: Option<&'a [u8]>,
    /// `content-encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// Headers of [`FACT_HEADERS`], in that order.
    pub facts: [Option<&'a [u8]>; FACT_HEADERS.len()],
}

/// Response headers in which servers say what their bodies do not: AWS the class of an error and the
/// tokens of InvokeModel, TGI its tokens.
pub const FACT_HEADERS: [&str; 7] = [
    "x-amzn-errortype",
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-cache-write-input-token-count",
    "x-prompt-tokens",
    "x-generated-tokens",
];

/// What a body is, by its `content-type`. The first bytes have the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// Server-sent events.
    Events,
    /// AWS event stream.
    AwsEvents,
    /// One JSON document.
    Json,
    /// JSON documents in a row.
    JsonLines,
    /// Not said.
    Unsaid,
    /// Something else.
    Other,
}

impl Media {
    pub(crate) fn of(content_type: Option<&[u8]>) -> Self {
        let essence = content_type.unwrap_or_default().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii().to_ascii_lowercase();
        match essence.as_slice() {
            b"" => Self::Unsaid,
            b"text/event-stream" => Self::Events,
            b"application/vnd.amazon.eventstream" => Self::AwsEvents,
            b"application/x-ndjson" | b"application/ndjson" | b"application/stream+json" => {
                Self::JsonLines
            }
            b"application/json" => Self::Json,
            other if other.ends_with(b"+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

/// Whether a body is sent as it is.
pub(crate) fn is_identity(content_encoding: Option<&[u8]>) -> bool {
    content_encoding.is_none_or(|coding| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_with_parameters() {
        assert_eq!(Media::of(Some(b"text/event-stream; charset=utf-8")), Media::Events);
        assert_eq!(Media::of(Some(b"Application/JSON")), Media::Json);
        assert_eq!(Media::of(Some(b"application/problem+json")), Media::Json);
        assert_eq!(Media::of(Some(b"application/stream+json")), Media::JsonLines);
        assert_eq!(Media::of(Some(b"text/html")), Media::Other);
        assert_eq!(Media::of(None), Media::Unsaid);
    }
}
