//! The Gaugeway host agent: joins the gateway's stats, GPU telemetry and the instance price into one
//! metrics page with cost per token.
//!
//! ```text
//! each tick:    envoy, gpu ─► cost ─► Snapshot       I/O with deadlines, then pure
//! each scrape:  Snapshot ─► render                   pure
//! ```
//!
//! [`Agent`] runs both. A source that fails is `up 0` and its numbers are absent: never stale,
//! never 0.
#![forbid(unsafe_code)]

mod agent;
mod collect;
pub mod config;
pub mod cost;
pub mod envoy;
pub mod exposition;
pub mod gpu;
pub mod logging;
pub mod render;
mod server;
pub mod snapshot;
mod summary;

pub use agent::{Agent, StartError};
