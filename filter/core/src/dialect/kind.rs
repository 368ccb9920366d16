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

impl Kind {
    /// The kind that a type's name says, over all APIs: their names do not collide.
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"error" | b"response.failed" => Self::Error,
            b"message_stop"
            | b"message-end"
            | b"stream-end"
            | b"response.completed"
            | b"response.incomplete"
            | b"transcript.text.done"
            | b"speech.audio.done"
            | b"image_generation.completed"
            | b"image_edit.completed" => Self::Last,
            b"response.output_item.added" => Self::ItemBegins,
            b"response.function_call_arguments.done"
            | b"response.custom_tool_call_input.done"
            | b"response.mcp_call_arguments.done" => Self::WholeItem,
            _ if name.ends_with(b".delta") => {
                if name.starts_with(b"response.reasoning") {
                    Self::ReasoningDelta
                } else {
                    Self::Delta
                }
            }
            _ => Self::Plain,
        }
    }
}

/// The normalised form of what servers write; `None` for what says that there is no end yet.
pub(crate) fn finish_reason(raw: &[u8]) -> Option<FinishReason> {
    let lower = raw.to_ascii_lowercase();
    Some(match lower.as_slice() {
        b""
        | b"null"
        | b"not_finished"
        | b"none"
        | b"in_progress"
        | b"queued"
        | b"incomplete"
        | b"failed"
        | b"finish_reason_unspecified" => return None,
        b"stop" | b"end_turn" | b"stop_sequence" | b"complete" | b"completed" | b"eos"
        | b"eos_token" | b"done" | b"pause_turn" | b"finish" => FinishReason::Stop,
        b"length" | b"max_tokens" | b"model_length" | b"max_output_tokens" => FinishReason::Length,
        b"tool_calls" | b"tool_use" | b"tool_call" | b"function_call" => FinishReason::ToolCalls,
        b"content_filter"
        | b"content_filtered"
        | b"safety"
        | b"recitation"
        | b"prohibited_content"
        | b"blocklist"
        | b"spii"
        | b"image_safety"
        | b"model_armor"
        | b"guardrail_intervened"
        | b"intervened"
        | b"refusal"
        | b"sensitive" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    })
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
