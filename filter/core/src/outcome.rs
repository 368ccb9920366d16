//! How a stream ended: the closed sets that become label values.

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Every member.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}
pub(crate) use closed_set;

closed_set! {
    /// How a stream as a whole ended.
    Outcome {
        /// The answer is complete.
        Success = "success",
        /// The server, the gateway or the request was at fault.
        Error = "error",
        /// The client left before the terminal event.
        ClientAbort = "client_abort",
        /// The stream ended without its terminal event.
        Truncated = "truncated",
    }
}

closed_set! {
    /// Streamed or in one piece.
    Mode {
        /// A streamed answer.
        Stream = "stream",
        /// An answer in one piece.
        Unary = "unary",
    }
}

closed_set! {
    /// Why generation ended.
    FinishReason {
        /// A natural end or a stop sequence.
        Stop = "stop",
        /// The token limit.
        Length = "length",
        /// The model calls a tool.
        ToolCalls = "tool_calls",
        /// A safety system cut in.
        ContentFilter = "content_filter",
        /// Anything else that was said.
        Other = "other",
    }
}

closed_set! {
    /// Why a stream failed.
    ErrorClass {
        /// Credentials missing or wrong.
        Auth = "auth",
        /// Credentials fine, not allowed.
        Permission = "permission",
        /// Too many requests in too short a time.
        RateLimited = "rate_limited",
        /// The account's quota or balance is used up.
        QuotaExceeded = "quota_exceeded",
        /// The server has no room now.
        Overloaded = "overloaded",
        /// The prompt does not fit.
        ContextLength = "context_length",
        /// The request is wrong.
        InvalidRequest = "invalid_request",
        /// The prompt or answer was filtered.
        ContentFilter = "content_filter",
        /// No such model or path.
        NotFound = "not_found",
        /// The model failed at its task.
        GenerationFailed = "generation_failed",
        /// Something took too long.
        Timeout = "timeout",
        /// The server failed.
        Upstream5xx = "upstream_5xx",
        /// GPU or host memory ran out.
        OutOfMemory = "out_of_memory",
        /// The upstream connection broke.
        UpstreamReset = "upstream_reset",
        /// The upstream could not be reached.
        ConnectFailure = "connect_failure",
        /// Envoy answered by itself.
        LocalReply = "local_reply",
        /// Anything else.
        Other = "other",
    }
}

closed_set! {
    /// When an error came, seen from the client.
    Phase {
        /// Instead of an answer.
        BeforeStream = "before_stream",
        /// After HTTP 200 was sent.
        InStream = "in_stream",
        /// After the terminal event.
        AfterStream = "after_stream",
    }
}

closed_set! {
    /// Where a token count comes from.
    Source {
        /// The server said so.
        Reported = "reported",
        /// Worked out from events and bytes.
        Estimated = "estimated",
    }
}
