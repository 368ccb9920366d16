//! JSON documents one after the other: Ollama's and Cohere's lines, Gemini's array.

use super::document::{Document, Event};
use crate::answer::Answer;
use crate::json::Node;

/// Reads the documents. What stands between them, line feeds or the commas and brackets of an array
/// around them, is passed over.
#[derive(Debug)]
pub(crate) struct Sequence {
    document: Document,
    /// Inside a document.
    inside: bool,
}

impl Sequence {
    pub(super) fn new(shape: &'static Node) -> Self {
        Self { document: Document::alike(shape), inside: false }
    }

    pub(super) fn push(
        &mut self,
        piece: &[u8],
        answer: &mut Answer,
        on_event: &mut dyn FnMut(&mut Answer, Event),
    ) {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            if !self.inside {
                if matches!(byte, b',' | b'[' | b']') || byte.is_ascii_whitespace() {
                    rest = tail;
                    continue;
                }
                self.inside = true;
            }
            rest = self.document.push(rest, answer);
            if self.document.is_broken() {
                // The next line has another chance.
                let Some(end) = memchr::memchr(b'\n', rest) else { return };
                rest = rest.get(end..).unwrap_or_default();
                self.finish(answer, on_event);
            } else if self.document.is_done() {
                self.finish(answer, on_event);
            }
        }
    }

    pub(super) fn finish(
        &mut self,
        answer: &mut Answer,
        on_event: &mut dyn FnMut(&mut Answer, Event),
    ) {
        self.inside = false;
        if let Some(event) = self.document.end(answer) {
            on_event(answer, event);
        }
    }
}
