//! What class of error the client was given, from the status and the words alone; the plan is not consulted.

use serde::Deserialize;
use serde_json::Value;

use crate::outcome::ErrorClass;

/// The parts of an error that say what it is, as far as it has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorWords {
    code: String,
    kind: String,
    message: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: Value,
}

impl ErrorWords {
    /// From the value of an `error` key: an object, or a sentence.
    pub(super) fn from_error(error: &Value) -> Self {
        let word = |key| match error.get(key) {
            Some(Value::String(text)) => text.to_lowercase(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let message = error.as_str().map_or_else(|| word("message"), str::to_lowercase);
        Self { code: word("code"), kind: word("type"), message }
    }

    /// From a whole body, JSON or not.
    pub(super) fn from_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(body) => Self::from_error(&body.error),
            Err(_) => {
                let message = String::from_utf8_lossy(body).to_lowercase();
                Self { message, ..Self::default() }
            }
        }
    }

    fn says(&self, phrase: &str) -> bool {
        self.message.contains(phrase)
    }

    /// What the words alone give away, whatever the status.
    fn by_words(&self) -> Option<ErrorClass> {
        let context =
            ["maximum context length", "context size", "context window", "prompt is too long"];
        let code = match self.code.as_str() {
            "context_length_exceeded" => Some(ErrorClass::ContextLength),
            "insufficient_quota" => Some(ErrorClass::QuotaExceeded),
            "tool_use_failed" => Some(ErrorClass::GenerationFailed),
            "content_filter" => Some(ErrorClass::ContentFilter),
            _ => None,
        };
        if self.says("out of memory") {
            Some(ErrorClass::OutOfMemory)
        } else if code.is_some() {
            code
        } else if self.kind == "insufficient_quota" {
            Some(ErrorClass::QuotaExceeded)
        } else if context.iter().any(|phrase| self.says(phrase)) {
            Some(ErrorClass::ContextLength)
        } else {
            None
        }
    }
}

/// The class of an error answer.
pub(super) fn of_answer(status: u16, words: &ErrorWords) -> ErrorClass {
    // The gateway's own words when its upstream hung up or could not be reached.
    if status == 503 && words.says("upstream connect error") {
        return match words.says("connection failure") {
            true => ErrorClass::ConnectFailure,
            false => ErrorClass::UpstreamReset,
        };
    }
    words.by_words().unwrap_or_else(|| of_status(status))
}

/// The class of an error event inside a stream. Its numeric code, if any, is the status it would have had.
pub(super) fn of_event(words: &ErrorWords) -> ErrorClass {
    words.by_words().unwrap_or_else(|| match words.code.parse::<u16>() {
        Ok(status) => of_status(status),
        Err(_) if words.kind.contains("server_error") => ErrorClass::Upstream5xx,
        Err(_) if words.kind.contains("invalid_request") => ErrorClass::InvalidRequest,
        Err(_) => ErrorClass::Other,
    })
}

const fn of_status(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::Auth,
        402 => ErrorClass::QuotaExceeded,
        403 => ErrorClass::Permission,
        404 => ErrorClass::NotFound,
        408 | 504 => ErrorClass::Timeout,
        429 => ErrorClass::RateLimited,
        400..=499 => ErrorClass::InvalidRequest,
        503 | 529 => ErrorClass::Overloaded,
        500..=599 => ErrorClass::Upstream5xx,
        _ => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{HttpFault, StreamFault};
    use crate::profile::{ModelProfile, Style};
    use crate::script::Event;
    use crate::served::Usage;
    use crate::wire::{self, Api, StreamWriter};

    #[test]
    fn every_planned_answer_is_read_as_what_it_was_meant_to_be() {
        for style in Style::ALL {
            for fault in HttpFault::ALL {
                let (_, body) = wire::error_body(*fault, *style);
                let class = of_answer(fault.status(), &ErrorWords::from_body(body.as_bytes()));
                assert_eq!(class, fault.class(), "{style} {body}");
            }
        }
    }

    #[test]
    fn every_planned_event_is_read_as_what_it_was_meant_to_be() {
        let writer = StreamWriter::new(Api::Chat, &ModelProfile::default(), "1", 0, true);
        for fault in StreamFault::ALL {
            let event = writer.write(Event::Fault(*fault, Usage::default()));
            let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let body: ErrorBody = serde_json::from_str(data).unwrap();
            let class = of_event(&ErrorWords::from_error(&body.error));
            assert_eq!(class, fault.class(), "{event}");
        }
    }

    #[test]
    fn the_gateways_own_words_are_understood() {
        for (reason, class) in [
            ("reset reason: connection termination", ErrorClass::UpstreamReset),
            (
                "reset reason: remote connection failure, transport failure reason: delayed connect error",
                ErrorClass::ConnectFailure,
            ),
        ] {
            let body =
                format!("upstream connect error or disconnect/reset before headers. {reason}");
            assert_eq!(of_answer(503, &ErrorWords::from_body(body.as_bytes())), class);
        }
    }
}
