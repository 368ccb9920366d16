//! What the server did for one request: the ground truth.

use serde::{Deserialize, Serialize};

use crate::outcome::{Mode, spelled};
use crate::plan::Plan;

/// The token counts that a server states. Input includes cached, output includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// The part of the input that came from the prefix cache, where the server said so.
    pub cached: Option<u64>,
    /// The part of the output that was reasoning, where the server said so.
    pub reasoning: Option<u64>,
}

spelled! {
    /// How the server's side of a request ended.
    ServedEnd {
        /// Everything was handed to the socket.
        Complete "complete"
        /// The peer closed the connection first.
        ClientGone "client_gone"
        /// The server cut the connection inside the answer, by plan or because it was shut down.
        Truncated "truncated"
        /// An error answer or an error event was sent, or the connection was reset before the head.
        Error "error"
    }
}

/// One finished request, as the server knows it. Times are microseconds since the request's head was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The request's `x-sim-id`, else `anonymous-N`.
    pub id: String,
    /// The model that was asked for.
    pub model: String,
    /// The request path, for example `/v1/chat/completions`.
    pub path: String,
    /// What the request asked for.
    pub mode: Mode,
    /// The plan that was followed.
    pub plan: Plan,
    /// The status sent; absent when the connection was reset before the head.
    pub status: Option<u16>,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Output tokens whose events were handed to the socket.
    pub output_tokens_sent: u64,
    /// The usage that was written to the wire.
    pub usage_reported: Option<Usage>,
    /// When the first generated event, or the whole answer of a unary request, was handed to the socket.
    pub first_event_us: Option<u64>,
    /// When the last generated event, or the whole answer of a unary request, was handed to the socket.
    pub last_event_us: Option<u64>,
    /// Generated events handed to the socket. A unary answer has none.
    pub generated_events: u64,
    /// How it ended.
    pub end: ServedEnd,
}
