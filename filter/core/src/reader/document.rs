//! One JSON document of a response, in pieces.

use super::template::Template;
use crate::answer::{Answer, Generated};
use crate::json::{Node, Scanner};

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A document that was understood, and whether it is the terminal one.
    Read { generated: Generated, last: bool },
    /// Something else.
    Malformed,
}

/// Documents of one stream from which a template is made or made wider.
const LESSONS: u8 = 16;

/// A template that fits none of so many documents is given up.
const MAX_MISSES: u8 = 16;

/// Only this much is compared or learnt from, so that nobody holds the host up with long documents to study.
const MAX_ALIKE: usize = 16 << 10;

/// Reads one document after another.
#[derive(Debug)]
pub(crate) struct Document {
    shape: &'static Node,
    scanner: Scanner,
    /// The first bytes, to know `[DONE]`.
    head: [u8; 6],
    len: usize,
    template: Option<Box<Template>>,
    lessons: u8,
    /// Documents in a row that were not like the template.
    misses: u8,
    /// The template is of the event that is being read, and knows nothing of the lines around it.
    bare: bool,
}

impl Document {
    /// Reads documents that are alike: the events of a stream.
    pub(super) fn alike(shape: &'static Node) -> Self {
        Self { lessons: LESSONS, ..Self::new(shape) }
    }

    pub(super) fn new(shape: &'static Node) -> Self {
        let scanner = Scanner::new(shape);
        Self {
            shape,
            scanner,
            head: [0; 6],
            len: 0,
            template: None,
            lessons: 0,
            misses: 0,
            bare: false,
        }
    }

    /// Reads a piece and returns what is left of it beyond the document.
    pub(super) fn push<'p>(&mut self, piece: &'p [u8], answer: &mut Answer) -> &'p [u8] {
        let begins = self.len == 0;
        for (slot, byte) in self.head.iter_mut().skip(self.len).zip(piece) {
            *slot = *byte;
        }
        self.len = self.len.saturating_add(piece.len());
        if !begins {
            return self.scanner.push(piece, answer);
        }
        if let Some(rest) = self.take_over(piece, answer, Template::skip_document) {
            self.bare = self.template.as_ref().is_some_and(|template| template.is_bare());
            self.scanner.skip_to_end();
            return rest;
        }
        self.miss();
        let rest = self.scanner.push(piece, answer);
        // What generates nothing, say a role, a finish reason or usage, comes once and teaches nothing.
        if self.lessons > 0 && self.scanner.is_done() && answer.event().has_text() {
            self.lessons = self.lessons.saturating_sub(1);
            self.learn(piece.get(..MAX_ALIKE).unwrap_or(piece));
        }
        rest
    }

    /// Compares the start of a piece with the template, and returns what follows when it is like it.
    fn take_over<'p>(
        &mut self,
        piece: &'p [u8],
        answer: &mut Answer,
        skip: for<'w> fn(&Template, &'w [u8], &mut Answer) -> Option<&'w [u8]>,
    ) -> Option<&'p [u8]> {
        let window = piece.get(..MAX_ALIKE).unwrap_or(piece);
        let rest = skip(self.template.as_ref()?, window, answer)?;
        self.misses = 0;
        piece.get(window.len().saturating_sub(rest.len())..)
    }

    fn miss(&mut self) {
        self.misses = self.misses.saturating_add(1);
        if self.misses >= MAX_MISSES {
            self.template = None;
            self.lessons = 0;
        }
    }

    /// Learns from a document that is not like those before.
    fn learn(&mut self, document: &[u8]) {
        let known = self.template.as_mut();
        if !known.is_some_and(|template| template.widen(self.shape, document))
            && let Some(template) = Template::learn(self.shape, document)
        {
            self.template = Some(Box::new(template));
        }
        self.bare = self.template.as_ref().is_some_and(|template| template.is_bare());
    }

    /// Takes over a whole event, lines and all, that is like those before, and returns what follows it.
    /// Only between events.
    pub(super) fn skip<'p>(
        &mut self,
        piece: &'p [u8],
        answer: &mut Answer,
    ) -> Option<(Event, &'p [u8])> {
        self.bare = false;
        let rest = self.take_over(piece, answer, Template::skip_event)?;
        let (generated, last) = answer.end_event();
        Some((Event::Read { generated, last }, rest))
    }

    /// Learns from the lines of an event that came in one piece and was read since [`Self::skip`].
    pub(super) fn learn_frame(&mut self, event: &[u8]) {
        if let (true, Some(template)) = (self.bare, &mut self.template) {
            template.frame(event);
        }
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
