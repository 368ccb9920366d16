//! What the events of a stream have in common.
//!
//! A server writes one event after the other from the same pattern: but for the generated text, and perhaps
//! a number or a time that nobody wants, all of it is the same, byte for byte, hundreds of times. A
//! template keeps one such event. The next one is compared with it, which costs a fraction of reading it.

mod learn;
#[cfg(test)]
mod tests;

use crate::answer::{Answer, Event};
use crate::bytes::{same, text_and_rest};
use std::ops::Range;

/// Patterns longer than this are not kept.
const MAX_BYTES: usize = 640;

/// As many places may differ.
const MAX_HOLES: usize = 4;

/// An event, with holes where the next one may differ.
#[derive(Debug)]
pub(super) struct Template {
    /// All bytes that do not differ.
    literals: Box<[u8]>,
    holes: Holes,
    /// Where in `literals` the document lies; around it are the lines that frame it, once they are known.
    document: Range<u16>,
    /// What the event held, and how many bytes of text besides those that vary.
    event: Event,
    other_text: u32,
}

/// Places where events differ, in their order. In place, because every open stream has them.
#[derive(Debug)]
struct Holes {
    holes: [Hole; MAX_HOLES],
    count: u8,
}

impl Holes {
    fn as_slice(&self) -> &[Hole] {
        self.holes.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// A place where events differ.
#[derive(Clone, Copy, Debug)]
struct Hole {
    /// Where in the literals.
    at: u16,
    what: What,
}

/// What fills a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The generated text, up to its closing quote.
    Text,
    /// A string that is not wanted, up to its closing quote.
    OtherText,
    /// A number that is not wanted.
    Number,
}

impl Template {
    /// Whether the lines around the document are still to be learnt.
    pub(super) fn is_bare(&self) -> bool {
        self.document.start == 0
    }

    /// Takes over a whole document that is like the others, and returns what follows.
    pub(super) fn skip_document<'p>(
        &self,
        piece: &'p [u8],
        answer: &mut Answer,
    ) -> Option<&'p [u8]> {
        self.skip(piece, usize::from(self.document.start), usize::from(self.document.end), answer)
    }

    /// Takes over a whole event with the lines around it, and returns what follows.
    pub(super) fn skip_event<'p>(&self, piece: &'p [u8], answer: &mut Answer) -> Option<&'p [u8]> {
        if self.is_bare() { None } else { self.skip(piece, 0, self.literals.len(), answer) }
    }

    fn skip<'p>(
        &self,
        piece: &'p [u8],
        start: usize,
        end: usize,
        answer: &mut Answer,
    ) -> Option<&'p [u8]> {
        let (mut rest, mut from, mut text) = (piece, start, 0);
        for hole in self.holes.as_slice() {
            rest = strip(rest, self.literals.get(from..usize::from(hole.at))?)?;
            from = usize::from(hole.at);
            let (inside, behind) = hole.what.fill(rest)?;
            if hole.what == What::Text {
                text = inside.len();
            }
            rest = behind;
        }
        rest = strip(rest, self.literals.get(from..end)?)?;
        let text = u64::try_from(text).unwrap_or(u64::MAX);
        answer.resume(self.event, text.saturating_add(u64::from(self.other_text)));
        Some(rest)
    }
}

impl What {
    /// What fills the hole at the start of `piece`, and what follows it.
    fn fill(self, piece: &[u8]) -> Option<(&[u8], &[u8])> {
        match self {
            // Without text nothing was generated.
            Self::Text => text_and_rest(piece).filter(|(text, _)| !text.is_empty()),
            Self::OtherText => text_and_rest(piece),
            Self::Number => {
                let end = number_len(piece);
                if end == 0 { None } else { piece.split_at_checked(end) }
            }
        }
    }
}

/// How many bytes at the start of `piece` are of a number.
fn number_len(piece: &[u8]) -> usize {
    if !matches!(piece.first(), Some(b'-' | b'0'..=b'9')) {
        return 0;
    }
    piece.iter().take_while(|byte| is_of_number(**byte)).count()
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn strip<'p>(piece: &'p [u8], literal: &[u8]) -> Option<&'p [u8]> {
    let (start, rest) = piece.split_at_checked(literal.len())?;
    same(start, literal).then_some(rest)
}
