//! Which LLM API a request is to, and what its path already tells.

use crate::outcome::closed_set;
use std::borrow::Cow;

closed_set! {
    /// The wire API of a request.
    Api {
        /// OpenAI chat completions, and the many servers that speak them.
        OpenAiChat = "openai_chat",
        /// OpenAI legacy completions.
        OpenAiCompletions = "openai_completions",
        /// OpenAI Responses.
        OpenAiResponses = "openai_responses",
        /// OpenAI embeddings.
        OpenAiEmbeddings = "openai_embeddings",
        /// OpenAI speech and transcription.
        OpenAiAudio = "openai_audio",
        /// OpenAI image generation.
        OpenAiImages = "openai_images",
        /// Anthropic Messages.
        AnthropicMessages = "anthropic_messages",
        /// Anthropic's legacy text completions.
        AnthropicComplete = "anthropic_complete",
        /// Gemini and Vertex `generateContent`.
        Gemini = "gemini",
        /// Gemini and Vertex embeddings.
        GeminiEmbed = "gemini_embed",
        /// AWS Bedrock Converse.
        BedrockConverse = "bedrock_converse",
        /// AWS Bedrock InvokeModel, whatever the model behind it speaks.
        BedrockInvoke = "bedrock_invoke",
        /// Cohere chat, v1 and v2.
        CohereChat = "cohere_chat",
        /// Cohere embeddings.
        CohereEmbed = "cohere_embed",
        /// Ollama's own chat and generate.
        Ollama = "ollama",
        /// Ollama's own embeddings.
        OllamaEmbed = "ollama_embed",
        /// Text Generation Inference's own generate.
        Tgi = "tgi",
        /// Triton's generate extension.
        Triton = "triton",
        /// IBM watsonx text generation.
        Watsonx = "watsonx",
    }
}

/// What method and path say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint<'a> {
    pub(crate) api: Api,
    /// Whether the answer is a stream, unless the request body says otherwise.
    pub(crate) streams: bool,
    /// The model, where the path names it.
    pub(crate) model: Option<Cow<'a, [u8]>>,
    /// Whether the path alone is proof. TGI also answers at `/`, where anything may live.
    pub(crate) certain: bool,
}

impl<'a> Endpoint<'a> {
    /// The endpoint at this path, whatever prefix a gateway put before it.
    pub(crate) fn at(method: &[u8], path: &'a [u8]) -> Option<Self> {
        if method != b"POST" {
            return None;
        }
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next()?;
        let (api, streams) = api_at(path)?;
        let model = match api {
            Api::Gemini | Api::GeminiEmbed | Api::AnthropicMessages => model_of_verb(path),
            Api::BedrockConverse | Api::BedrockInvoke => segment_after(path, b"model"),
            Api::Triton => segment_after(path, b"models"),
            _ => segment_after(path, b"deployments"),
        };
        let model = model.filter(|model| !model.is_empty()).map(percent_decoded);
        Some(Self { api, streams, model, certain: path != b"/" })
    }
}

/// Paths by how they end, the longer ones first, and whether the answer is a stream by default.
const ENDINGS: &[(&[u8], Api, bool)] = &[
    (b"/chat/completions", Api::OpenAiChat, false),
    (b"/completions", Api::OpenAiCompletions, false),
    (b"/responses", Api::OpenAiResponses, false),
    (b"/embeddings", Api::OpenAiEmbeddings, false),
    (b"/audio/transcriptions", Api::OpenAiAudio, false),
    (b"/audio/translations", Api::OpenAiAudio, false),
    (b"/audio/speech", Api::OpenAiAudio, false),
    (b"/images/generations", Api::OpenAiImages, false),
    (b"/images/edits", Api::OpenAiImages, false),
    (b"/v1/messages", Api::AnthropicMessages, false),
    (b"/v1/complete", Api::AnthropicComplete, false),
    (b"/v2/chat", Api::CohereChat, false),
    (b"/v1/chat", Api::CohereChat, false),
    (b"/v2/embed", Api::CohereEmbed, false),
    (b"/v1/embed", Api::CohereEmbed, false),
    (b"/api/chat", Api::Ollama, true),
    (b"/api/generate", Api::Ollama, true),
    (b"/api/embed", Api::OllamaEmbed, false),
    (b"/generation/text_stream", Api::Watsonx, true),
    (b"/generation/text", Api::Watsonx, false),
    (b"/generate_stream", Api::Tgi, true),
    (b"/generate", Api::Tgi, false),
    (b":generateContent", Api::Gemini, false),
    (b":streamGenerateContent", Api::Gemini, true),
    (b":embedContent", Api::GeminiEmbed, false),
    (b":batchEmbedContents", Api::GeminiEmbed, false),
    (b":predict", Api::GeminiEmbed, false),
    (b":rawPredict", Api::AnthropicMessages, false),
    (b":streamRawPredict", Api::AnthropicMessages, true),
    (b"/converse", Api::BedrockConverse, false),
    (b"/converse-stream", Api::BedrockConverse, true),
    (b"/invoke", Api::BedrockInvoke, false),
    (b"/invoke-with-response-stream", Api::BedrockInvoke, true),
];

fn api_at(path: &[u8]) -> Option<(Api, bool)> {
    if path == b"/" {
        return Some((Api::Tgi, false));
    }
    let (_, api, streams) = ENDINGS.iter().find(|(ending, ..)| path.ends_with(ending))?;
    let holds = |segment: &[u8]| path.split(|byte| *byte == b'/').any(|part| part == segment);
    match api {
        // Many services have an /invoke or a /converse; Bedrock's stand below /model/.
        Api::BedrockConverse | Api::BedrockInvoke if !holds(b"model") => None,
        Api::AnthropicMessages if path.ends_with(b"redict") && !holds(b"anthropic") => None,
        Api::Tgi if holds(b"models") => Some((Api::Triton, *streams)),
        // Ollama's older embeddings path has the ending of OpenAI's.
        Api::OpenAiEmbeddings if path.ends_with(b"/api/embeddings") => {
            Some((Api::OllamaEmbed, false))
        }
        api => Some((*api, *streams)),
    }
}

/// The last segment without its `:verb`.
fn model_of_verb(path: &[u8]) -> Option<&[u8]> {
    let last = path.rsplit(|byte| *byte == b'/').next()?;
    let colon = memchr::memrchr(b':', last)?;
    last.get(..colon)
}

fn segment_after<'a>(path: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut segments = path.split(|byte| *byte == b'/');
    segments.find(|segment| *segment == name)?;
    segments.next()
}

fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, hex(0).zip(hex(1))) {
            (b'%', Some((high, low))) => {
                decoded.extend(u8::try_from(high.saturating_mul(16).saturating_add(low)));
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, api: Api, streams: bool, model: Option<&str>) {
        let endpoint = Endpoint::at(b"POST", path.as_bytes()).unwrap();
        assert_eq!((endpoint.api, endpoint.streams), (api, streams), "{path}");
        assert_eq!(endpoint.model.as_deref(), model.map(str::as_bytes), "{path}");
    }

    #[test]
    fn the_path_tells_the_api() {
        check("/v1/chat/completions", Api::OpenAiChat, false, None);
        check(
            "/openai/deployments/gpt-4o/chat/completions?api-version=1",
            Api::OpenAiChat,
            false,
            Some("gpt-4o"),
        );
        check("/v1/completions", Api::OpenAiCompletions, false, None);
        check("/openai/v1/responses", Api::OpenAiResponses, false, None);
        check("/v1/embeddings#x", Api::OpenAiEmbeddings, false, None);
        check("/api/embeddings", Api::OllamaEmbed, false, None);
        check("/v1/messages", Api::AnthropicMessages, false, None);
        check(
            "/v1/projects/p/publishers/anthropic/models/claude-x:streamRawPredict",
            Api::AnthropicMessages,
            true,
            Some("claude-x"),
        );
        check(
            "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
            Api::Gemini,
            true,
            Some("gemini-x"),
        );
        check(
            "/v1/p/models/text-embedding-004:predict",
            Api::GeminiEmbed,
            false,
            Some("text-embedding-004"),
        );
        check(
            "/model/us.amazon.nova-v1%3A0/converse-stream",
            Api::BedrockConverse,
            true,
            Some("us.amazon.nova-v1:0"),
        );
        check("/model/m/invoke", Api::BedrockInvoke, false, Some("m"));
        check("/v2/models/llama/versions/1/generate_stream", Api::Triton, true, Some("llama"));
        check("/generate_stream", Api::Tgi, true, None);
        check("/api/chat", Api::Ollama, true, None);
        check("/ml/v1/generation/text_stream", Api::Watsonx, true, None);
    }

    #[test]
    fn other_paths_are_not_ours() {
        for path in [
            "/v1/models",
            "/x?y=/chat/completions",
            "",
            "/lambda/invoke",
            "/x:rawPredict",
            "/messages",
        ] {
            assert_eq!(Endpoint::at(b"POST", path.as_bytes()), None, "{path}");
        }
        assert_eq!(Endpoint::at(b"GET", b"/v1/chat/completions"), None);
    }

    #[test]
    fn the_root_is_only_perhaps_ours() {
        assert!(!Endpoint::at(b"POST", b"/").unwrap().certain);
    }

    #[test]
    fn broken_percent_signs_stay() {
        assert_eq!(&*percent_decoded(b"a%3Ab%zz%4"), b"a:b%zz%4");
    }
}
