//! The parts of HTTP that decide how a stream is read.

use crate::outcome::closed_set;

closed_set! {
    /// The wire API of a request, from its method and path.
    Api {
        /// OpenAI chat completions.
        OpenAiChat = "openai_chat",
        /// OpenAI legacy completions.
        OpenAiCompletions = "openai_completions",
        /// OpenAI embeddings.
        OpenAiEmbeddings = "openai_embeddings",
    }
}

impl Api {
    /// The API that lives at this path, whatever prefix a gateway put before it.
    pub(crate) fn at(method: &[u8], path: &[u8]) -> Option<Self> {
        if method != b"POST" {
            return None;
        }
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next()?;
        if path.ends_with(b"/chat/completions") {
            Some(Self::OpenAiChat)
        } else if path.ends_with(b"/completions") {
            Some(Self::OpenAiCompletions)
        } else if path.ends_with(b"/embeddings") {
            Some(Self::OpenAiEmbeddings)
        } else {
            None
        }
    }
}

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
    /// Whether the request is to an LLM API that is known. Method and path are enough to tell.
    pub fn is_llm(&self) -> bool {
        Api::at(self.method, self.path).is_some()
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
}

/// What a body is, by its `content-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    EventStream,
    Json,
    Other,
}

impl Media {
    pub(crate) fn of(content_type: Option<&[u8]>) -> Self {
        let essence = content_type.unwrap_or_default().split(|byte| *byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::EventStream
        } else if essence.eq_ignore_ascii_case(b"application/json") || essence.ends_with(b"+json") {
            Self::Json
        } else {
            Self::Other
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

/// The model that the path names: Azure's `/openai/deployments/{model}/…`.
pub(crate) fn model_in_path(path: &[u8]) -> Option<&[u8]> {
    let mut segments = path.split(|byte| matches!(byte, b'/' | b'?'));
    segments.find(|segment| *segment == b"deployments")?;
    segments.next().filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_the_api() {
        for (path, api) in [
            ("/v1/chat/completions", Some(Api::OpenAiChat)),
            ("/openai/deployments/d/chat/completions?api-version=1", Some(Api::OpenAiChat)),
            ("/v1/completions", Some(Api::OpenAiCompletions)),
            ("/v1/embeddings#x", Some(Api::OpenAiEmbeddings)),
            ("/v1/models", None),
            ("/x?y=/chat/completions", None),
            ("", None),
        ] {
            assert_eq!(Api::at(b"POST", path.as_bytes()), api, "{path}");
        }
        assert_eq!(Api::at(b"GET", b"/v1/chat/completions"), None);
    }

    #[test]
    fn media_types_with_parameters() {
        assert_eq!(Media::of(Some(b"text/event-stream; charset=utf-8")), Media::EventStream);
        assert_eq!(Media::of(Some(b"Application/JSON")), Media::Json);
        assert_eq!(Media::of(Some(b"text/html")), Media::Other);
        assert_eq!(Media::of(None), Media::Other);
    }

    #[test]
    fn azure_paths_name_the_model() {
        assert_eq!(
            model_in_path(b"/openai/deployments/gpt-4o/chat/completions"),
            Some(&b"gpt-4o"[..])
        );
        assert_eq!(model_in_path(b"/v1/chat/completions"), None);
    }
}
