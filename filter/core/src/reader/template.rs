//! What the events of a stream have in common.
//!
//! A server writes one event after the other from the same pattern: everything before the generated
//! text and everything behind it is the same, byte for byte, hundreds of times. A template keeps one
//! such event. The next one is compared with it, which costs a fraction of reading it; where it
//! differs, reading goes on from the place where it still was the same.

use crate::answer::{Answer, Event};
use crate::dialect::Field;
use crate::json::{Node, Scanner, Sink, StringEnd, Value, string_part};

/// Patterns longer than this are not kept.
const MAX_BYTES: usize = 640;

/// An event, cut where its generated text was.
#[derive(Debug)]
pub(super) struct Template {
    /// Everything up to the text's opening quote.
    before: Box<[u8]>,
    /// Everything behind the text's closing quote.
    behind: Box<[u8]>,
    /// How far the event had been read at the opening quote.
    scanner: Scanner,
    /// What it held by then, and how many bytes of text.
    event: Event,
    event_text: u64,
    /// What the whole event held, and the bytes of text in it besides the text that varies.
    whole: Event,
    whole_text: u64,
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

    /// Compares a piece with which an event begins, and takes over what is the same.
    pub(super) fn apply<'p>(
        &self,
        piece: &'p [u8],
        scanner: &mut Scanner,
        answer: &mut Answer,
    ) -> Match<'p> {
        let Some((before, rest)) = piece.split_at_checked(self.before.len()) else {
            return Match::Nothing;
        };
        if !same(before, &self.before) {
            return Match::Nothing;
        }
        if let (inside, StringEnd::Closed(behind)) = string_part(rest, false)
            && !inside.is_empty()
            && same(behind, &self.behind)
        {
            let text = u64::try_from(inside.len()).unwrap_or(u64::MAX);
            answer.resume(self.whole, self.whole_text.saturating_add(text));
            scanner.skip_to_end();
            return Match::Whole;
        }
        scanner.clone_from(&self.scanner);
        answer.resume(self.event, self.event_text);
        Match::Start(rest)
    }
}

/// Compares eight bytes at a time: the comparison that wasm code calls otherwise takes single ones.
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a.iter().zip(b);
    let difference = words.fold(0, |difference, (a, b)| {
        difference | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b))
    });
    difference == 0 && a_rest == b_rest
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
