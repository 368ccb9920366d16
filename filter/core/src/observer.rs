//! Watches one stream from its request head to its end.
//!
//! Bytes and times go in, a [`Record`] comes out. No method can fail, and none returns anything that
//! could hold the stream up: trouble is a [`Degraded`] reason in the record.

use crate::answer::{Answer, Generated};
use crate::degraded::{Degraded, DegradedSet, UsageMissing};
use crate::dialect::{self, Ask};
use crate::ending::{Ending, Progress, Verdict, judge};
use crate::http::{Api, Media, RequestHead, ResponseHead, is_identity, model_in_path};
use crate::json::{Scanner, Sink, Value};
use crate::outcome::{Mode, Outcome};
use crate::reader::{Event, Reader};
use crate::record::{Record, Work};
use crate::time::HostTime;
use crate::timing::Timing;
use crate::usage::Usage;
use std::time::Duration;

/// Whether more of a body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More may come.
    More,
    /// This was the last of it.
    Last,
}

/// Watches one stream of LLM traffic.
#[derive(Debug)]
pub struct Observer {
    api: Api,
    request: Request,
    wire: Wire,
    response: Option<Response>,
    answer: Answer,
    timing: Timing,
    degraded: DegradedSet,
}

/// What the request said.
#[derive(Debug, Default)]
struct Request {
    model: Option<Box<[u8]>>,
    tenant: Option<Box<[u8]>>,
    stream: bool,
    bytes: u64,
}

impl Sink<Ask> for Request {
    fn value(&mut self, field: Ask, value: Value<'_>) {
        match (field, value) {
            (Ask::Model, Value::Text { start, len }) if len > 0 => self.model = Some(start.into()),
            (Ask::Stream, Value::Flag(stream)) => self.stream = stream,
            (Ask::Model | Ask::Stream, _) => {}
        }
    }
}

/// The body that is being read now.
#[derive(Debug)]
enum Wire {
    Request(Scanner<Ask>),
    Response(Reader),
    /// Nothing that is understood, or nothing any more.
    Ignored,
}

#[derive(Clone, Copy, Debug)]
struct Response {
    status: u16,
    media: Media,
    /// The terminal event, or the end of a whole document, has been read.
    complete: bool,
    /// The end of the body has been seen.
    ended: bool,
}

/// Gaps between generated events that one piece of a body completed: the first of them may be a real
/// gap, further events in the same piece came at the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Gap to the last event of an earlier piece.
    pub first: Option<Duration>,
    /// Further generated events in the piece.
    pub zeros: u32,
}

impl Gaps {
    /// Each gap.
    pub fn iter(self) -> impl Iterator<Item = Duration> {
        let zeros = usize::try_from(self.zeros).unwrap_or(0);
        self.first.into_iter().chain(std::iter::repeat_n(Duration::ZERO, zeros))
    }
}

impl Observer {
    /// Starts watching; `None` when the request is not to an LLM API that is known.
    pub fn start(at: Option<HostTime>, head: &RequestHead<'_>) -> Option<Self> {
        let api = Api::at(head.method, head.path)?;
        let mut degraded = DegradedSet::default();
        if at.is_none() {
            degraded.insert(Degraded::NoClock);
        }
        let wire = if is_identity(head.content_encoding) {
            Wire::Request(Scanner::new(dialect::request(api)))
        } else {
            degraded.insert(Degraded::RequestEncoding);
            Wire::Ignored
        };
        let request = Request {
            model: model_in_path(head.path).map(Into::into),
            tenant: head.tenant.map(Into::into),
            ..Request::default()
        };
        let timing = Timing::starting(at);
        Some(Self {
            api,
            request,
            wire,
            response: None,
            answer: Answer::default(),
            timing,
            degraded,
        })
    }

    /// A piece of the request body.
    pub fn request_chunk(&mut self, bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.request.bytes = self.request.bytes.saturating_add(len);
        if let Wire::Request(scanner) = &mut self.wire {
            scanner.push(bytes, &mut self.request);
        }
    }

    /// The response head. A later head replaces an earlier one (`100 Continue`).
    pub fn response_head(&mut self, head: &ResponseHead<'_>) {
        let media = Media::of(head.content_type);
        self.response =
            Some(Response { status: head.status, media, complete: false, ended: false });
        self.wire = if !is_identity(head.content_encoding) {
            self.degraded.insert(Degraded::ResponseEncoding);
            Wire::Response(Reader::Opaque)
        } else if head.status >= 400 {
            // Errors are JSON under any content type, or no error body that we know.
            Wire::Response(Reader::whole(dialect::answer(self.api)))
        } else {
            match media {
                Media::EventStream => Wire::Response(Reader::events(dialect::event(self.api))),
                Media::Json => Wire::Response(Reader::whole(dialect::answer(self.api))),
                Media::Other => {
                    self.degraded.insert(Degraded::ResponseFormat);
                    Wire::Response(Reader::Opaque)
                }
            }
        };
    }

    /// A piece of the response body, possibly empty.
    pub fn response_chunk(&mut self, at: Option<HostTime>, bytes: &[u8], end: End) -> Gaps {
        let Self {
            wire: Wire::Response(reader),
            response: Some(response),
            answer,
            timing,
            degraded,
            ..
        } = self
        else {
            return Gaps::default();
        };
        if !bytes.is_empty() {
            timing.byte(at);
        }
        let mut gaps = Gaps::default();
        let mut on_event = |answer: &mut Answer, event| {
            match event {
                Event::Read(Generated { output: false, reasoning: false }) => {}
                Event::Read(generated) => {
                    let first = timing.events == 0;
                    let gap = timing.generated(at, generated.output);
                    if gap.is_some_and(|gap| gap.is_zero()) && gaps.first.is_some() || first {
                        gaps.zeros = gaps.zeros.saturating_add(u32::from(!first));
                    } else {
                        gaps.first = gap;
                    }
                }
                Event::Done => {
                    response.complete = true;
                    timing.terminal = timing.terminal.or(at);
                }
                // Proxies refuse in HTML, and that is nothing that we should have understood.
                Event::Malformed if response.status >= 400 => {}
                Event::Malformed => degraded.insert(Degraded::MalformedJson),
            }
            response.complete |= answer.finish.is_some();
        };
        reader.push(bytes, answer, &mut on_event);
        if end == End::Last {
            reader.finish(answer, &mut on_event);
            self.end_response(at);
        }
        gaps
    }

    fn end_response(&mut self, at: Option<HostTime>) {
        let Some(response) = &mut self.response else { return };
        response.ended = true;
        if response.media != Media::EventStream
            || matches!(self.wire, Wire::Response(Reader::Opaque))
        {
            // A document that was cut is malformed; what is not read can only be taken at its word.
            response.complete = !self.degraded.contains(Degraded::MalformedJson);
        }
        self.timing.terminal = self.timing.terminal.or(at);
    }

    /// The stream is over. Consumes the observer: a stream is recorded once or not at all.
    pub fn finish(mut self, at: Option<HostTime>, ending: &Ending<'_>) -> Record {
        if let (Wire::Response(reader), false) =
            (&mut self.wire, self.response.is_some_and(|response| response.ended))
        {
            // What the last piece left open, say a `[DONE]` without its blank line.
            let complete = &mut false;
            reader.finish(&mut self.answer, |answer, event| {
                *complete |= event == Event::Done || answer.finish.is_some();
            });
            if let (Some(response), Reader::Events(..)) = (&mut self.response, reader) {
                response.complete |= *complete;
            }
        }
        let verdict = self.verdict(ending);
        self.record(at, verdict)
    }

    fn verdict(&self, ending: &Ending<'_>) -> Verdict {
        let progress = match self.response {
            None => Progress::Nothing,
            Some(Response { status: status @ 400.., .. }) => Progress::Refused(status),
            Some(Response { complete: true, .. }) => Progress::Complete,
            Some(_) => Progress::Begun,
        };
        let fault = self.answer.failed.then_some(self.answer.fault.as_deref());
        let fault = match progress {
            // A refusal is an error whatever its body says.
            Progress::Refused(_) => Some(self.answer.fault.as_deref()),
            Progress::Nothing | Progress::Begun | Progress::Complete => fault,
        };
        judge(progress, self.mode() == Mode::Stream, fault, ending)
    }

    fn mode(&self) -> Mode {
        let streamed = match self.response {
            Some(Response { status: ..400, media: Media::EventStream, .. }) => true,
            Some(Response { status: ..400, media: Media::Json, .. }) => false,
            Some(_) | None => self.request.stream,
        };
        if streamed { Mode::Stream } else { Mode::Unary }
    }

    fn usage(&self) -> Usage {
        self.answer.usage.clone().openai_inclusive()
    }

    fn record(&self, at: Option<HostTime>, verdict: Verdict) -> Record {
        let mode = self.mode();
        let stream = mode == Mode::Stream;
        let usage = self.usage();
        let tokens = usage.streamed_output(self.answer.reasoning_shown);
        let timed = stream && verdict.outcome != Outcome::Error;
        let accepted = self.response.is_some_and(|response| response.status < 400);
        Record {
            api: self.api,
            mode,
            outcome: verdict.outcome,
            error: verdict.error,
            model: self.request.model.clone().or_else(|| self.answer.model.clone()),
            response_model: self.answer.model.clone(),
            tenant: self.request.tenant.clone(),
            finish: self.answer.finish,
            duration: self.timing.duration(at),
            ttfb: self.timing.ttfb().filter(|_| stream && accepted),
            ttft: self.timing.ttft().filter(|_| stream),
            ttfo: self.timing.ttfo().filter(|_| stream),
            tpot: tokens.and_then(|tokens| self.timing.tpot(tokens)).filter(|_| timed),
            max_stall: self.timing.max_stall().filter(|_| stream),
            usage_missing: self.usage_missing(accepted, &usage, verdict.outcome),
            streamed_output: tokens,
            usage,
            work: accepted.then_some(Work {
                events: self.timing.events,
                content_bytes: self.answer.content_bytes,
                request_bytes: self.request.bytes,
            }),
            degraded: self.degraded,
        }
    }

    fn usage_missing(
        &self,
        accepted: bool,
        usage: &Usage,
        outcome: Outcome,
    ) -> Option<UsageMissing> {
        if !accepted || usage.input.is_some() || usage.output.is_some() {
            return None;
        }
        let opaque = matches!(self.wire, Wire::Response(Reader::Opaque));
        Some(match outcome {
            _ if opaque => UsageMissing::Unreadable,
            Outcome::Success => UsageMissing::NotSent,
            Outcome::Error => UsageMissing::Failed,
            Outcome::ClientAbort => UsageMissing::Aborted,
            Outcome::Truncated => UsageMissing::Truncated,
        })
    }

    /// Whether the terminal event or the end of the body has been read, so that nothing but how the
    /// connection ends is still to come.
    pub fn is_over(&self) -> bool {
        self.response.is_some_and(|response| response.ended) || self.timing.terminal.is_some()
    }

    /// Generated events so far.
    pub fn generated_events(&self) -> u64 {
        self.timing.events
    }

    /// What would be recorded if the stream ended now.
    pub fn so_far(&self, at: Option<HostTime>, ending: &Ending<'_>) -> Record {
        self.record(at, self.verdict(ending))
    }

    /// The requested model, for labels that are needed before the end.
    pub fn model(&self) -> Option<&[u8]> {
        self.request.model.as_deref().or(self.answer.model.as_deref())
    }

    /// The wire API.
    pub fn api(&self) -> Api {
        self.api
    }
}

#[cfg(test)]
#[path = "observer/tests.rs"]
mod tests;
