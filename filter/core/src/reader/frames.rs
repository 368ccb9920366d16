//! Bedrock's streams: a JSON document in each frame of an AWS event stream, or, with InvokeModel, in
//! Base64 in an envelope in each frame.

use super::document::{Document, Event};
use crate::answer::Answer;
use crate::aws::{AwsFrames, Frames, Headers};
use crate::base64::Base64;
use crate::dialect::{ENVELOPE, Field};
use crate::json::{Node, Scanner, Sink, Value};

/// Reads the frames.
#[derive(Debug)]
pub(crate) struct AwsReader {
    frames: AwsFrames,
    document: Document,
    envelope: Option<(Scanner, Base64)>,
}

impl AwsReader {
    pub(super) fn new(shape: &'static Node, enveloped: bool) -> Self {
        Self {
            frames: AwsFrames::new(),
            document: Document::alike(shape),
            envelope: enveloped.then(|| (Scanner::new(&ENVELOPE), Base64::default())),
        }
    }

    pub(super) fn push(
        &mut self,
        piece: &[u8],
        answer: &mut Answer,
        on_event: &mut dyn FnMut(&mut Answer, Event),
    ) {
        let Self { frames, document, envelope } = self;
        let was_broken = frames.is_broken();
        frames.push(piece, &mut Payload { document, envelope, answer, on_event });
        if frames.is_broken() && !was_broken {
            on_event(answer, Event::Malformed);
        }
    }
}

struct Payload<'a> {
    document: &'a mut Document,
    envelope: &'a mut Option<(Scanner, Base64)>,
    answer: &'a mut Answer,
    on_event: &'a mut dyn FnMut(&mut Answer, Event),
}

impl Frames for Payload<'_> {
    fn payload(&mut self, piece: &[u8]) {
        let Self { document, envelope, answer, .. } = self;
        match envelope {
            Some((scanner, base64)) => {
                scanner.push(piece, &mut Unwrap { base64, document, answer });
            }
            None => {
                document.push(piece, answer);
            }
        }
    }

    fn end(&mut self, headers: &Headers<'_>) {
        if let Some((scanner, _)) = self.envelope {
            scanner.restart();
        }
        // Exceptions are named; errors below the model have a code. Their payload, if any, is not in
        // an envelope, and the name says enough.
        let kind = headers.text(b":message-type").unwrap_or(b"event");
        if kind != b"event" {
            let name = headers.text(b":exception-type").or_else(|| headers.text(b":error-code"));
            self.answer.error_name(name.unwrap_or_default());
            self.answer.failed = true;
        }
        if let Some(event) = self.document.end(self.answer) {
            (self.on_event)(self.answer, event);
        }
    }
}

/// Takes the Base64 of an envelope and reads what is in it.
struct Unwrap<'a> {
    base64: &'a mut Base64,
    document: &'a mut Document,
    answer: &'a mut Answer,
}

impl Sink for Unwrap<'_> {
    fn value(&mut self, _field: Field, _value: Value<'_>) {
        self.base64.finish(|bytes| {
            self.document.push(bytes, self.answer);
        });
    }

    fn piece(&mut self, _field: Field, piece: &[u8]) {
        self.base64.push(piece, |bytes| {
            self.document.push(bytes, self.answer);
        });
    }
}
