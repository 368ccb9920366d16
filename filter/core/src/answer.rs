//! What a response has said so far.

use crate::dialect::{Field, Kind, finish_code, finish_reason};
use crate::endpoint::Api;
use crate::error::Fault;
use crate::json::{Sink, Value};
use crate::outcome::FinishReason;
use crate::usage::Reports;

/// The facts of one response, gathered over all of its events.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The first model name that came.
    pub(crate) model: Option<Box<[u8]>>,
    pub(crate) reports: Reports,
    finish: Option<FinishReason>,
    /// What was said of an error, if anything was; `failed` says whether it is one.
    pub(crate) fault: Option<Box<Fault>>,
    pub(crate) failed: bool,
    /// The API that the body turned out to be of, where the path was wrong.
    pub(crate) api: Option<Api>,
    /// Bytes of generated text, as they stood in JSON strings.
    pub(crate) content_bytes: u64,
    /// Whether reasoning was shown.
    pub(crate) reasoning_shown: bool,
    /// Whether a filter kept the prompt or parts of the answer back.
    blocked: bool,
    /// Whether the item that is being generated has come in deltas.
    deltas: bool,
    event: Event,
}

/// What the event that is being read holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Event {
    generated: Generated,
    kind: Kind,
    delta: bool,
    item_name: bool,
    whole_item: bool,
    part_text: bool,
    part_thought: bool,
    last: bool,
}

/// Which generated payloads an event holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generated {
    /// Text, refusal, tool call, audio.
    pub(crate) output: bool,
    /// Reasoning.
    pub(crate) reasoning: bool,
}

impl Event {
    /// Whether generated text has come, in whatever place.
    pub(crate) fn has_text(self) -> bool {
        self.generated != Generated::default() || self.delta || self.part_text
    }
}

impl Answer {
    /// Ends the event: what it held, whether it is the terminal one, and a clean slate for the next.
    pub(crate) fn end_event(&mut self) -> (Generated, bool) {
        self.end_part();
        let Event { mut generated, kind, delta, item_name, whole_item, last, .. } =
            std::mem::take(&mut self.event);
        match kind {
            Kind::Delta => generated.output |= delta,
            Kind::ReasoningDelta => generated.reasoning |= delta,
            Kind::ItemBegins => {
                generated.output |= item_name;
                self.deltas = false;
            }
            // LM Studio sends a call's arguments whole, without deltas before.
            Kind::WholeItem => generated.output |= whole_item && !self.deltas,
            Kind::Error => self.failed = true,
            Kind::Plain | Kind::Last => {}
        }
        self.deltas |= kind == Kind::Delta;
        self.reasoning_shown |= generated.reasoning;
        (generated, last || kind == Kind::Last)
    }

    /// Why generation ended, once that has been said.
    pub(crate) fn finish(&self) -> Option<FinishReason> {
        self.finish.or_else(|| self.blocked.then_some(FinishReason::ContentFilter))
    }

    fn end_part(&mut self) {
        let event = &mut self.event;
        if std::mem::take(&mut event.part_text) {
            event.generated.reasoning |= event.part_thought;
            event.generated.output |= !event.part_thought;
        }
        event.part_thought = false;
    }

    /// What the unfinished event holds so far.
    pub(crate) fn event(&self) -> Event {
        self.event
    }

    /// Goes on as if the unfinished event had been read as far as `event`, with so many bytes of text.
    pub(crate) fn resume(&mut self, event: Event, text: u64) {
        self.event = event;
        self.add_text(text);
    }

    /// Whether nothing has been said but generated text, the kinds of events, and a model.
    pub(crate) fn is_plain(&self) -> bool {
        let silent = self.reports == Reports::default() && self.finish.is_none();
        silent && !self.failed && self.fault.is_none() && self.api.is_none() && !self.blocked
    }

    fn add_text(&mut self, bytes: u64) {
        self.content_bytes = self.content_bytes.saturating_add(bytes);
    }

    fn fault(&mut self) -> &mut Fault {
        self.fault.get_or_insert_default()
    }

    /// Takes a machine-readable name of an error that came outside the body.
    pub(crate) fn error_name(&mut self, name: &[u8]) {
        self.fault().name(name);
    }

    /// Counts a generated payload; whether there is one.
    fn payload(&mut self, value: Value<'_>) -> bool {
        let bytes = match value {
            Value::Text { len, .. } => len,
            // Tool arguments as an object instead of text.
            Value::Object => 1,
            Value::Array | Value::Count(_) | Value::NoCount | Value::Flag(_) | Value::Null => 0,
        };
        self.add_text(u64::try_from(bytes).unwrap_or(u64::MAX));
        bytes > 0
    }
}

impl Sink for Answer {
    fn value(&mut self, field: Field, value: Value<'_>) {
        match (field, value) {
            (Field::Output, _) => self.event.generated.output |= self.payload(value),
            (Field::Reasoning, _) => self.event.generated.reasoning |= self.payload(value),
            (Field::Delta, _) => self.event.delta |= self.payload(value),
            (Field::WholeItem, Value::Text { len, .. }) => self.event.whole_item |= len > 0,
            (Field::ItemName, Value::Text { len, .. }) => self.event.item_name |= len > 0,
            (Field::Part, Value::Object) => self.end_part(),
            (Field::PartText, _) => self.event.part_text |= self.payload(value),
            (Field::PartThought, Value::Flag(thought)) => self.event.part_thought = thought,
            (Field::Kind, Value::Text { start, .. }) => self.event.kind = Kind::of(start),
            (Field::Last, Value::Flag(last)) => self.event.last |= last,
            (Field::Usage(count), Value::Count(tokens)) => self.reports.last(count, tokens),
            (Field::Largest(count), Value::Count(tokens)) => self.reports.largest(count, tokens),
            (Field::Fallback(count), Value::Count(tokens)) => self.reports.fallback(count, tokens),
            // Of several choices the first counts.
            (Field::Finish, Value::Text { start, .. }) => {
                self.finish = self.finish.or_else(|| finish_reason(start));
            }
            (Field::Finish, Value::Count(code)) => {
                self.finish = self.finish.or_else(|| finish_code(code));
            }
            (Field::Blocked, Value::Text { start: b"NONE", .. }) => {}
            (Field::Blocked, Value::Text { .. } | Value::Count(1..)) => self.blocked = true,
            (Field::Model, Value::Text { start, len }) if self.model.is_none() && len > 0 => {
                self.model = Some(start.into());
            }
            (Field::Error, Value::Object) => self.failed = true,
            (Field::Error, Value::Text { start, len }) if len > 0 => {
                self.failed = true;
                self.fault().message(start);
            }
            (Field::ErrorName, Value::Text { start, .. }) => self.fault().name(start),
            (Field::ErrorName, Value::Count(number)) => self.fault().number(number),
            (Field::ErrorMessage, Value::Text { start, .. }) => self.fault().message(start),
            (Field::OpenAiChat, Value::Array) => self.api = Some(Api::OpenAiChat),
            _ => {}
        }
    }
}
