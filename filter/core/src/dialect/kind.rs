//! The names that APIs give to their events and ends.

use crate::outcome::FinishReason;

/// What kind of event a `type` names, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing that the event's fields do not tell by themselves.
    #[default]
    Plain,
    /// `delta` is generated text, tool input or audio.
    Delta,
    /// `delta` is reasoning.
    ReasoningDelta,
    /// An item begins; the name of a tool is generated.
    ItemBegins,
    /// The whole of a tool's input, after its deltas or instead of them.
    WholeItem,
    /// The terminal event.
    Last,
    /// The terminal event of a failed stream, or an error event.
    Error,
}

/// Event types that mean something, over all APIs: their names do not collide.
const KINDS: &[(&str, Kind)] = &[
    ("error", Kind::Error),
    ("response.failed", Kind::Error),
    ("message_stop", Kind::Last),
    ("message-end", Kind::Last),
    ("stream-end", Kind::Last),
    ("response.completed", Kind::Last),
    ("response.incomplete", Kind::Last),
    ("transcript.text.done", Kind::Last),
    ("speech.audio.done", Kind::Last),
    ("image_generation.completed", Kind::Last),
    ("image_edit.completed", Kind::Last),
    ("response.output_item.added", Kind::ItemBegins),
    ("response.function_call_arguments.done", Kind::WholeItem),
    ("response.custom_tool_call_input.done", Kind::WholeItem),
    ("response.mcp_call_arguments.done", Kind::WholeItem),
];

impl Kind {
    /// The kind that a type's name says.
    pub(crate) fn of(name: &[u8]) -> Self {
        if name.ends_with(b".delta") {
            let reasoning = name.starts_with(b"response.reasoning");
            return if reasoning { Self::ReasoningDelta } else { Self::Delta };
        }
        find(KINDS, name).unwrap_or_default()
    }
}

fn find<T: Copy>(table: &[(&str, T)], name: &[u8]) -> Option<T> {
    table.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, meaning)| *meaning)
}

/// What servers write, in lower case. `None` says that there is no end yet.
const REASONS: &[(&str, Option<FinishReason>)] = &[
    ("", None),
    ("null", None),
    ("none", None),
    ("not_finished", None),
    ("in_progress", None),
    ("queued", None),
    ("incomplete", None),
    ("failed", None),
    ("finish_reason_unspecified", None),
    ("stop", Some(FinishReason::Stop)),
    ("end_turn", Some(FinishReason::Stop)),
    ("stop_sequence", Some(FinishReason::Stop)),
    ("complete", Some(FinishReason::Stop)),
    ("completed", Some(FinishReason::Stop)),
    ("eos", Some(FinishReason::Stop)),
    ("eos_token", Some(FinishReason::Stop)),
    ("done", Some(FinishReason::Stop)),
    ("pause_turn", Some(FinishReason::Stop)),
    ("finish", Some(FinishReason::Stop)),
    ("length", Some(FinishReason::Length)),
    ("max_tokens", Some(FinishReason::Length)),
    ("model_length", Some(FinishReason::Length)),
    ("max_output_tokens", Some(FinishReason::Length)),
    ("tool_calls", Some(FinishReason::ToolCalls)),
    ("tool_use", Some(FinishReason::ToolCalls)),
    ("tool_call", Some(FinishReason::ToolCalls)),
    ("function_call", Some(FinishReason::ToolCalls)),
    ("content_filter", Some(FinishReason::ContentFilter)),
    ("content_filtered", Some(FinishReason::ContentFilter)),
    ("safety", Some(FinishReason::ContentFilter)),
    ("recitation", Some(FinishReason::ContentFilter)),
    ("prohibited_content", Some(FinishReason::ContentFilter)),
    ("blocklist", Some(FinishReason::ContentFilter)),
    ("spii", Some(FinishReason::ContentFilter)),
    ("image_safety", Some(FinishReason::ContentFilter)),
    ("model_armor", Some(FinishReason::ContentFilter)),
    ("guardrail_intervened", Some(FinishReason::ContentFilter)),
    ("refusal", Some(FinishReason::ContentFilter)),
    ("sensitive", Some(FinishReason::ContentFilter)),
];

/// The normalised form of what servers write; `None` for what says that there is no end yet.
pub(crate) fn finish_reason(raw: &[u8]) -> Option<FinishReason> {
    find(REASONS, &raw.to_ascii_lowercase()).unwrap_or(Some(FinishReason::Other))
}

/// Vertex writes enums as numbers when it is asked to (`FinishReason` of
/// google/cloud/aiplatform/v1/content.proto).
pub(crate) fn finish_code(code: u64) -> Option<FinishReason> {
    Some(match code {
        0 => return None,
        1 => FinishReason::Stop,
        2 => FinishReason::Length,
        3 | 4 | 6 | 7 | 8 => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (name, kind) in [
            ("response.output_text.delta", Kind::Delta),
            ("response.reasoning_summary_text.delta", Kind::ReasoningDelta),
            ("response.completed", Kind::Last),
            ("message_stop", Kind::Last),
            ("content_block_delta", Kind::Plain),
            ("error", Kind::Error),
        ] {
            assert_eq!(Kind::of(name.as_bytes()), kind, "{name}");
        }
    }

    #[test]
    fn finish_reasons() {
        for (raw, reason) in [
            ("STOP", Some(FinishReason::Stop)),
            ("COMPLETE", Some(FinishReason::Stop)),
            ("max_output_tokens", Some(FinishReason::Length)),
            ("TOOL_CALL", Some(FinishReason::ToolCalls)),
            ("SAFETY", Some(FinishReason::ContentFilter)),
            ("model_context_window_exceeded", Some(FinishReason::Other)),
            ("null", None),
            ("in_progress", None),
        ] {
            assert_eq!(finish_reason(raw.as_bytes()), reason, "{raw}");
        }
    }
}
