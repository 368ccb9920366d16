//! What the client saw of one answer, and when: the definitions of the metrics contract, from the user's side.

use std::time::Duration;

use tokio::time::Instant;

use super::chunk::Chunk;
use super::classify::{self, ErrorWords};
use super::sse::SseReader;
use crate::outcome::{ErrorClass, Outcome, Phase};
use crate::plan::Stage;
use crate::served::Usage;

/// One answer as it arrives.
#[derive(Debug)]
pub(super) struct Watch {
    t0: Instant,
    reader: SseReader,
    pub(super) status: Option<u16>,
    pub(super) usage: Option<Usage>,
    pub(super) generated_events: u64,
    events: u64,
    first_byte: Option<Instant>,
    first_generated: Option<Instant>,
    first_output: Option<Instant>,
    last_generated: Option<Instant>,
    max_gap: Option<Duration>,
    saw_reasoning: bool,
    saw_finish: bool,
    terminal: Option<Instant>,
    error: Option<ErrorClass>,
}

/// How reading an answer stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The body ended as HTTP says it must.
    End,
    /// The connection broke.
    Broken,
    /// No connection could be had.
    Unreachable,
    /// This client left, as planned.
    Left,
    /// This client lost its patience.
    TimedOut,
}

/// An answer's outcome, with the class and phase of an error.
pub(super) type Verdict = (Outcome, Option<(ErrorClass, Phase)>);

impl Watch {
    /// Starts the clock: the request is handed to the socket now.
    pub(super) fn start() -> Self {
        Self {
            t0: Instant::now(),
            reader: SseReader::default(),
            status: None,
            usage: None,
            generated_events: 0,
            events: 0,
            first_byte: None,
            first_generated: None,
            first_output: None,
            last_generated: None,
            max_gap: None,
            saw_reasoning: false,
            saw_finish: false,
            terminal: None,
            error: None,
        }
    }

    /// Bytes of any body have arrived now.
    pub(super) fn touched(&mut self, now: Instant) {
        self.first_byte.get_or_insert(now);
    }

    /// Bytes of an event stream have arrived now.
    pub(super) fn stream_bytes(&mut self, bytes: &[u8], now: Instant) {
        let mut reader = std::mem::take(&mut self.reader);
        reader.push(bytes, |data| self.event(data, now));
        self.reader = reader;
    }

    fn event(&mut self, data: &str, now: Instant) {
        self.events += 1;
        if data == "[DONE]" {
            self.terminal.get_or_insert(now);
            return;
        }
        // What is no chunk carries nothing that is measured here.
        let Ok(chunk) = serde_json::from_str::<Chunk>(data) else { return };
        self.common(&chunk);
        let mut generated = false;
        let mut output = false;
        for choice in &chunk.choices {
            generated |= choice.has_output() || choice.has_reasoning();
            output |= choice.has_output();
            self.saw_reasoning |= choice.has_reasoning();
        }
        if output {
            self.first_output.get_or_insert(now);
        }
        if generated {
            self.generated_events += 1;
            self.first_generated.get_or_insert(now);
            if let Some(last) = self.last_generated.replace(now) {
                self.max_gap = self.max_gap.max(Some(now.duration_since(last)));
            }
        }
    }

    /// A whole unary body has arrived.
    pub(super) fn unary_body(&mut self, body: &[u8]) {
        match serde_json::from_slice::<Chunk>(body) {
            Ok(chunk) => {
                self.common(&chunk);
                self.saw_finish = true;
            }
            Err(_) => self.error = Some(ErrorClass::Other),
        }
    }

    /// The whole body of an error answer has arrived.
    pub(super) fn error_body(&mut self, status: u16, body: &[u8]) {
        self.error = Some(classify::of_answer(status, &ErrorWords::from_body(body)));
    }

    fn common(&mut self, chunk: &Chunk) {
        if let Some(usage) = &chunk.usage {
            self.usage = Some(usage.into());
        }
        if let Some(error) = chunk.error.as_ref().filter(|error| !error.is_null()) {
            self.error.get_or_insert_with(|| classify::of_event(&ErrorWords::from_error(error)));
        }
        self.saw_finish |= chunk.choices.iter().any(|choice| choice.finish_reason.is_some());
    }

    /// Whether the answer has come as far as a stage. The event of the role is the first one.
    pub(super) fn reached(&self, stage: Stage) -> bool {
        match stage {
            Stage::Request | Stage::Head => true,
            Stage::Role => self.events > 0,
            Stage::Events(events) => self.generated_events >= u64::from(events),
            Stage::Finish => self.saw_finish,
            Stage::Done => self.terminal.is_some(),
        }
    }

    /// How it ended, given how reading stopped. A client that leaves with the finish reason has the whole answer.
    pub(super) fn verdict(&self, stop: Stop) -> Verdict {
        let phase = match self.status {
            Some(200) => Phase::InStream,
            Some(_) | None => Phase::BeforeStream,
        };
        let error = |class| (Outcome::Error, Some((class, phase)));
        if let Some(class) = self.error {
            return error(class);
        }
        if self.terminal.is_some() || (self.saw_finish && matches!(stop, Stop::End | Stop::Left)) {
            return (Outcome::Success, None);
        }
        match (stop, self.status) {
            (Stop::Left, _) => (Outcome::ClientAbort, None),
            (Stop::TimedOut, _) => error(ErrorClass::Timeout),
            (Stop::Unreachable, _) => error(ErrorClass::ConnectFailure),
            (Stop::End | Stop::Broken, Some(200)) => (Outcome::Truncated, None),
            (Stop::End | Stop::Broken, _) => error(ErrorClass::UpstreamReset),
        }
    }

    /// Microseconds since the request was handed over.
    fn since_start(&self, moment: Instant) -> u64 {
        micros(moment.duration_since(self.t0))
    }

    pub(super) fn ttfb_us(&self) -> Option<u64> {
        self.first_byte.map(|moment| self.since_start(moment))
    }

    pub(super) fn ttft_us(&self) -> Option<u64> {
        self.first_generated.map(|moment| self.since_start(moment))
    }

    pub(super) fn ttfo_us(&self) -> Option<u64> {
        self.first_output.map(|moment| self.since_start(moment))
    }

    pub(super) fn max_stall_us(&self) -> Option<u64> {
        self.max_gap.map(micros)
    }

    /// The terminal event, else `end`.
    pub(super) fn duration_us(&self, end: Instant) -> u64 {
        self.since_start(self.terminal.unwrap_or(end))
    }

    /// Time per streamed token after the first. Absent without a reported token count, with fewer than two events
    /// or tokens, and after an error.
    pub(super) fn tpot_us(&self) -> Option<u64> {
        if self.error.is_some() || self.generated_events < 2 {
            return None;
        }
        let usage = self.usage?;
        let hidden = if self.saw_reasoning { 0 } else { usage.reasoning.unwrap_or(0) };
        let gaps = usage.output.checked_sub(hidden)?.checked_sub(1)?;
        let span = self.last_generated?.duration_since(self.first_generated?);
        micros(span).checked_div(gaps)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "watch/tests.rs"]
mod tests;
