//! Streams as real servers write them, with text of any length.

use anyhow::Result;
use std::io::Write as _;

/// How one API streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    /// Where the text of an event goes there is `TEXT`, where its number goes `NUMBER`.
    event: &'static str,
    framing: Framing,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    /// The event is what stands on the wire.
    Plain,
    /// AWS event stream: a frame with the type of the event in its headers.
    Aws(&'static str),
}

const SSE: &str = "text/event-stream";

/// Every API that streams.
pub(crate) const DIALECTS: &[Dialect] = &[
    OPENAI_CHAT,
    Dialect {
        name: "openai completions",
        path: "/v1/completions",
        content_type: SSE,
        event: "data: {\"id\":\"cmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0\",\"object\":\"text_completion\",\"created\":1764000000,\"model\":\"meta-llama/Llama-3.1-8B-Instruct\",\"choices\":[{\"index\":0,\"text\":\"TEXT\",\"logprobs\":null,\"finish_reason\":null,\"stop_reason\":null}],\"usage\":null}\n\n",
        framing: Framing::Plain,
    },
    Dialect {
        name: "openai responses",
        path: "/v1/responses",
        content_type: SSE,
        event: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":NUMBER,\"item_id\":\"msg_68f0c1a2b3c4d5e6f708192a3b4c5d6e\",\"output_index\":0,\"content_index\":0,\"delta\":\"TEXT\",\"logprobs\":[],\"obfuscation\":\"q7JrXb2\"}\n\n",
        framing: Framing::Plain,
    },
    Dialect {
        name: "anthropic messages",
        path: "/v1/messages",
        content_type: SSE,
        event: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"TEXT\"}      }\n\n",
        framing: Framing::Plain,
    },
    Dialect {
        name: "gemini",
        path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        content_type: SSE,
        event: "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"TEXT\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 12,\"candidatesTokenCount\": NUMBER,\"totalTokenCount\": 900},\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"kX3raKb2Cd\"}\r\n\r\n",
        framing: Framing::Plain,
    },
    Dialect {
        name: "bedrock converse",
        path: "/model/anthropic.claude-sonnet-4-20250514-v1%3A0/converse-stream",
        content_type: "application/vnd.amazon.eventstream",
        event: "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"TEXT\"},\"p\":\"abcdefghijklmnopqrstuvwxyz\"}",
        framing: Framing::Aws("contentBlockDelta"),
    },
    Dialect {
        name: "cohere chat",
        path: "/v2/chat",
        content_type: SSE,
        event: "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"TEXT\"}}}}\n\n",
        framing: Framing::Plain,
    },
    Dialect {
        name: "ollama chat",
        path: "/api/chat",
        content_type: "application/x-ndjson",
        event: "{\"model\":\"llama3.1:8b\",\"created_at\":\"2026-01-01T00:00:00.NUMBERZ\",\"message\":{\"role\":\"assistant\",\"content\":\"TEXT\"},\"done\":false}\n",
        framing: Framing::Plain,
    },
    Dialect {
        name: "tgi generate",
        path: "/generate_stream",
        content_type: SSE,
        event: "data:{\"index\":NUMBER,\"token\":{\"id\":1917,\"text\":\"TEXT\",\"logprob\":-0.41796875,\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
        framing: Framing::Plain,
    },
];

/// vLLM's answer to a chat.
pub(crate) const OPENAI_CHAT: Dialect = Dialect {
    name: "openai chat",
    path: "/v1/chat/completions",
    content_type: SSE,
    event: "data: {\"id\":\"chatcmpl-9f8e7d6c5b4a39281706f5e4d3c2b1a0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"meta-llama/Llama-3.1-8B-Instruct\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"TEXT\"},\"logprobs\":null,\"finish_reason\":null,\"token_ids\":null}]}\n\n",
    framing: Framing::Plain,
};

impl Dialect {
    /// The event of that number, with so many bytes of text.
    pub(crate) fn event(self, number: usize, text: usize) -> Vec<u8> {
        // Text of ever other words, a line break here and there.
        let words = ["token", " speed", " cafe", " gateway,", " is", " 42", "\\n", " the"];
        let mut written: String = words
            .iter()
            .cycle()
            .skip(number % words.len())
            .flat_map(|word| word.chars())
            .take(text)
            .collect();
        if written.ends_with('\\') {
            written.pop();
            written.push('.');
        }
        let number = (1_000 + number).to_string();
        let event = self.event.replace("TEXT", &written).replace("NUMBER", &number).into_bytes();
        match self.framing {
            Framing::Plain => event,
            Framing::Aws(kind) => aws_frame(kind, &event),
        }
    }

    /// Bytes of an event besides its text.
    pub(crate) fn overhead(self) -> usize {
        self.event(0, 0).len()
    }
}

/// A frame as AWS writes it.
fn aws_frame(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    let fields =
        [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    for (name, value) in fields {
        headers.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        headers.extend(name.bytes());
        headers.push(7);
        headers.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        headers.extend(value.bytes());
    }
    let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    let checksum = |bytes: &[u8]| {
        let mut checksum = flate2::Crc::new();
        checksum.update(bytes);
        checksum.sum().to_be_bytes()
    };
    let mut frame = Vec::new();
    frame.extend(length(16 + headers.len() + payload.len()));
    frame.extend(length(headers.len()));
    frame.extend(checksum(&frame));
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(checksum(&frame));
    frame
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Br,
    Zstd,
}

impl Coding {
    pub(crate) const ALL: [Self; 3] = [Self::Gzip, Self::Br, Self::Zstd];

    /// Its name in `content-encoding`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Encodes pieces one by one, each flushed, as a server does that streams.
    pub(crate) fn encode(self, pieces: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        match self {
            Self::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                each(pieces, |piece| {
                    encoder.write_all(piece)?;
                    encoder.flush()?;
                    Ok(std::mem::take(encoder.get_mut()))
                })
            }
            Self::Br => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 18);
                each(pieces, |piece| {
                    encoder.write_all(piece)?;
                    encoder.flush()?;
                    Ok(std::mem::take(encoder.get_mut()))
                })
            }
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
                each(pieces, |piece| {
                    encoder.write_all(piece)?;
                    encoder.flush()?;
                    Ok(std::mem::take(encoder.get_mut()))
                })
            }
        }
    }
}

fn each(
    pieces: &[Vec<u8>],
    encode: impl FnMut(&Vec<u8>) -> Result<Vec<u8>>,
) -> Result<Vec<Vec<u8>>> {
    pieces.iter().map(encode).collect()
}
