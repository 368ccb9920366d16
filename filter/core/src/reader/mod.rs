//! From response bytes to facts: framing, then JSON, each in pieces as they come.

mod document;
mod frames;
mod sequence;
mod template;

pub(crate) use document::Event;

use crate::answer::{Answer, Generated};
use crate::dialect::Dialect;
use crate::endpoint::Api;
use crate::http::Media;
use crate::sse::{Dispatch, Events, Sse};
use document::Document;
use frames::AwsReader;
use sequence::Sequence;

/// Reads the body of one response.
#[derive(Debug)]
pub(crate) enum Reader {
    /// No byte has come that would tell what the body is.
    Undecided(Hint),
    /// Server-sent events, each with one JSON document.
    Events(Sse, Document),
    /// JSON documents one after the other: lines, or the elements of an array.
    Sequence(Sequence),
    /// AWS event stream.
    Aws(Box<AwsReader>),
    /// One JSON document.
    Whole(Document),
    /// Bytes that mean nothing to us.
    Opaque,
}

/// What is known before the first byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hint {
    pub(crate) api: Api,
    pub(crate) media: Media,
    /// Whether a stream was asked for.
    pub(crate) stream: bool,
}

impl Hint {
    /// How a body that begins with this byte is to be read. The first byte is more reliable than the
    /// content type: streams have been seen under `application/json` and under none at all.
    fn decide(self, first: u8) -> Reader {
        let dialect = Dialect::of(self.api);
        let bedrock = matches!(self.api, Api::BedrockConverse | Api::BedrockInvoke);
        match (self.media, first) {
            (Media::AwsEvents, _) | (Media::Unsaid, 0) if bedrock => {
                Reader::Aws(Box::new(AwsReader::new(dialect.event, self.api == Api::BedrockInvoke)))
            }
            (Media::JsonLines, b'{') => Reader::Sequence(Sequence::new(dialect.event)),
            (Media::Unsaid | Media::Events | Media::Other, b'{')
                if self.stream && self.api == Api::Ollama =>
            {
                Reader::Sequence(Sequence::new(dialect.event))
            }
            // Gemini without `alt=sse`.
            (_, b'[') if self.stream && self.api == Api::Gemini => {
                Reader::Sequence(Sequence::new(dialect.event))
            }
            (_, b'{' | b'[') => Reader::Whole(Document::new(dialect.answer)),
            // A field name, a comment, or a byte order mark before either.
            (Media::Events | Media::Unsaid | Media::Json, b'a'..=b'z' | b':' | 0xEF) => {
                Reader::Events(Sse::new(), Document::alike(dialect.event))
            }
            _ => Reader::Opaque,
        }
    }
}

impl Reader {
    /// Reads a body that a failed request was answered with.
    pub(crate) fn failure() -> Self {
        Self::Whole(Document::new(crate::dialect::failure()))
    }

    /// Whether the body is a stream of events; `None` before that is known.
    pub(crate) fn is_stream(&self) -> Option<bool> {
        match self {
            Self::Undecided(_) | Self::Opaque => None,
            Self::Events(..) | Self::Sequence(_) | Self::Aws(_) => Some(true),
            Self::Whole(_) => Some(false),
        }
    }

    /// Whether the body is one document, and all of it has been read.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(document) if document.is_done())
    }

    /// Whether the body is of no format that is known.
    pub(crate) fn is_opaque(&self) -> bool {
        matches!(self, Self::Opaque)
    }

    /// Reads a piece, and tells `on_event` of each event that it completes.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        answer: &mut Answer,
        on_event: &mut dyn FnMut(&mut Answer, Event),
    ) {
        let mut piece = piece;
        if let Self::Undecided(hint) = self {
            // DeepSeek sends blank lines while a request waits in its queue.
            piece = piece.trim_ascii_start();
            let Some(first) = piece.first() else { return };
            *self = hint.decide(*first);
        }
        match self {
            Self::Undecided(_) | Self::Opaque => {}
            Self::Events(sse, document) => {
                if !sse.is_between_events() {
                    return sse
                        .push(piece, &mut EventSink { document, answer, on_event, events: 0 });
                }
                while let Some((event, rest)) = document.skip(piece, answer) {
                    on_event(answer, event);
                    piece = rest;
                }
                if piece.is_empty() {
                    return;
                }
                let mut sink = EventSink { document, answer, on_event, events: 0 };
                sse.push(piece, &mut sink);
                if sink.events == 1 && sse.is_between_events() {
                    document.learn_frame(piece);
                }
            }
            Self::Sequence(sequence) => sequence.push(piece, answer, on_event),
            Self::Aws(aws) => aws.push(piece, answer, on_event),
            Self::Whole(document) => {
                document.push(piece, answer);
            }
        }
    }

    /// The body has ended: completes what was left open.
    pub(crate) fn finish(
        &mut self,
        answer: &mut Answer,
        on_event: &mut dyn FnMut(&mut Answer, Event),
    ) {
        match self {
            Self::Undecided(_) | Self::Opaque | Self::Aws(_) => {}
            Self::Events(sse, document) => {
                sse.finish(&mut EventSink { document, answer, on_event, events: 0 })
            }
            Self::Sequence(sequence) => sequence.finish(answer, on_event),
            Self::Whole(document) => match document.end(answer) {
                // Nothing of an answer in one piece was generated before our eyes.
                Some(Event::Read { .. }) => {
                    on_event(answer, Event::Read { generated: Generated::default(), last: true });
                }
                Some(Event::Malformed) => on_event(answer, Event::Malformed),
                None => {}
            },
        }
    }
}

struct EventSink<'a> {
    document: &'a mut Document,
    answer: &'a mut Answer,
    on_event: &'a mut dyn FnMut(&mut Answer, Event),
    /// How many have been dispatched.
    events: usize,
}

impl Events for EventSink<'_> {
    fn data(&mut self, piece: &[u8]) {
        self.document.push(piece, self.answer);
    }

    fn dispatch(&mut self, event: &Dispatch) {
        self.events = self.events.saturating_add(1);
        let read = self.document.end(self.answer);
        self.answer.failed |= event.error;
        if let Some(read) = read {
            (self.on_event)(self.answer, read);
        }
    }
}
