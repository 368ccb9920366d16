//! How a request can end, in the words of the metrics contract, written down independently of the filter.

/// Declares an enum whose members have one spelling each, on the wire, in JSON and in tables.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident $spelling:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$member_doc])* #[serde(rename = $spelling)] $member,)* }

        impl $name {
            /// All members, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$member),*];

            /// The member's spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $spelling,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|member| member.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|member| member.as_str()).collect();
                    format!("`{text}` is none of {}", known.join(", "))
                })
            }
        }
    };
}
pub(crate) use spelled;

spelled! {
    /// How a request as a whole ended, as its client sees it.
    Outcome {
        /// The whole answer came.
        Success "success"
        /// An error answer, an error inside the stream, or no answer.
        Error "error"
        /// The client left before the end.
        ClientAbort "client_abort"
        /// The stream ended without its terminal event and without an error.
        Truncated "truncated"
    }
}

spelled! {
    /// What the request asked for.
    Mode {
        /// `"stream": true`.
        Stream "stream"
        /// One answer in one piece.
        Unary "unary"
    }
}

spelled! {
    /// When an error reached the client.
    Phase {
        /// Instead of an answer.
        BeforeStream "before_stream"
        /// After the response head said 200.
        InStream "in_stream"
        /// After the terminal event.
        AfterStream "after_stream"
    }
}

spelled! {
    /// Why a request failed.
    ErrorClass {
        /// Credentials are missing or wrong.
        Auth "auth"
        /// Credentials are good, access is not granted.
        Permission "permission"
        /// Too many requests or tokens in a span of time.
        RateLimited "rate_limited"
        /// The account has nothing left to spend.
        QuotaExceeded "quota_exceeded"
        /// The server has no room at the moment.
        Overloaded "overloaded"
        /// The prompt is longer than the model's context.
        ContextLength "context_length"
        /// The request itself is wrong.
        InvalidRequest "invalid_request"
        /// A safety system refused.
        ContentFilter "content_filter"
        /// No such model or path.
        NotFound "not_found"
        /// The model did not manage what was asked.
        GenerationFailed "generation_failed"
        /// It took too long.
        Timeout "timeout"
        /// The server failed.
        Upstream5xx "upstream_5xx"
        /// GPU or host memory ran out.
        OutOfMemory "out_of_memory"
        /// The connection to the server broke.
        UpstreamReset "upstream_reset"
        /// The server could not be reached.
        ConnectFailure "connect_failure"
        /// The gateway answered by itself.
        LocalReply "local_reply"
        /// None of the above.
        Other "other"
    }
}
