//! How a stream ended, as Envoy tells it when the stream is over, and the outcome that follows.

use crate::error::{Fault, classify};
use crate::outcome::{ErrorClass, Outcome, Phase};

/// What Envoy knows of a stream's end (attributes `response.flags`, `response.code_details`,
/// `upstream.address`). The default is a clean end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending<'a> {
    /// Envoy's response flags as a bit set.
    pub flags: u64,
    /// Envoy's response code details.
    pub details: &'a [u8],
    /// Whether Envoy chose an upstream host at all.
    pub reached_upstream: bool,
}

/// Bits of `response.flags`: Envoy's `CoreResponseFlag` (envoy/stream_info/stream_info.h).
mod flag {
    pub(super) const NO_HEALTHY_UPSTREAM: u64 = 1 << 1;
    pub(super) const UPSTREAM_REQUEST_TIMEOUT: u64 = 1 << 2;
    pub(super) const LOCAL_RESET: u64 = 1 << 3;
    pub(super) const UPSTREAM_REMOTE_RESET: u64 = 1 << 4;
    pub(super) const UPSTREAM_CONNECTION_FAILURE: u64 = 1 << 5;
    pub(super) const UPSTREAM_CONNECTION_TERMINATION: u64 = 1 << 6;
    pub(super) const UPSTREAM_OVERFLOW: u64 = 1 << 7;
    pub(super) const RATE_LIMITED: u64 = 1 << 11;
    pub(super) const DOWNSTREAM_CONNECTION_TERMINATION: u64 = 1 << 14;
    pub(super) const STREAM_IDLE_TIMEOUT: u64 = 1 << 16;
    pub(super) const UPSTREAM_MAX_STREAM_DURATION: u64 = 1 << 19;
    pub(super) const DURATION_TIMEOUT: u64 = 1 << 22;
    pub(super) const UPSTREAM_PROTOCOL_ERROR: u64 = 1 << 23;
    pub(super) const OVERLOAD_MANAGER: u64 = 1 << 25;
    pub(super) const DNS_FAILURE: u64 = 1 << 26;
    pub(super) const DROP_OVERLOAD: u64 = 1 << 27;
    pub(super) const DOWNSTREAM_REMOTE_RESET: u64 = 1 << 28;
}

impl Ending<'_> {
    fn any(&self, bits: u64) -> bool {
        self.flags & bits != 0
    }

    fn client_left(&self) -> bool {
        self.any(flag::DOWNSTREAM_CONNECTION_TERMINATION | flag::DOWNSTREAM_REMOTE_RESET)
            || self.details.starts_with(b"downstream_remote_disconnect")
            || self.details.starts_with(b"downstream_local_disconnect")
    }

    /// Some ends have words and no flag: `max_duration_timeout` is one.
    fn says(&self, words: &[u8]) -> bool {
        self.details.windows(words.len()).any(|window| window == words)
    }

    fn timed_out(&self) -> bool {
        self.says(b"timeout")
            || self.any(
                flag::UPSTREAM_REQUEST_TIMEOUT
                    | flag::STREAM_IDLE_TIMEOUT
                    | flag::UPSTREAM_MAX_STREAM_DURATION
                    | flag::DURATION_TIMEOUT,
            )
    }

    fn upstream_broke(&self) -> bool {
        self.any(
            flag::LOCAL_RESET
                | flag::UPSTREAM_REMOTE_RESET
                | flag::UPSTREAM_CONNECTION_TERMINATION
                | flag::UPSTREAM_PROTOCOL_ERROR,
        )
    }

    /// The class of an answer that Envoy gave in place of the upstream; `None` when the upstream
    /// itself answered.
    fn envoy_answered(&self) -> Option<ErrorClass> {
        // Flags stay from attempts that were retried, or could not be; the details are the last word.
        if self.details == b"via_upstream" {
            None
        } else if self.timed_out() {
            Some(ErrorClass::Timeout)
        } else if self
            .any(flag::NO_HEALTHY_UPSTREAM | flag::UPSTREAM_CONNECTION_FAILURE | flag::DNS_FAILURE)
        {
            Some(ErrorClass::ConnectFailure)
        } else if self.upstream_broke() && !self.says(b"overflow") {
            Some(ErrorClass::UpstreamReset)
        } else if self.any(flag::UPSTREAM_OVERFLOW | flag::OVERLOAD_MANAGER | flag::DROP_OVERLOAD) {
            Some(ErrorClass::Overloaded)
        } else if self.any(flag::RATE_LIMITED) {
            Some(ErrorClass::RateLimited)
        } else if !self.reached_upstream {
            Some(ErrorClass::LocalReply)
        } else {
            None
        }
    }
}

/// How far an answer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No response headers.
    Nothing,
    /// An answer with this status of 400 or more.
    Refused(u16),
    /// A good status; the body is not complete.
    Begun,
    /// The terminal event or the end of a whole document has been read.
    Complete,
}

/// How a stream ended, and why when that was an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<(ErrorClass, Phase)>,
}

/// Judges a stream. `fault` is an error that the body told of.
pub(crate) fn judge(
    progress: Progress,
    streaming: bool,
    fault: Option<Option<&Fault>>,
    ending: &Ending<'_>,
) -> Verdict {
    let error = |class, phase| Verdict { outcome: Outcome::Error, error: Some((class, phase)) };
    let outcome = |outcome| Verdict { outcome, error: None };
    match (progress, fault) {
        (Progress::Refused(status), fault) => {
            let class =
                ending.envoy_answered().unwrap_or_else(|| classify(status, fault.flatten()));
            error(class, Phase::BeforeStream)
        }
        (Progress::Begun | Progress::Complete, Some(fault)) => {
            let phase = if streaming { Phase::InStream } else { Phase::BeforeStream };
            error(classify(200, fault), phase)
        }
        (Progress::Complete, None) if ending.upstream_broke() && !ending.client_left() => Verdict {
            outcome: Outcome::Success,
            error: Some((ErrorClass::UpstreamReset, Phase::AfterStream)),
        },
        (Progress::Complete, None) => outcome(Outcome::Success),
        (Progress::Nothing | Progress::Begun, _) if ending.client_left() => {
            outcome(Outcome::ClientAbort)
        }
        (Progress::Nothing, _) => {
            error(ending.envoy_answered().unwrap_or(ErrorClass::UpstreamReset), Phase::BeforeStream)
        }
        (Progress::Begun, None) if ending.timed_out() => {
            error(ErrorClass::Timeout, Phase::InStream)
        }
        (Progress::Begun, None) => outcome(Outcome::Truncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(flags: u64) -> Ending<'static> {
        Ending { flags, details: b"", reached_upstream: true }
    }

    #[track_caller]
    fn check(
        progress: Progress,
        flags: u64,
        expected: Outcome,
        error: Option<(ErrorClass, Phase)>,
    ) {
        let verdict = judge(progress, true, None, &ending(flags));
        assert_eq!(verdict, Verdict { outcome: expected, error });
    }

    #[test]
    fn clean_ends() {
        check(Progress::Complete, 0, Outcome::Success, None);
        check(Progress::Begun, 0, Outcome::Truncated, None);
    }

    #[test]
    fn a_disconnect_after_the_terminal_event_is_success() {
        check(Progress::Complete, flag::DOWNSTREAM_CONNECTION_TERMINATION, Outcome::Success, None);
        check(Progress::Begun, flag::DOWNSTREAM_CONNECTION_TERMINATION, Outcome::ClientAbort, None);
        check(Progress::Nothing, flag::DOWNSTREAM_REMOTE_RESET, Outcome::ClientAbort, None);
    }

    #[test]
    fn an_upstream_that_breaks() {
        let reset = Some((ErrorClass::UpstreamReset, Phase::BeforeStream));
        check(Progress::Refused(503), flag::UPSTREAM_REMOTE_RESET, Outcome::Error, reset);
        check(Progress::Begun, flag::UPSTREAM_CONNECTION_TERMINATION, Outcome::Truncated, None);
        let after = Some((ErrorClass::UpstreamReset, Phase::AfterStream));
        check(Progress::Complete, flag::UPSTREAM_CONNECTION_TERMINATION, Outcome::Success, after);
    }

    #[test]
    fn answers_of_envoy_itself() {
        for (flags, class) in [
            (flag::NO_HEALTHY_UPSTREAM, ErrorClass::ConnectFailure),
            (flag::UPSTREAM_CONNECTION_FAILURE, ErrorClass::ConnectFailure),
            (flag::UPSTREAM_OVERFLOW, ErrorClass::Overloaded),
            (flag::UPSTREAM_REQUEST_TIMEOUT, ErrorClass::Timeout),
        ] {
            check(
                Progress::Refused(503),
                flags,
                Outcome::Error,
                Some((class, Phase::BeforeStream)),
            );
        }
        let local = Ending { flags: 0, details: b"direct_response", reached_upstream: false };
        let verdict = judge(Progress::Refused(401), false, None, &local);
        assert_eq!(verdict.error, Some((ErrorClass::LocalReply, Phase::BeforeStream)));
        check(
            Progress::Refused(503),
            0,
            Outcome::Error,
            Some((ErrorClass::Overloaded, Phase::BeforeStream)),
        );
    }

    /// Seen on Envoy 1.40: a retry that the circuit breaker forbids leaves its flag behind.
    #[test]
    fn the_details_outrank_flags_of_earlier_attempts() {
        for (flags, details, class) in [
            (flag::UPSTREAM_OVERFLOW, &b"via_upstream"[..], ErrorClass::Overloaded),
            (
                flag::UPSTREAM_OVERFLOW | flag::UPSTREAM_CONNECTION_TERMINATION,
                b"upstream_reset_before_response_started{connection_termination}",
                ErrorClass::UpstreamReset,
            ),
            (
                flag::UPSTREAM_OVERFLOW,
                b"upstream_reset_before_response_started{overflow}",
                ErrorClass::Overloaded,
            ),
            (0, b"response_timeout", ErrorClass::Timeout),
        ] {
            let ending = Ending { flags, details, reached_upstream: true };
            let verdict = judge(Progress::Refused(503), true, None, &ending);
            assert_eq!(verdict.error, Some((class, Phase::BeforeStream)));
        }
    }

    #[test]
    fn a_timeout_may_have_words_and_no_flag() {
        let ending = Ending { flags: 0, details: b"max_duration_timeout", reached_upstream: true };
        let verdict = judge(Progress::Begun, true, None, &ending);
        assert_eq!(verdict.error, Some((ErrorClass::Timeout, Phase::InStream)));
    }

    #[test]
    fn timeouts_in_a_stream() {
        let timeout = Some((ErrorClass::Timeout, Phase::InStream));
        check(Progress::Begun, flag::STREAM_IDLE_TIMEOUT, Outcome::Error, timeout);
    }

    #[test]
    fn errors_inside_a_200() {
        let verdict = judge(Progress::Complete, true, Some(None), &ending(0));
        assert_eq!(verdict.error, Some((ErrorClass::Other, Phase::InStream)));
        let verdict = judge(Progress::Complete, false, Some(None), &ending(0));
        assert_eq!(verdict.error, Some((ErrorClass::Other, Phase::BeforeStream)));
    }
}
