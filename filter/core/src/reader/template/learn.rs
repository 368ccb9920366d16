//! How a template is made, and how it grows wider.

use super::{Hole, Holes, MAX_BYTES, MAX_HOLES, Template, What, is_of_number, number_len, strip};
use crate::answer::Answer;
use crate::bytes::text_and_rest;
use crate::dialect::Field;
use crate::json::{Node, Scanner, Sink, Value};
use memchr::memchr_iter;

impl Template {
    /// The template of a document that came in one piece; `None` when it says more than generated text, so
    /// that another like it must be read as well.
    pub(in crate::reader) fn learn(shape: &'static Node, document: &[u8]) -> Option<Self> {
        let mut scanner = Scanner::new(shape);
        let mut probe = Probe::default();
        let beyond = scanner.push(document, &mut probe);
        let Probe { answer, text_left } = probe;
        let at = document.len().checked_sub(text_left?)?;
        let (before, rest) = document.split_at_checked(at)?;
        let (text, behind) = text_and_rest(rest)?;
        let behind = behind.get(..behind.len().checked_sub(beyond.len())?)?;
        let plain = scanner.is_done() && answer.is_plain() && !text.is_empty();
        if !plain || before.len().saturating_add(behind.len()) > MAX_BYTES {
            return None;
        }
        let literals = [before, behind].concat();
        let other_text = answer.content_bytes.checked_sub(u64::try_from(text.len()).ok()?)?;
        let hole = Hole { at: u16::try_from(at).ok()?, what: What::Text };
        Some(Self {
            document: 0..u16::try_from(literals.len()).ok()?,
            literals: literals.into(),
            holes: Holes { holes: [hole; MAX_HOLES], count: 1 },
            event: answer.event(),
            other_text: u32::try_from(other_text).ok()?,
        })
    }

    /// Makes holes where `document`, which is not like the others, differs from them in nothing that is
    /// wanted. Whether that made it one of them.
    pub(in crate::reader) fn widen(&mut self, shape: &'static Node, document: &[u8]) -> bool {
        while let Some(difference) = self.difference(document) {
            if !self.make_hole(shape, document, difference) {
                return false;
            }
        }
        true
    }

    /// Learns the lines around the document from a whole event that came in one piece.
    pub(in crate::reader) fn frame(&mut self, event: &[u8]) {
        let Some((head, document_and_tail)) = self.find_document(event) else { return };
        let mut ignored = Answer::default();
        let Some(tail) = self.skip_document(document_and_tail, &mut ignored) else { return };
        let line_ends = tail.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        let frame = head.len().saturating_add(tail.len());
        let Ok(shift) = u16::try_from(head.len()) else { return };
        if !line_ends || frame.saturating_add(self.literals.len()) > MAX_BYTES {
            return;
        }
        self.literals = [head, &self.literals, tail].concat().into();
        let end = self.document.end.saturating_add(shift);
        self.document = shift..end;
        for hole in &mut self.holes.holes {
            hole.at = hole.at.saturating_add(shift);
        }
    }

    /// Splits an event where its document begins: at the last line that begins like the document.
    fn find_document<'e>(&self, event: &'e [u8]) -> Option<(&'e [u8], &'e [u8])> {
        let first = self.holes.as_slice().first()?;
        let start = self.literals.get(..usize::from(first.at))?;
        // Prepared search would cost more than one event has to find.
        let begins = |at: &usize| event.get(*at..).is_some_and(|rest| rest.starts_with(start));
        event.split_at_checked(memchr_iter(*start.first()?, event).find(begins)?)
    }

    /// Where a document first differs: in the document, and in the literals. `None` when it does not.
    fn difference(&self, document: &[u8]) -> Option<Difference> {
        let (start, end) = (usize::from(self.document.start), usize::from(self.document.end));
        let (mut rest, mut from) = (document, start);
        let mut holes = self.holes.as_slice().iter();
        loop {
            let hole = holes.next();
            let to = hole.map_or(end, |hole| usize::from(hole.at));
            let literal = self.literals.get(from..to)?;
            let alike = literal.iter().zip(rest).take_while(|(a, b)| a == b).count();
            let at = document.len().saturating_sub(rest.len());
            let differs = Difference {
                document: at.saturating_add(alike),
                literal: from.saturating_add(alike),
                from,
                to,
            };
            let Some(behind) = strip(rest, literal) else { return Some(differs) };
            let hole = hole?;
            from = to;
            match hole.what.fill(behind) {
                Some((_, behind)) => rest = behind,
                // Nothing can be made of a hole that is filled with something else.
                None => return Some(Difference { from: to, to, ..differs }),
            }
        }
    }

    fn make_hole(&mut self, shape: &'static Node, document: &[u8], place: Difference) -> bool {
        let Difference { document: at, literal, from, to } = place;
        let (Some(same), Some(segment)) = (document.get(..at), self.literals.get(from..to)) else {
            return false;
        };
        let Some(alike) = literal.checked_sub(from) else { return false };
        // Back to where the value begins, which is the same in both as far as they are alike.
        let digits = same.iter().rev().take_while(|byte| is_of_number(**byte)).count().min(alike);
        let letters = same.iter().rev().take_while(|byte| **byte != b'"').count();
        let as_number = (What::Number, digits);
        let as_text = (What::OtherText, letters);
        for (what, back) in [as_number, as_text] {
            let Some(start) = at.checked_sub(back) else { continue };
            let Some(begin) = alike.checked_sub(back) else { continue };
            let (Some(read), Some(rest)) = (document.get(..start), segment.get(begin..)) else {
                continue;
            };
            let mut scanner = Scanner::new(shape);
            scanner.push(read, &mut Answer::default());
            let ignored = match what {
                What::Number => number_len(rest) > 0 && scanner.ignores_value(),
                What::Text | What::OtherText => {
                    read.last() == Some(&b'"') && scanner.ignores_text()
                }
            };
            let taken = match what {
                What::Number => Some(number_len(rest)),
                What::Text | What::OtherText => {
                    text_and_rest(rest).map(|(text, _)| text.len().saturating_add(1))
                }
            };
            let (true, Some(taken)) = (ignored, taken) else { continue };
            let hole_at = from.saturating_add(begin);
            return self.cut(hole_at, taken, what);
        }
        false
    }

    /// Takes `len` bytes out of the literals and leaves a hole there.
    fn cut(&mut self, at: usize, len: usize, what: What) -> bool {
        let (Ok(at16), Ok(len16)) = (u16::try_from(at), u16::try_from(len)) else { return false };
        let count = self.holes.count;
        if usize::from(count) == MAX_HOLES {
            return false;
        }
        let (Some(before), Some(behind)) =
            (self.literals.get(..at), self.literals.get(at.saturating_add(len)..))
        else {
            return false;
        };
        self.literals = [before, behind].concat().into();
        self.document.end = self.document.end.saturating_sub(len16);
        for hole in self.holes.holes.iter_mut().filter(|hole| hole.at > at16) {
            hole.at = hole.at.saturating_sub(len16);
        }
        if let Some(slot) = self.holes.holes.get_mut(usize::from(count)) {
            *slot = Hole { at: at16, what };
        }
        self.holes.count = count.saturating_add(1);
        if let Some(holes) = self.holes.holes.get_mut(..=usize::from(count)) {
            holes.sort_by_key(|hole| hole.at);
        }
        true
    }
}

/// Where a document differs from the template.
struct Difference {
    /// Bytes of the document before it.
    document: usize,
    /// Where it is in the literals.
    literal: usize,
    /// The literal bytes between the holes around it.
    from: usize,
    to: usize,
}

/// Reads a document, and finds its first generated text: how much of the document follows its opening quote.
#[derive(Default)]
struct Probe {
    answer: Answer,
    text_left: Option<usize>,
}

impl Sink for Probe {
    fn value(&mut self, field: Field, value: Value<'_>) {
        self.answer.value(field, value);
    }

    fn text_begins(&mut self, field: Field, left: usize) {
        let generated =
            matches!(field, Field::Output | Field::Reasoning | Field::Delta | Field::PartText);
        if generated && self.text_left.is_none() {
            self.text_left = Some(left);
        }
    }
}
