//! Watches one stream from its request head to its end.
//!
//! Bytes and times go in, a [`Record`] comes out. No method can fail, and none returns anything that
//! could hold the stream up: trouble is a [`Degraded`] reason in the record.

use crate::answer::{Answer, Generated};
use crate::decode::{DecodeError, Decoder};
use crate::degraded::{Degraded, DegradedSet, UsageMissing};
use crate::dialect::{self, Dialect, Field};
use crate::ending::{Ending, Progress, Verdict, judge};
use crate::endpoint::{Api, Endpoint};
use crate::http::{Media, RequestHead, ResponseHead, is_identity};
use crate::json::{Scanner, Sink, Value};
use crate::outcome::{Mode, Outcome};
use crate::reader::{Event, Hint, Reader};
use crate::record::{Record, Work};
use crate::time::HostTime;
use crate::timing::Timing;
use crate::usage::{Count, Usage};
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
struct Request {
    model: Option<Box<[u8]>>,
    tenant: Option<Box<[u8]>>,
    stream: bool,
    bytes: u64,
    /// Whether the request is to an LLM for sure.
    certain: bool,
}

impl Sink for Request {
    fn value(&mut self, field: Field, value: Value<'_>) {
        match (field, value) {
            (Field::Model, Value::Text { start, len }) if len > 0 => {
                self.model = Some(start.into())
            }
            (Field::Stream, Value::Flag(stream)) => self.stream = stream,
            (Field::Inputs, Value::Text { .. }) => self.certain = true,
            _ => {}
        }
    }
}

/// The body that is being read now.
enum Wire {
    Request(Box<Scanner>),
    Response(Box<Body>),
    /// Nothing that is understood, or nothing any more.
    Ignored,
}

/// The response body: undone from its content coding, then read.
struct Body {
    decoder: Decoder,
    reader: Reader,
}

#[derive(Clone, Copy, Debug)]
struct Response {
    status: u16,
    /// The terminal event, or the end of a whole document, has been read.
    complete: bool,
    /// The end of the body has been seen.
    ended: bool,
    /// The body could not be read, so that nothing but its end tells how it went.
    unread: bool,
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
    fn add(&mut self, gap: Option<Duration>, first_event: bool) {
        if self.first.is_some() || first_event {
            self.zeros = self.zeros.saturating_add(u32::from(!first_event));
        } else {
            self.first = gap;
        }
    }

    /// Each gap.
    pub fn iter(self) -> impl Iterator<Item = Duration> {
        let zeros = usize::try_from(self.zeros).unwrap_or(0);
        self.first.into_iter().chain(std::iter::repeat_n(Duration::ZERO, zeros))
    }
}

impl Observer {
    /// Starts watching; `None` when the request is not to an LLM API that is known.
    pub fn start(at: Option<HostTime>, head: &RequestHead<'_>) -> Option<Self> {
        let endpoint = Endpoint::at(head.method, head.path)?;
        let mut degraded = DegradedSet::default();
        if at.is_none() {
            degraded.insert(Degraded::NoClock);
        }
        let wire = if is_identity(head.content_encoding) {
            Wire::Request(Box::new(Scanner::new(dialect::request())))
        } else {
            degraded.insert(Degraded::RequestEncoding);
            Wire::Ignored
        };
        let request = Request {
            model: endpoint.model.as_deref().map(Into::into),
            tenant: head.tenant.map(Into::into),
            stream: endpoint.streams,
            bytes: 0,
            certain: endpoint.certain,
        };
        Some(Self {
            api: endpoint.api,
            request,
            wire,
            response: None,
            answer: Answer::default(),
            timing: Timing::starting(at),
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
        self.take_facts(head);
        let reader = if head.status >= 400 {
            // Errors are JSON under any content type, or no error body that we know.
            Reader::failure()
        } else {
            let media = Media::of(head.content_type);
            Reader::Undecided(Hint { api: self.api, media, stream: self.request.stream })
        };
        let decoder = Decoder::new(head.content_encoding);
        let unread = decoder.is_none();
        self.wire = decoder
            .map_or(Wire::Ignored, |decoder| Wire::Response(Box::new(Body { decoder, reader })));
        if unread {
            self.degraded.insert(Degraded::ResponseEncoding);
        }
        let (complete, ended) = (false, false);
        self.response = Some(Response { status: head.status, complete, ended, unread });
    }

    /// Whether [`FACT_HEADERS`](crate::FACT_HEADERS) of the response are worth reading.
    pub fn reads_facts(&self) -> bool {
        matches!(self.api, Api::BedrockConverse | Api::BedrockInvoke | Api::Tgi)
    }

    /// What the response head says of an error or of tokens.
    fn take_facts(&mut self, head: &ResponseHead<'_>) {
        let [error, counts @ ..] = head.facts;
        if let Some(error) = error {
            // `ThrottlingException:http://…`
            self.answer.error_name(error.split(|byte| *byte == b':').next().unwrap_or_default());
        }
        let fields = [
            Count::Input,
            Count::Output,
            Count::CacheRead,
            Count::CacheWrite,
            Count::Input,
            Count::Output,
        ];
        for (field, text) in fields.into_iter().zip(counts) {
            let text = text.and_then(|text| std::str::from_utf8(text).ok());
            if let Some(count) = text.and_then(|text| text.trim().parse().ok()) {
                self.answer.reports.last(field, count);
            }
        }
    }

    /// A piece of the response body, possibly empty.
    pub fn response_chunk(&mut self, at: Option<HostTime>, bytes: &[u8], end: End) -> Gaps {
        if !bytes.is_empty() {
            self.timing.byte(at);
        }
        let gaps = self.read(at, bytes, end);
        if end == End::Last {
            self.end_response(at);
        }
        gaps
    }

    fn read(&mut self, at: Option<HostTime>, bytes: &[u8], end: End) -> Gaps {
        let mut gaps = Gaps::default();
        let Self { wire, response, answer, timing, degraded, .. } = self;
        let (Wire::Response(body), Some(response)) = (wire, response) else { return gaps };
        let Body { decoder, reader } = &mut **body;
        let mut on_event = |answer: &mut Answer, event| {
            match event {
                Event::Read { generated, last } => {
                    if generated != Generated::default() {
                        let first = timing.events == 0;
                        gaps.add(timing.generated(at, generated.output), first);
                    }
                    if last {
                        response.complete = true;
                        timing.terminal = timing.terminal.or(at);
                    }
                }
                // Proxies refuse in HTML, and that is nothing that we should have understood.
                Event::Malformed if response.status >= 400 => {}
                Event::Malformed => degraded.insert(Degraded::MalformedJson),
            }
            response.complete |= answer.finish().is_some() && response.status < 400;
        };
        let decoded = decoder.push(bytes, &mut |text| reader.push(text, answer, &mut on_event));
        if end == End::Last && decoded.is_ok() {
            reader.finish(answer, &mut on_event);
        }
        let opaque = reader.is_opaque();
        if let Err(error) = decoded {
            degraded.insert(match error {
                DecodeError::Corrupt => Degraded::ResponseCorrupt,
                DecodeError::TooLarge => Degraded::ResponseTooLarge,
            });
        }
        if opaque {
            degraded.insert(Degraded::ResponseFormat);
        }
        if opaque || decoded.is_err() {
            response.unread = true;
            self.wire = Wire::Ignored;
        }
        gaps
    }

    fn end_response(&mut self, at: Option<HostTime>) {
        let silent = Dialect::of(self.api).ends_silently;
        let Some(response) = &mut self.response else { return };
        response.ended = true;
        // What is not read can only be taken at its word.
        response.complete |= response.unread || (silent && self.timing.events > 0);
        self.timing.terminal = self.timing.terminal.or(at);
    }

    /// The stream is over. Consumes the observer: a stream is recorded once or not at all.
    ///
    /// `None`: the stream turned out to be no LLM traffic.
    pub fn finish(mut self, at: Option<HostTime>, ending: &Ending<'_>) -> Option<Record> {
        if let (Wire::Response(body), Some(response)) = (&mut self.wire, &mut self.response)
            && !response.ended
            && (body.reader.is_stream() == Some(true) || body.reader.is_whole())
        {
            // What the last piece left open, say a `[DONE]` without its blank line; or a client left
            // once it had the whole document, before Envoy had said that nothing follows.
            body.reader.finish(&mut self.answer, &mut |answer, event| {
                let last = matches!(event, Event::Read { last: true, .. });
                response.complete |= last || answer.finish().is_some();
            });
        }
        let verdict = self.verdict(ending);
        self.is_certain().then(|| self.record(at, verdict))
    }

    /// Whether the request is to an LLM for sure.
    pub fn is_certain(&self) -> bool {
        self.request.certain
    }

    fn verdict(&self, ending: &Ending<'_>) -> Verdict {
        let progress = match self.response {
            None => Progress::Nothing,
            Some(Response { status: status @ 400.., .. }) => Progress::Refused(status),
            Some(Response { complete: true, .. }) => Progress::Complete,
            Some(_) => Progress::Begun,
        };
        let fault = match progress {
            // A refusal is an error whatever its body says.
            Progress::Refused(_) => Some(self.answer.fault.as_deref()),
            Progress::Nothing | Progress::Begun | Progress::Complete => {
                self.answer.failed.then_some(self.answer.fault.as_deref())
            }
        };
        judge(progress, self.mode() == Mode::Stream, fault, ending)
    }

    fn mode(&self) -> Mode {
        let accepted = self.response.is_some_and(|response| response.status < 400);
        let streamed = match &self.wire {
            Wire::Response(body) if accepted => body.reader.is_stream(),
            Wire::Request(_) | Wire::Response(..) | Wire::Ignored => None,
        };
        if streamed.unwrap_or(self.request.stream) { Mode::Stream } else { Mode::Unary }
    }

    fn record(&self, at: Option<HostTime>, verdict: Verdict) -> Record {
        let mode = self.mode();
        let stream = mode == Mode::Stream;
        let usage = Usage::new(&self.answer.reports, Dialect::of(self.api()).accounting);
        let tokens = usage.streamed_output(self.answer.reasoning_shown);
        let timed = stream && verdict.outcome != Outcome::Error;
        let accepted = self.response.is_some_and(|response| response.status < 400);
        Record {
            api: self.api(),
            mode,
            outcome: verdict.outcome,
            error: verdict.error,
            model: self.model().map(Into::into),
            response_model: self.answer.model.clone(),
            tenant: self.request.tenant.clone(),
            finish: self.answer.finish(),
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
        let unread = self.response.is_some_and(|response| response.unread);
        Some(match outcome {
            _ if unread => UsageMissing::Unreadable,
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

    /// Whether all of a good answer has been read: an end that Envoy has no flags for is then a clean one,
    /// and nothing else of it matters.
    pub fn is_complete(&self) -> bool {
        self.response.is_some_and(|response| response.complete && response.status < 400)
    }

    /// Whether a good answer has been read to the end of its body, so that nothing of how the connection
    /// ends matters any more. Envoy's flags may then only tell of earlier attempts.
    pub fn is_settled(&self) -> bool {
        self.is_complete() && self.response.is_some_and(|response| response.ended)
    }

    /// Whether the response comes as it is, in no content coding: a short piece of it is read in no time.
    pub fn is_plain(&self) -> bool {
        !matches!(&self.wire, Wire::Response(body) if !body.decoder.is_identity())
    }

    /// How long ago the request came.
    pub fn age(&self, at: Option<HostTime>) -> Option<Duration> {
        self.timing.since_start(at)
    }

    /// Generated events so far.
    pub fn generated_events(&self) -> u64 {
        self.timing.events
    }

    /// What would be recorded if the stream ended now.
    pub fn so_far(&self, at: Option<HostTime>, ending: &Ending<'_>) -> Record {
        self.record(at, self.verdict(ending))
    }

    /// Whether generation has ended: what follows can only be usage and the terminal event.
    pub fn is_finished(&self) -> bool {
        self.answer.finish().is_some()
    }

    /// The requested model, for labels that are needed before the end.
    pub fn model(&self) -> Option<&[u8]> {
        self.request.model.as_deref().or(self.answer.model.as_deref())
    }

    /// The wire API: of the body, where that is not what the path promised.
    pub fn api(&self) -> Api {
        self.answer.api.unwrap_or(self.api)
    }
}

#[cfg(test)]
#[path = "observer/tests.rs"]
mod tests;
