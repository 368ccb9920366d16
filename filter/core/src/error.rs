//! From what a server said of a failure to one class of the closed set.
//!
//! Machine-readable names come first, then wordings that are known to be specific, then the HTTP
//! status: servers put the same `invalid_request_error` on a bad key, a bad model and a long prompt,
//! and some answer 400 to what others answer 401.

use crate::outcome::ErrorClass;

/// Longest code, type or message that is looked at.
pub(crate) const MAX_NAME: u16 = 64;
/// Longest message prefix that is looked at.
pub(crate) const MAX_MESSAGE: u16 = 256;

/// What a server said of a failure. All texts are lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Machine codes and types, in the order in which they came, each followed by a space.
    pub(crate) names: String,
    /// The start of what is meant for people.
    pub(crate) message: String,
    /// A status that the body itself names.
    pub(crate) status: Option<u16>,
}

impl Fault {
    pub(crate) fn name(&mut self, text: &[u8]) {
        if self.names.len() < usize::from(MAX_NAME) * 3 {
            push_lower(&mut self.names, text);
            self.names.push(' ');
        }
    }

    pub(crate) fn message(&mut self, text: &[u8]) {
        if self.message.len() < usize::from(MAX_MESSAGE) {
            push_lower(&mut self.message, text);
        }
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.status =
            u16::try_from(number).ok().filter(|status| (400..600).contains(status)).or(self.status);
    }
}

fn push_lower(into: &mut String, text: &[u8]) {
    into.extend(text.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
}

/// The class of a failure with this HTTP status (200 for one inside a stream).
pub(crate) fn classify(http_status: u16, fault: Option<&Fault>) -> ErrorClass {
    let Some(fault) = fault else { return by_status(http_status) };
    let status = if http_status >= 400 { Some(http_status) } else { fault.status };
    find(NAMES, &fault.names)
        .or_else(|| find(WORDINGS, &fault.message))
        // "Too many tokens, please wait" is a rate limit, not a long prompt.
        .or_else(|| find(CONTEXT_WORDINGS, &fault.message).filter(|_| status != Some(429)))
        .or_else(|| status.map(by_status))
        .or_else(|| find(WEAK_NAMES, &fault.names))
        .unwrap_or(ErrorClass::Other)
}

fn find(table: &[(&str, ErrorClass)], text: &str) -> Option<ErrorClass> {
    table.iter().find(|(needle, _)| text.contains(needle)).map(|(_, class)| *class)
}

fn by_status(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::Auth,
        402 => ErrorClass::QuotaExceeded,
        403 => ErrorClass::Permission,
        404 => ErrorClass::NotFound,
        408 | 504 => ErrorClass::Timeout,
        424 => ErrorClass::GenerationFailed,
        429 => ErrorClass::RateLimited,
        498 | 503 | 529 => ErrorClass::Overloaded,
        400..=499 => ErrorClass::InvalidRequest,
        500..=599 => ErrorClass::Upstream5xx,
        _ => ErrorClass::Other,
    }
}

use ErrorClass as C;

/// Codes and types that say enough by themselves. First match wins.
const NAMES: &[(&str, ErrorClass)] = &[
    ("context_length", C::ContextLength),
    ("context_window", C::ContextLength),
    ("exceed_context", C::ContextLength),
    ("too_many_prompt_tokens", C::ContextLength),
    ("insufficient_quota", C::QuotaExceeded),
    ("billing", C::QuotaExceeded),
    ("spend_limit", C::QuotaExceeded),
    ("insufficient_balance", C::QuotaExceeded),
    // Google's quotas per minute are rate limits, and its message speaks of quota.
    ("resource_exhausted", C::RateLimited),
    ("rate_limit", C::RateLimited),
    ("ratelimit", C::RateLimited),
    ("throttl", C::RateLimited),
    ("too_many_requests", C::RateLimited),
    ("content_filter", C::ContentFilter),
    ("content_policy", C::ContentFilter),
    ("responsibleai", C::ContentFilter),
    ("invalid_api_key", C::Auth),
    ("api_key_invalid", C::Auth),
    ("authentication", C::Auth),
    ("expiredtoken", C::Auth),
    ("unrecognizedclient", C::Auth),
    ("unauthenticated", C::Auth),
    ("unauthorized", C::Auth),
    ("permission", C::Permission),
    ("accessdenied", C::Permission),
    ("model_not_found", C::NotFound),
    ("not_found", C::NotFound),
    ("notfound", C::NotFound),
    ("invalid_model", C::NotFound),
    ("overloaded", C::Overloaded),
    ("unavailable", C::Overloaded),
    ("insufficient_system_resource", C::Overloaded),
    ("tool_use_failed", C::GenerationFailed),
    ("timeout", C::Timeout),
    ("deadline_exceeded", C::Timeout),
];

/// Wordings that outrank the status.
const WORDINGS: &[(&str, ErrorClass)] = &[
    ("out of memory", C::OutOfMemory),
    ("outofmemory", C::OutOfMemory),
    ("requires more system memory", C::OutOfMemory),
    ("api key not valid", C::Auth),
    ("invalid api key", C::Auth),
    ("incorrect api key", C::Auth),
    ("exceeded your current quota", C::QuotaExceeded),
    ("credit balance is too low", C::QuotaExceeded),
    ("insufficient balance", C::QuotaExceeded),
    ("not a valid model", C::NotFound),
    ("model identifier is invalid", C::NotFound),
    ("model not found", C::NotFound),
    ("does not exist", C::NotFound),
    ("failed to decode, try again", C::Overloaded),
    ("overloaded", C::Overloaded),
];

/// How servers say that the prompt does not fit.
const CONTEXT_WORDINGS: &[(&str, ErrorClass)] = &[
    ("maximum context length", C::ContextLength),
    ("context window", C::ContextLength),
    ("context limit", C::ContextLength),
    ("available context size", C::ContextLength),
    ("max context length", C::ContextLength),
    ("prompt is too long", C::ContextLength),
    ("input is too long", C::ContextLength),
    ("input tokens exceeded", C::ContextLength),
    ("input token count", C::ContextLength),
    ("too many tokens", C::ContextLength),
    ("token limit reached", C::ContextLength),
    ("total length of all messages is too long", C::ContextLength),
    ("`inputs` tokens + `max_new_tokens` must be", C::ContextLength),
];

/// Names that only repeat a status, for failures that have none.
const WEAK_NAMES: &[(&str, ErrorClass)] = &[
    ("invalid_request", C::InvalidRequest),
    ("badrequest", C::InvalidRequest),
    ("server_error", C::Upstream5xx),
    ("servererror", C::Upstream5xx),
    ("api_error", C::Upstream5xx),
    ("generation", C::GenerationFailed),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, names: &[&str], message: &str, class: ErrorClass) {
        let mut fault = Fault::default();
        names.iter().for_each(|name| fault.name(name.as_bytes()));
        fault.message(message.as_bytes());
        assert_eq!(classify(status, Some(&fault)), class);
    }

    #[test]
    fn the_status_decides_where_nothing_else_is_said() {
        for (status, class) in [
            (400, C::InvalidRequest),
            (401, C::Auth),
            (402, C::QuotaExceeded),
            (403, C::Permission),
            (404, C::NotFound),
            (413, C::InvalidRequest),
            (429, C::RateLimited),
            (500, C::Upstream5xx),
            (502, C::Upstream5xx),
            (503, C::Overloaded),
            (504, C::Timeout),
            (529, C::Overloaded),
            (200, C::Other),
        ] {
            assert_eq!(classify(status, None), class, "{status}");
        }
    }

    #[test]
    fn names_outrank_the_status_unless_they_are_weak() {
        check(429, &["insufficient_quota"], "", C::QuotaExceeded);
        check(429, &["tokens", "rate_limit_exceeded"], "", C::RateLimited);
        check(400, &["invalid_request_error", "context_length_exceeded"], "", C::ContextLength);
        check(401, &["invalid_request_error"], "", C::Auth);
        check(400, &["BadRequestError"], "", C::InvalidRequest);
        check(400, &["exceed_context_size_error"], "", C::ContextLength);
    }

    #[test]
    fn wordings() {
        let long = "This model's maximum context length is 4096 tokens.";
        check(400, &["BadRequestError"], long, C::ContextLength);
        check(
            500,
            &["InternalServerError"],
            "CUDA out of memory. Tried to allocate",
            C::OutOfMemory,
        );
        check(400, &["invalid-argument"], "Incorrect API key provided: xx", C::Auth);
        check(429, &["ThrottlingException"], "Too many tokens, please wait", C::RateLimited);
        check(429, &[], "Too many tokens, please wait", C::RateLimited);
        check(400, &[], "too many tokens: size limit exceeded", C::ContextLength);
    }

    #[test]
    fn inside_a_stream_the_body_names_the_status() {
        let mut fault = Fault::default();
        fault.number(503);
        assert_eq!(classify(200, Some(&fault)), C::Overloaded);
        fault.number(7);
        assert_eq!(classify(200, Some(&fault)), C::Overloaded);
        check(200, &["server_error"], "The server had an error", C::Upstream5xx);
        check(200, &[], "", C::Other);
    }
}
