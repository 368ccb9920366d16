//! What a response has said so far.

use crate::dialect::Field;
use crate::error::Fault;
use crate::json::{Sink, Value};
use crate::outcome::FinishReason;
use crate::usage::Usage;

/// The facts of one response, gathered over all of its events.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The first model name that came.
    pub(crate) model: Option<Box<[u8]>>,
    pub(crate) usage: Usage,
    pub(crate) finish: Option<FinishReason>,
    /// What was said of an error, if anything was; `failed` says whether it is one.
    pub(crate) fault: Option<Box<Fault>>,
    pub(crate) failed: bool,
    /// Bytes of generated text, as they stood in JSON strings.
    pub(crate) content_bytes: u64,
    /// Whether reasoning was shown.
    pub(crate) reasoning_shown: bool,
    /// What the event that is being read holds.
    event: Generated,
}

/// Which generated payloads an event holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generated {
    /// Text, refusal, tool call, audio.
    pub(crate) output: bool,
    /// Reasoning.
    pub(crate) reasoning: bool,
}

impl Answer {
    /// Ends the event: what it held, and a clean slate for the next.
    pub(crate) fn end_event(&mut self) -> Generated {
        let event = std::mem::take(&mut self.event);
        self.reasoning_shown |= event.reasoning;
        event
    }

    fn fault(&mut self) -> &mut Fault {
        self.fault.get_or_insert_default()
    }

    /// Length of a generated payload; `None` when there is none.
    fn payload(value: Value<'_>) -> Option<usize> {
        match value {
            Value::Text { len, .. } => Some(len).filter(|len| *len > 0),
            // Tool arguments as an object instead of text.
            Value::Object => Some(0),
            Value::Array | Value::Count(_) | Value::NoCount | Value::Flag(_) | Value::Null => None,
        }
    }

    fn generated(&mut self, bytes: usize) {
        self.content_bytes =
            self.content_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

impl Sink<Field> for Answer {
    fn value(&mut self, field: Field, value: Value<'_>) {
        match (field, value) {
            (Field::Output | Field::Reasoning, _) => {
                let Some(bytes) = Self::payload(value) else { return };
                self.event.output |= field == Field::Output;
                self.event.reasoning |= field == Field::Reasoning;
                self.generated(bytes);
            }
            (Field::Usage(count), Value::Count(tokens)) => self.usage.report(count, tokens),
            (Field::Finish, Value::Text { start, .. }) => {
                self.finish = finish_reason(start).or(self.finish);
            }
            (Field::Model, Value::Text { start, len }) if self.model.is_none() && len > 0 => {
                self.model = Some(start.into());
            }
            (Field::Error, Value::Object) => self.failed = true,
            (Field::Error, Value::Text { start, len }) if len > 0 => {
                self.failed = true;
                self.fault().message(start);
            }
            (Field::Object, Value::Text { start: b"error", .. }) => self.failed = true,
            (Field::ErrorName, Value::Text { start, .. }) => self.fault().name(start),
            (Field::ErrorName, Value::Count(number)) => self.fault().number(number),
            (Field::ErrorMessage, Value::Text { start, .. }) => self.fault().message(start),
            _ => {}
        }
    }
}

/// The normalised form of what servers write; `None` for the empty text, which says nothing.
fn finish_reason(raw: &[u8]) -> Option<FinishReason> {
    Some(match raw {
        b"" => return None,
        b"stop" | b"eos" | b"eos_token" | b"stop_sequence" => FinishReason::Stop,
        b"length" | b"max_tokens" | b"model_length" => FinishReason::Length,
        b"tool_calls" | b"function_call" => FinishReason::ToolCalls,
        b"content_filter" | b"sensitive" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    })
}
