//! What one stream came to.

use crate::degraded::{DegradedSet, UsageMissing};
use crate::endpoint::Api;
use crate::outcome::{ErrorClass, FinishReason, Mode, Outcome, Phase};
use crate::usage::Usage;
use std::time::Duration;

/// One finished stream. Texts are as they came: labels are made from them elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The wire API.
    pub api: Api,
    /// Streamed or in one piece.
    pub mode: Mode,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, and when, if something failed. With outcome `success` it came after the terminal event.
    pub error: Option<(ErrorClass, Phase)>,
    /// The requested model, else the one that answered.
    pub model: Option<Box<[u8]>>,
    /// The model that answered.
    pub response_model: Option<Box<[u8]>>,
    /// The tenant header's value.
    pub tenant: Option<Box<[u8]>>,
    /// Why generation ended.
    pub finish: Option<FinishReason>,
    /// Request headers to the terminal event or the end.
    pub duration: Option<Duration>,
    /// Request headers to the first byte of the body; streams only.
    pub ttfb: Option<Duration>,
    /// Request headers to the first generated event; streams only.
    pub ttft: Option<Duration>,
    /// Request headers to the first generated event that is not reasoning; streams only.
    pub ttfo: Option<Duration>,
    /// Time per output token after the first; streams with reported usage only.
    pub tpot: Option<Duration>,
    /// Largest gap between generated events; streams only.
    pub max_stall: Option<Duration>,
    /// Reported tokens, inclusive.
    pub usage: Usage,
    /// Reported output tokens that came down the stream.
    pub streamed_output: Option<u64>,
    /// Why no usage was reported, where one was due.
    pub usage_missing: Option<UsageMissing>,
    /// What an estimate can be made from; `None` when the upstream did not take the request on.
    pub(crate) work: Option<Work>,
    pub(crate) degraded: DegradedSet,
}

/// What was seen of an answer besides its own count of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Generated events.
    pub(crate) events: u64,
    /// Bytes of generated text.
    pub(crate) content_bytes: u64,
    /// Bytes of the request body.
    pub(crate) request_bytes: u64,
}
