//! How one request shall go: the text of the `x-sim-plan` header.
//!
//! The client decides and tells the server, so both sides know what to expect.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::{HttpFault, StreamFault};
use crate::outcome::{ErrorClass, Mode, Outcome, Phase};

/// The request header that carries the plan.
pub const PLAN_HEADER: &str = "x-sim-plan";
/// The request header that carries the id under which both sides record the request.
pub const ID_HEADER: &str = "x-sim-id";
/// The request header that fixes the number of output tokens.
pub const OUTPUT_HEADER: &str = "x-sim-output";
/// The request header that asks for a content coding ([`Coding`](crate::Coding)) of the response, as a server chooses
/// it that reads `accept-encoding`.
pub const CODING_HEADER: &str = "x-sim-coding";
/// The request header by which a gateway numbers its attempts from 1; Envoy's name for it.
pub const ATTEMPT_HEADER: &str = "x-envoy-attempt-count";

/// How far a client follows an answer that it does not want to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `request`: it has asked, and no response head comes.
    Request,
    /// `head`: it has the response head, and not a byte of the body.
    Head,
    /// `role`: it has the event that names the role.
    Role,
    /// A number: it has so many generated events.
    Events(u32),
    /// `finish`: it has the finish reason. The answer is whole for it.
    Finish,
    /// `done`: it has `[DONE]`, and does not read the end of the body.
    Done,
}

/// How the first attempt of a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstAttempt {
    /// `503`: an answer that says "overloaded".
    Overloaded,
    /// `reset`: the connection is reset before the response head.
    Reset,
}

/// Every plan in one line, for help and errors.
pub const FORMS: &str = "ok, no_usage, reset, out_of_memory, timeout, abort:K, \
    abort:request|head|role|finish|done, truncate:K, end_early:K, stall:K:MS, error_in_stream:K[:SHAPE], \
    reset_after_headers, reset_in_stream:K, retry_once:503|reset or http:STATUS[:CODE]";

/// How one request shall go. Events are counted from 1 and mean generated events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Plan {
    /// `ok`: a whole answer.
    Ok,
    /// `no_usage`: a whole answer without token counts, even where they were asked for.
    NoUsage,
    /// `abort:K`, `abort:STAGE`: the client leaves after it has read K events, or at a stage. The server waits there.
    Abort(Stage),
    /// `truncate:K`: the server cuts the connection after K events.
    Truncate {
        /// Events that the server sends.
        after: u32,
    },
    /// `stall:K:MS`: the server pauses after event K.
    Stall {
        /// Events before the pause.
        after: u32,
        /// The length of the pause.
        pause: Duration,
    },
    /// `error_in_stream:K[:SHAPE]`: an error event after K events. Without a shape, the model's own style decides.
    ErrorInStream {
        /// Events before the error.
        after: u32,
        /// How the error is written.
        shape: Option<StreamFault>,
    },
    /// `http:STATUS[:CODE]`, `out_of_memory`: an error answer.
    Http(HttpFault),
    /// `reset`: the connection is reset before the response head.
    Reset,
    /// `reset_after_headers`: the connection is reset after the response head and before the first byte of the body.
    ResetAfterHeaders,
    /// `reset_in_stream:K`: the connection is reset after K events. In HTTP/2 it is the stream, as for every cut.
    ResetInStream {
        /// Events that the server sends.
        after: u32,
    },
    /// `end_early:K`: the body ends after K events as HTTP says it must, and the answer is not whole.
    EndEarly {
        /// Events that the server sends.
        after: u32,
    },
    /// `timeout`: the server never answers.
    Timeout,
    /// `retry_once:503`, `retry_once:reset`: the first attempt ([`ATTEMPT_HEADER`]) fails and the others are answered.
    RetryOnce(FirstAttempt),
}

impl Plan {
    /// Whether the plan makes sense for a streamed answer alone.
    pub const fn needs_stream(self) -> bool {
        match self {
            Self::Abort(stage) => !matches!(stage, Stage::Request),
            Self::Truncate { .. }
            | Self::Stall { .. }
            | Self::ErrorInStream { .. }
            | Self::ResetAfterHeaders
            | Self::ResetInStream { .. }
            | Self::EndEarly { .. } => true,
            Self::Ok
            | Self::NoUsage
            | Self::Http(_)
            | Self::Reset
            | Self::Timeout
            | Self::RetryOnce(_) => false,
        }
    }

    /// What a client must see when everybody keeps to the plan.
    pub const fn expected(self) -> Outcome {
        match self {
            Self::Ok
            | Self::NoUsage
            | Self::Stall { .. }
            | Self::RetryOnce(_)
            | Self::Abort(Stage::Finish | Stage::Done) => Outcome::Success,
            Self::Abort(_) => Outcome::ClientAbort,
            Self::Truncate { .. }
            | Self::ResetAfterHeaders
            | Self::ResetInStream { .. }
            | Self::EndEarly { .. } => Outcome::Truncated,
            Self::ErrorInStream { .. } | Self::Http(_) | Self::Reset | Self::Timeout => {
                Outcome::Error
            }
        }
    }

    /// The class and phase of the planned error. Absent where no error is planned, and where the server's style
    /// chooses the shape of an in-stream error: see [`StreamFault::of_style`].
    pub const fn expected_error(self) -> Option<(ErrorClass, Phase)> {
        match self {
            Self::Http(fault) => Some((fault.class(), Phase::BeforeStream)),
            Self::Reset => Some((ErrorClass::UpstreamReset, Phase::BeforeStream)),
            Self::Timeout => Some((ErrorClass::Timeout, Phase::BeforeStream)),
            Self::ErrorInStream { shape: Some(shape), .. } => {
                Some((shape.class(), Phase::InStream))
            }
            _ => None,
        }
    }

    /// The mode that the plan can be carried out in.
    pub const fn mode(self, wanted: Mode) -> Mode {
        if self.needs_stream() { Mode::Stream } else { wanted }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::NoUsage => f.write_str("no_usage"),
            Self::Abort(stage) => write!(f, "abort:{stage}"),
            Self::Truncate { after } => write!(f, "truncate:{after}"),
            Self::Stall { after, pause } => write!(f, "stall:{after}:{}", pause.as_millis()),
            Self::ErrorInStream { after, shape: None } => write!(f, "error_in_stream:{after}"),
            Self::ErrorInStream { after, shape: Some(shape) } => {
                write!(f, "error_in_stream:{after}:{shape}")
            }
            Self::Http(fault) => write!(f, "http:{}:{fault}", fault.status()),
            Self::Reset => f.write_str("reset"),
            Self::ResetAfterHeaders => f.write_str("reset_after_headers"),
            Self::ResetInStream { after } => write!(f, "reset_in_stream:{after}"),
            Self::EndEarly { after } => write!(f, "end_early:{after}"),
            Self::Timeout => f.write_str("timeout"),
            Self::RetryOnce(FirstAttempt::Overloaded) => f.write_str("retry_once:503"),
            Self::RetryOnce(FirstAttempt::Reset) => f.write_str("retry_once:reset"),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("request"),
            Self::Head => f.write_str("head"),
            Self::Role => f.write_str("role"),
            Self::Events(after) => write!(f, "{after}"),
            Self::Finish => f.write_str("finish"),
            Self::Done => f.write_str("done"),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        let mut part = || parts.next();
        let plan = match kind {
            "ok" => Self::Ok,
            "no_usage" => Self::NoUsage,
            "reset" => Self::Reset,
            "out_of_memory" => Self::Http(HttpFault::OutOfMemory),
            "reset_after_headers" => Self::ResetAfterHeaders,
            "reset_in_stream" => Self::ResetInStream { after: number(text, part())? },
            "end_early" => Self::EndEarly { after: number(text, part())? },
            "timeout" => Self::Timeout,
            "retry_once" => Self::RetryOnce(match part() {
                Some("503") => FirstAttempt::Overloaded,
                Some("reset") => FirstAttempt::Reset,
                _ => return Err(format!("plan `{text}`: say how, 503 or reset")),
            }),
            "abort" => Self::Abort(match part() {
                Some("request") => Stage::Request,
                Some("head") => Stage::Head,
                Some("role") => Stage::Role,
                Some("finish") => Stage::Finish,
                Some("done") => Stage::Done,
                events => Stage::Events(number(text, events)?),
            }),
            "truncate" => Self::Truncate { after: number(text, part())? },
            "stall" => Self::Stall {
                after: number(text, part())?,
                pause: Duration::from_millis(number(text, part())?.into()),
            },
            "error_in_stream" => Self::ErrorInStream {
                after: number(text, part())?,
                shape: part().map(str::parse).transpose()?,
            },
            "http" => Self::Http(HttpFault::find(number(text, part())?, part())?),
            _ => {
                return Err(format!("`{text}` is no plan: use {FORMS}"));
            }
        };
        match parts.next() {
            Some(rest) => Err(format!("plan `{text}`: nothing is expected at `{rest}`")),
            None => Ok(plan),
        }
    }
}

fn number(plan: &str, part: Option<&str>) -> Result<u32, String> {
    part.and_then(|part| part.parse().ok())
        .ok_or_else(|| format!("plan `{plan}`: a whole number is missing or wrong"))
}

impl From<Plan> for String {
    fn from(plan: Plan) -> Self {
        plan.to_string()
    }
}

impl TryFrom<String> for Plan {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_survives_its_header() {
        let plans = [
            "ok",
            "no_usage",
            "reset",
            "reset_after_headers",
            "reset_in_stream:4",
            "end_early:2",
            "timeout",
            "retry_once:503",
            "retry_once:reset",
            "abort:3",
            "abort:request",
            "abort:head",
            "abort:role",
            "abort:finish",
            "abort:done",
            "truncate:12",
            "stall:5:800",
            "error_in_stream:7",
            "error_in_stream:7:groq",
            "http:429:insufficient_quota",
            "http:500:out_of_memory",
        ];
        for text in plans {
            assert_eq!(text.parse::<Plan>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn short_forms_mean_the_first_fault_of_their_status() {
        for (short, long) in [
            ("http:429", "http:429:rate_limit_exceeded"),
            ("http:400", "http:400:context_length_exceeded"),
            ("out_of_memory", "http:500:out_of_memory"),
        ] {
            assert_eq!(short.parse::<Plan>(), long.parse::<Plan>());
        }
    }

    #[test]
    fn a_wrong_plan_says_what_is_wrong() {
        for (text, reason) in [
            ("okay", "is no plan"),
            ("stall:5", "a whole number is missing"),
            ("http:418", "418"),
            ("abort:late", "a whole number is missing or wrong"),
            ("retry_once", "503 or reset"),
            ("http:429:bored", "bored"),
            ("error_in_stream:1:morse", "morse"),
            ("ok:1", "nothing is expected at `1`"),
        ] {
            let error = text.parse::<Plan>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
