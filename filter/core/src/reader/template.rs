//! What the events of a stream have in common.
//!
//! A server writes one event after the other from the same pattern: everything before the generated
//! text and everything behind it is the same, byte for byte, hundreds of times. A template keeps one
//! such event. The next one is compared with it, which costs a fraction of reading it; where it
//! differs, reading goes on from the place where it still was the same.

use crate::answer::{Answer, Event};
use crate::bytes::{same, text_and_rest};
use crate::dialect::Field;
use crate::json::{Node, Scanner, Sink, StringEnd, Value, string_part};
use memchr::memmem;
use std::ops::Range;

/// Patterns longer than this are not kept.
const MAX_BYTES: usize = 640;

/// An event, cut where its generated text was.
#[derive(Debug)]
pub(super) struct Template {
    /// Everything up to the text's opening quote.
    before: Part,
    /// Everything behind the text's closing quote.
    behind: Part,
    /// How far the event had been read at the opening quote.
    scanner: Scanner,
    /// What it held by then, and how many bytes of text.
    event: Event,
    event_text: u64,
    /// What the whole event held, and the bytes of text in it besides the text that varies.
    whole: Event,
    whole_text: u64,
}

/// A part of the event's document, and of the frame around it once that is known.
#[derive(Debug)]
struct Part {
    bytes: Box<[u8]>,
    /// Where in `bytes` the document lies.
    document: Range<usize>,
}

impl Part {
    fn document(&self) -> &[u8] {
        self.bytes.get(self.document.clone()).unwrap_or_default()
    }
}

impl From<&[u8]> for Part {
    fn from(document: &[u8]) -> Self {
        Self { bytes: document.into(), document: 0..document.len() }
    }
}

/// How much of an event a template has spared.
pub(super) enum Match<'p> {
    /// Nothing: the event begins otherwise.
    Nothing,
    /// All of it.
    Whole,
    /// Up to the generated text; this is what is left to read.
    Start(&'p [u8]),
}

impl Template {
    /// The template of an event that came in one piece; `None` when it says more than generated text, so
    /// that another like it must be read as well.
    pub(super) fn learn(shape: &'static Node, event: &[u8]) -> Option<Self> {
        let mut probe = Probe::default();
        Scanner::new(shape).push(event, &mut probe);
        let (left, text) = probe.found?;
        let (before, rest) = event.split_at_checked(event.len().checked_sub(left)?)?;
        let behind = rest.get(text..)?.strip_prefix(b"\"")?;
        if text == 0 || before.len().saturating_add(behind.len()) > MAX_BYTES {
            return None;
        }
        let (mut scanner, mut answer) = (Scanner::new(shape), Answer::default());
        scanner.push(before, &mut answer);
        let mut rest_of_it = scanner.clone();
        let (event, event_text) = (answer.event(), answer.content_bytes);
        rest_of_it.push(rest, &mut answer);
        let whole = answer.event();
        let whole_text = answer.content_bytes.checked_sub(u64::try_from(text).ok()?)?;
        let (before, behind) = (before.into(), behind.into());
        (rest_of_it.is_done() && answer.is_plain()).then_some(Self {
            before,
            behind,
            scanner,
            event,
            event_text,
            whole,
            whole_text,
        })
    }

    /// Whether the lines around the document are still to be learnt.
    pub(super) fn is_bare(&self) -> bool {
        self.before.document.start == 0
    }

    /// Learns the lines around the document from a whole event that came in one piece.
    pub(super) fn frame(&mut self, event: &[u8]) {
        let Self { before, behind, .. } = self;
        let (start, document) = (before.document(), behind.document());
        let Some(tail) = memmem::rfind(event, document) else { return };
        // The text between them has no quote in it, which is what the start ends with.
        let Some(head) = event.get(..tail).and_then(|head| memmem::rfind(head, start)) else {
            return;
        };
        let before_end = head.saturating_add(start.len());
        let behind_end = tail.saturating_add(document.len());
        let (Some(framed_start), Some(framed_end)) = (event.get(..before_end), event.get(tail..))
        else {
            return;
        };
        let line_ends = event.get(behind_end..).unwrap_or_default();
        let fits = framed_start.len().saturating_add(framed_end.len()) <= MAX_BYTES;
        if fits && line_ends.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            let len = document.len();
            *before = Part { bytes: framed_start.into(), document: head..before_end };
            *behind = Part { bytes: framed_end.into(), document: 0..len };
        }
    }

    /// Takes over a whole event with the lines around it, and returns what follows.
    pub(super) fn skip<'p>(&self, piece: &'p [u8], answer: &mut Answer) -> Option<&'p [u8]> {
        let (before, rest) = piece.split_at_checked(self.before.bytes.len())?;
        if !same(before, &self.before.bytes) {
            return None;
        }
        let (text, rest) = text_and_rest(rest)?;
        let (behind, rest) = rest.split_at_checked(self.behind.bytes.len())?;
        if text.is_empty() || !same(behind, &self.behind.bytes) {
            return None;
        }
        self.take_over(text, answer);
        Some(rest)
    }

    fn take_over(&self, text: &[u8], answer: &mut Answer) {
        let text = u64::try_from(text.len()).unwrap_or(u64::MAX);
        answer.resume(self.whole, self.whole_text.saturating_add(text));
    }

    /// Compares a piece with which a document begins, and takes over what is the same.
    pub(super) fn apply<'p>(
        &self,
        piece: &'p [u8],
        scanner: &mut Scanner,
        answer: &mut Answer,
    ) -> Match<'p> {
        let Some((before, rest)) = piece.split_at_checked(self.before.document.len()) else {
            return Match::Nothing;
        };
        if !same(before, self.before.document()) {
            return Match::Nothing;
        }
        if let (inside, StringEnd::Closed(behind)) = string_part(rest, false)
            && !inside.is_empty()
            && same(behind, self.behind.document())
        {
            self.take_over(inside, answer);
            scanner.skip_to_end();
            return Match::Whole;
        }
        scanner.clone_from(&self.scanner);
        answer.resume(self.event, self.event_text);
        Match::Start(rest)
    }
}

/// Finds the first generated text: how much of the event follows its opening quote, and its length.
#[derive(Default)]
struct Probe {
    begun: Option<(Field, usize)>,
    found: Option<(usize, usize)>,
}

impl Sink for Probe {
    fn value(&mut self, field: Field, value: Value<'_>) {
        if let (Some((begun, left)), Value::Text { len, .. }, None) =
            (self.begun, value, self.found)
            && begun == field
        {
            self.found = Some((left, len));
        }
    }

    fn text_begins(&mut self, field: Field, left: usize) {
        let generated =
            matches!(field, Field::Output | Field::Reasoning | Field::Delta | Field::PartText);
        if generated && self.begun.is_none() {
            self.begun = Some((field, left));
        }
    }
}
