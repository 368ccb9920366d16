//! From response bytes to facts: framing, then JSON, each in pieces as they come.

use crate::answer::{Answer, Generated};
use crate::dialect::Field;
use crate::json::{Node, Scanner};
use crate::sse::{Dispatch, Events, Sse};

/// Reads the body of one response.
#[derive(Debug)]
pub(crate) enum Reader {
    /// Server-sent events, each with one JSON document.
    Events(Sse, Document),
    /// One JSON document.
    Whole(Document),
    /// Bytes that mean nothing to us.
    Opaque,
}

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A document that was understood.
    Read(Generated),
    /// `[DONE]`: OpenAI's terminal event.
    Done,
    /// Something else.
    Malformed,
}

impl Reader {
    pub(crate) fn events(shape: &'static Node<Field>) -> Self {
        Self::Events(Sse::new(), Document::new(shape))
    }

    pub(crate) fn whole(shape: &'static Node<Field>) -> Self {
        Self::Whole(Document::new(shape))
    }

    /// Reads a piece, and tells `on_event` of each event that it completes.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        answer: &mut Answer,
        mut on_event: impl FnMut(&mut Answer, Event),
    ) {
        match self {
            Self::Events(sse, document) => {
                sse.push(piece, &mut EventSink { document, answer, on_event: &mut on_event });
            }
            Self::Whole(document) => document.push(piece, answer),
            Self::Opaque => {}
        }
    }

    /// The body has ended: completes what was left open.
    pub(crate) fn finish(
        &mut self,
        answer: &mut Answer,
        mut on_event: impl FnMut(&mut Answer, Event),
    ) {
        match self {
            Self::Events(sse, document) => {
                sse.finish(&mut EventSink { document, answer, on_event: &mut on_event });
            }
            Self::Whole(document) => {
                // Nothing of an answer in one piece was generated before our eyes.
                let event = match document.end(answer) {
                    Event::Read(_) | Event::Done => Event::Read(Generated::default()),
                    Event::Malformed => Event::Malformed,
                };
                if !document.is_empty() {
                    on_event(answer, event);
                }
            }
            Self::Opaque => {}
        }
    }
}

/// One JSON document in pieces. The first bytes are kept, to know `[DONE]`.
#[derive(Debug)]
pub(crate) struct Document {
    scanner: Scanner<Field>,
    head: [u8; 6],
    len: usize,
}

impl Document {
    fn new(shape: &'static Node<Field>) -> Self {
        Self { scanner: Scanner::new(shape), head: [0; 6], len: 0 }
    }

    fn push(&mut self, piece: &[u8], answer: &mut Answer) {
        for (slot, byte) in self.head.iter_mut().skip(self.len).zip(piece) {
            *slot = *byte;
        }
        self.len = self.len.saturating_add(piece.len());
        self.scanner.push(piece, answer);
    }

    fn end(&mut self, answer: &mut Answer) -> Event {
        self.scanner.finish(answer);
        let generated = answer.end_event();
        if self.head == *b"[DONE]" {
            Event::Done
        } else if self.scanner.is_done() {
            Event::Read(generated)
        } else {
            Event::Malformed
        }
    }

    fn is_empty(&self) -> bool {
        self.scanner.is_untouched()
    }

    fn restart(&mut self) {
        self.scanner.restart();
        self.head = [0; 6];
        self.len = 0;
    }
}

struct EventSink<'a, F> {
    document: &'a mut Document,
    answer: &'a mut Answer,
    on_event: &'a mut F,
}

impl<F: FnMut(&mut Answer, Event)> Events for EventSink<'_, F> {
    fn data(&mut self, piece: &[u8]) {
        self.document.push(piece, self.answer);
    }

    fn dispatch(&mut self, event: &Dispatch) {
        let read = self.document.end(self.answer);
        self.answer.failed |= event.error;
        let empty = self.document.is_empty();
        self.document.restart();
        if !empty || event.error {
            (self.on_event)(self.answer, read);
        }
    }
}
