//! One JSON document of a response, in pieces.

use crate::answer::{Answer, Generated};
use crate::dialect::Field;
use crate::json::{Node, Scanner};

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A document that was understood, and whether it is the terminal one.
    Read { generated: Generated, last: bool },
    /// Something else.
    Malformed,
}

/// Reads one document after another.
#[derive(Debug)]
pub(crate) struct Document {
    scanner: Scanner<Field>,
    /// The first bytes, to know `[DONE]`.
    head: [u8; 6],
    len: usize,
}

impl Document {
    pub(super) fn new(shape: &'static Node<Field>) -> Self {
        Self { scanner: Scanner::new(shape), head: [0; 6], len: 0 }
    }

    /// Reads a piece and returns what is left of it beyond the document.
    pub(super) fn push<'p>(&mut self, piece: &'p [u8], answer: &mut Answer) -> &'p [u8] {
        for (slot, byte) in self.head.iter_mut().skip(self.len).zip(piece) {
            *slot = *byte;
        }
        self.len = self.len.saturating_add(piece.len());
        self.scanner.push(piece, answer)
    }

    /// Ends the document, and is ready for the next. `None`: there was none.
    pub(super) fn end(&mut self, answer: &mut Answer) -> Option<Event> {
        self.scanner.finish(answer);
        let (generated, last) = answer.end_event();
        // OpenAI's terminal event is no JSON object.
        let event = if self.head == *b"[DONE]" {
            Some(Event::Read { generated: Generated::default(), last: true })
        } else if self.scanner.is_done() {
            Some(Event::Read { generated, last })
        } else if self.scanner.is_untouched() {
            None
        } else {
            Some(Event::Malformed)
        };
        self.scanner.restart();
        self.head = [0; 6];
        self.len = 0;
        event
    }

    /// Whether the document is complete.
    pub(super) fn is_done(&self) -> bool {
        self.scanner.is_done()
    }

    /// Whether the document makes no sense any more.
    pub(super) fn is_broken(&self) -> bool {
        self.scanner.is_broken()
    }
}
