//! The numbers of proxy-wasm ABI 0.2.1 (proxy-wasm/spec, `abi-versions/v0.2.1`).

use std::fmt;

/// What a host call answers. All thirteen of them: an SDK that knows fewer meets the rest in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Status {
    /// The call did what was asked.
    Ok = 0,
    /// There is no such key, property, metric or queue.
    NotFound = 1,
    /// An argument is out of range, or what it names cannot be read now.
    BadArgument = 2,
    /// A value could not be serialized.
    SerializationFailure = 3,
    /// A value could not be parsed.
    ParseFailure = 4,
    /// An expression did not evaluate.
    BadExpression = 5,
    /// A pointer or length leaves the guest's memory.
    InvalidMemoryAccess = 6,
    /// A queue is empty.
    Empty = 7,
    /// The compare-and-swap number is not the current one.
    CasMismatch = 8,
    /// A result has another type than expected.
    ResultMismatch = 9,
    /// The host failed.
    InternalFailure = 10,
    /// The connection is gone.
    BrokenConnection = 11,
    /// The host does not offer this.
    Unimplemented = 12,
}

impl Status {
    /// Every status, in the order of its number.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::NotFound,
        Self::BadArgument,
        Self::SerializationFailure,
        Self::ParseFailure,
        Self::BadExpression,
        Self::InvalidMemoryAccess,
        Self::Empty,
        Self::CasMismatch,
        Self::ResultMismatch,
        Self::InternalFailure,
        Self::BrokenConnection,
        Self::Unimplemented,
    ];

    pub(crate) const fn code(self) -> u32 {
        self as u32
    }
}

/// What Envoy does with the stream after an HTTP callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The headers or bytes go on at once.
    Continue,
    /// They are held until the guest calls `proxy_continue_stream` or lets a later chunk go on.
    Pause,
}

/// Whether more of this direction follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More follows, or nobody knows yet that nothing does.
    More,
    /// Envoy sets the end flag with these headers or this chunk.
    Last,
}

impl End {
    pub(crate) const fn flag(self) -> u32 {
        match self {
            Self::More => 0,
            Self::Last => 1,
        }
    }
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// 0
    Trace = 0,
    /// 1
    Debug = 1,
    /// 2; also what the guest writes to stdout.
    Info = 2,
    /// 3
    Warn = 3,
    /// 4; also what the guest writes to stderr, panic messages among it.
    Error = 4,
    /// 5
    Critical = 5,
}

impl LogLevel {
    pub(crate) const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            5 => Self::Critical,
            _ => return None,
        })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// The direction of a header map or body within a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// Header maps by their ABI number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapType {
    Headers(Side),
    Trailers(Side),
    /// Maps of HTTP and gRPC calls that the guest itself makes: none is ever open here.
    Callout,
}

impl MapType {
    pub(crate) const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Headers(Side::Request),
            1 => Self::Trailers(Side::Request),
            2 => Self::Headers(Side::Response),
            3 => Self::Trailers(Side::Response),
            4..=7 => Self::Callout,
            _ => return None,
        })
    }
}

/// Buffers by their ABI number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BufferType {
    Body(Side),
    /// Network data, gRPC messages and call data: always there in Envoy, always empty here.
    Empty,
    HttpCallBody,
    VmConfiguration,
    PluginConfiguration,
}

impl BufferType {
    pub(crate) const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Body(Side::Request),
            1 => Self::Body(Side::Response),
            2 | 3 | 5 | 8 => Self::Empty,
            4 => Self::HttpCallBody,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            _ => return None,
        })
    }
}

/// A length as the guest counts it. Nothing longer than 4 GiB fits into a 32-bit guest anyway.
pub(crate) fn size32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
