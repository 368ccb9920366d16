//! Response bodies: a whole one, or a script played to the socket by the clock.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::ledger::Entry;
use crate::coding::{Coding, Transcoder};
use crate::script::{Cut, Event, Step};
use crate::served::{ServedEnd, Usage};
use crate::wire::StreamWriter;

/// A response body that knows its entry in the ledger.
pub(super) enum Reply {
    /// One piece of bytes.
    Whole(WholeReply),
    /// A paced stream.
    Paced(PacedReply),
}

impl Reply {
    /// The same reply in a content coding.
    ///
    /// # Errors
    ///
    /// There is no memory for the coder.
    pub(super) fn coded(mut self, coding: Coding) -> io::Result<Self> {
        let mut encoder = Transcoder::encoder(coding)?;
        match &mut self {
            Self::Whole(whole) => {
                if let Some(bytes) = &mut whole.bytes {
                    let mut coded = encoder.piece(bytes)?;
                    coded.extend(encoder.end()?);
                    *bytes = coded.into();
                }
            }
            Self::Paced(paced) => paced.encoder = encoder,
        }
        Ok(self)
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.next().map(Ok)),
            Self::Paced(paced) => paced.poll_next(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => SizeHint::with_exact(whole.len()),
            Self::Paced(_) => SizeHint::default(),
        }
    }
}

/// A body in one piece. Answers that are not recorded, such as the list of models, have no entry.
pub(super) struct WholeReply {
    bytes: Option<Bytes>,
    entry: Option<(Entry, Sent)>,
}

/// What becomes true of a request when its whole body is handed to the socket.
pub(super) enum Sent {
    /// The answer, with the usage it states and its output tokens.
    Answer(Option<Usage>, u64),
    /// An error.
    Error,
}

impl WholeReply {
    /// A body that nobody records.
    pub(super) fn unrecorded(body: impl Into<Bytes>) -> Self {
        Self { bytes: Some(body.into()), entry: None }
    }

    /// A body that ends its entry.
    pub(super) fn recorded(body: impl Into<Bytes>, entry: Entry, sent: Sent) -> Self {
        Self { bytes: Some(body.into()), entry: Some((entry, sent)) }
    }

    fn len(&self) -> u64 {
        self.bytes.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX))
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        let bytes = self.bytes.take()?;
        match self.entry.take() {
            Some((mut entry, Sent::Answer(usage, tokens))) => {
                entry.sent_tokens(tokens);
                usage.into_iter().for_each(|usage| entry.reported(usage));
                entry.end(ServedEnd::Complete);
            }
            Some((mut entry, Sent::Error)) => entry.end(ServedEnd::Error),
            None => {}
        }
        Some(Frame::data(bytes))
    }
}

/// A script that is being played.
pub(super) struct PacedReply {
    steps: std::vec::IntoIter<Step>,
    due: Option<Step>,
    writer: StreamWriter,
    encoder: Transcoder,
    entry: Entry,
    alarm: Pin<Box<Sleep>>,
    /// Whether the connection was given the chance to write out what it already has.
    flushed: bool,
}

impl PacedReply {
    pub(super) fn new(steps: Vec<Step>, writer: StreamWriter, entry: Entry) -> Self {
        let mut steps = steps.into_iter();
        let due = steps.next();
        let alarm = Box::pin(sleep_until(entry.received_at()));
        let encoder = Transcoder::PLAIN;
        Self { steps, due, writer, encoder, entry, alarm, flushed: false }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        while let Some(step) = self.due {
            let deadline = self.entry.received_at() + step.at;
            if Instant::now() < deadline {
                self.alarm.as_mut().reset(deadline);
                if self.alarm.as_mut().poll(cx).is_pending() {
                    self.flushed = true;
                    return Poll::Pending;
                }
            }
            if let Event::Cut(cut) = step.event {
                return self.poll_cut(cut, cx);
            }
            self.due = self.steps.next();
            let text = self.writer.write(step.event);
            if text.is_empty() {
                continue;
            }
            let Ok(bytes) = self.encoder.piece(text.as_bytes()) else {
                return Poll::Ready(Some(Err(Cut::Close)));
            };
            self.flushed = false;
            self.record(step.event);
            return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
        }
        match self.encoder.end() {
            Ok(tail) if !tail.is_empty() => return Poll::Ready(Some(Ok(Frame::data(tail.into())))),
            _ => {}
        }
        // Whatever was said before counts: an error, or `[DONE]`. Without either the answer is not whole.
        self.entry.end(ServedEnd::Truncated);
        Poll::Ready(None)
    }

    /// An error from a body makes hyper drop what it has not written yet, so it gets one turn to write first.
    fn poll_cut(&mut self, cut: Cut, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if !self.flushed {
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.entry.end(ServedEnd::Truncated);
        Poll::Ready(Some(Err(cut)))
    }

    fn record(&mut self, event: Event) {
        match event {
            Event::Generated { tokens, .. } => self.entry.generated(tokens),
            Event::Usage(usage) => self.entry.reported(usage),
            Event::Fault(fault, usage) => {
                if fault.states_usage() {
                    self.entry.reported(usage);
                }
                self.entry.end(ServedEnd::Error);
            }
            Event::Done => self.entry.end(ServedEnd::Complete),
            Event::Role | Event::Finish(_) | Event::Cut(_) | Event::End => {}
        }
    }
}

#[cfg(test)]
#[path = "reply/tests.rs"]
mod tests;
