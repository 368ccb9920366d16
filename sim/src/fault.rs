//! The errors that a server can be asked for, each with the class that the metrics contract gives it.

use crate::outcome::{ErrorClass, spelled};
use crate::profile::Style;

spelled! {
    /// An error answer, before any stream. The spelling is the `code` of the OpenAI body.
    HttpFault {
        /// 400: the prompt does not fit.
        ContextLength "context_length_exceeded"
        /// 400: a value out of range.
        InvalidValue "invalid_value"
        /// 401: a bad key.
        InvalidKey "invalid_api_key"
        /// 403: a key without the right.
        Forbidden "forbidden"
        /// 404: no such model.
        ModelNotFound "model_not_found"
        /// 429: too fast.
        RateLimit "rate_limit_exceeded"
        /// 429: nothing left to spend.
        Quota "insufficient_quota"
        /// 500: something broke.
        ServerError "server_error"
        /// 500: the GPU's memory ran out.
        OutOfMemory "out_of_memory"
        /// 502: the HTML page of a proxy in between.
        BadGateway "bad_gateway"
        /// 503: no room at the moment.
        Overloaded "overloaded"
    }
}

impl HttpFault {
    /// The HTTP status it is sent with.
    pub const fn status(self) -> u16 {
        match self {
            Self::ContextLength | Self::InvalidValue => 400,
            Self::InvalidKey => 401,
            Self::Forbidden => 403,
            Self::ModelNotFound => 404,
            Self::RateLimit | Self::Quota => 429,
            Self::ServerError | Self::OutOfMemory => 500,
            Self::BadGateway => 502,
            Self::Overloaded => 503,
        }
    }

    /// The class that a gateway must give it.
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::ContextLength => ErrorClass::ContextLength,
            Self::InvalidValue => ErrorClass::InvalidRequest,
            Self::InvalidKey => ErrorClass::Auth,
            Self::Forbidden => ErrorClass::Permission,
            Self::ModelNotFound => ErrorClass::NotFound,
            Self::RateLimit => ErrorClass::RateLimited,
            Self::Quota => ErrorClass::QuotaExceeded,
            Self::ServerError | Self::BadGateway => ErrorClass::Upstream5xx,
            Self::OutOfMemory => ErrorClass::OutOfMemory,
            Self::Overloaded => ErrorClass::Overloaded,
        }
    }

    /// The fault with this status and code; without a code, the first one with this status.
    pub(crate) fn find(status: u32, code: Option<&str>) -> Result<Self, String> {
        let mut of_status =
            Self::ALL.iter().copied().filter(|fault| u32::from(fault.status()) == status);
        of_status.find(|fault| code.is_none_or(|code| code == fault.as_str())).ok_or_else(|| {
            let known: Vec<_> =
                Self::ALL.iter().map(|fault| format!("{}:{fault}", fault.status())).collect();
            let code = code.map(|code| format!(":{code}")).unwrap_or_default();
            format!("`http:{status}{code}` is none of http:{}", known.join(", http:"))
        })
    }
}

spelled! {
    /// How an error is written into a stream that began with 200.
    StreamFault {
        /// An error object with code 500, then `[DONE]`.
        Vllm "vllm"
        /// An error object of type `server_error`, and nothing after it.
        OpenAi "openai"
        /// llama.cpp's error object, numeric code first, then `[DONE]`.
        LlamaCpp "llamacpp"
        /// `event: error`, a tool call that the model did not manage, and nothing after it.
        Groq "groq"
        /// An error inside an otherwise ordinary chunk that also states usage, then `[DONE]`.
        OpenRouter "openrouter"
        /// vLLM's error object with the words of a GPU whose memory ran out, then `[DONE]`.
        OutOfMemory "out_of_memory"
    }
}

impl StreamFault {
    /// The class that a gateway must give it.
    pub const fn class(self) -> ErrorClass {
        match self {
            Self::Vllm | Self::OpenAi | Self::LlamaCpp | Self::OpenRouter => {
                ErrorClass::Upstream5xx
            }
            Self::Groq => ErrorClass::GenerationFailed,
            Self::OutOfMemory => ErrorClass::OutOfMemory,
        }
    }

    /// Whether `[DONE]` follows, which is why `[DONE]` proves no success.
    pub const fn then_done(self) -> bool {
        match self {
            Self::Vllm | Self::LlamaCpp | Self::OpenRouter | Self::OutOfMemory => true,
            Self::OpenAi | Self::Groq => false,
        }
    }

    /// Whether the event states the usage so far.
    pub const fn states_usage(self) -> bool {
        matches!(self, Self::OpenRouter)
    }

    /// The shape that a server of this style writes by itself.
    pub const fn of_style(style: Style) -> Self {
        match style {
            Style::OpenAi => Self::OpenAi,
            Style::Vllm => Self::Vllm,
            Style::LlamaCpp => Self::LlamaCpp,
        }
    }
}
