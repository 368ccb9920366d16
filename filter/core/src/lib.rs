//! The pure core of the Gaugeway filter: the bytes and moments of one HTTP stream go in, a [`Record`]
//! of what it cost comes out, and a [`Registry`] turns records into Envoy stats.
//!
//! ```text
//! request head  ─► Observer::start             which API, or not ours at all
//! request body  ─► Observer::request_chunk     json ─► model, stream
//! response head ─► Observer::response_head     status, media type ─► how the body is read
//! response body ─► Observer::response_chunk    reader: sse ─► json ─► dialect ─► Answer, Timing
//! end           ─► Observer::finish            ending ─► Record ─► Registry::record ─► stats
//! ```
//!
//! There is no clock, no host and no I/O here, nothing can fail, and nothing is kept of a body but the
//! one key or value that a cut left unfinished.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod answer;
mod aws;
mod base64;
mod bytes;
mod config;
mod decode;
mod degraded;
mod dialect;
mod ending;
mod endpoint;
mod error;
mod estimate;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod http;
mod inject;
mod json;
mod label;
mod observer;
mod outcome;
mod reader;
mod record;
mod registry;
mod samples;
mod sse;
pub mod stat;
mod state;
mod time;
mod timing;
mod tokens;
mod usage;

pub use config::Config;
pub use degraded::{Degraded, UsageMissing};
pub use ending::Ending;
pub use endpoint::Api;
pub use http::{FACT_HEADERS, RequestHead, ResponseHead};
pub use inject::{UsageEvent, UsageWish};
pub use observer::{End, Gaps, Observer};
pub use outcome::{ErrorClass, FinishReason, Mode, Outcome, Phase, Source};
pub use record::Record;
pub use registry::{Registry, Stats};
pub use state::{STATE_KEYS, Shown};
pub use time::{HostTime, micros};
pub use usage::Usage;
