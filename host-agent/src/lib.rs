//! The Gaugeway host agent: joins the gateway's stats, GPU telemetry and the instance price into one
//! metrics page with cost per token.
//!
//! ```text
//! each tick:    envoy, gpu, engines, host, price ─► cost, budgets ─► Snapshot ─► render ─► page
//!               I/O with deadlines, then pure
//! each scrape:  page
//! ```
//!
//! [`Agent`] runs both. A source that fails is `up 0` and its numbers are absent: never stale,
//! never 0.
#![deny(unsafe_code)]

mod agent;
pub mod budget;
mod collect;
pub mod config;
pub mod cost;
pub mod discovery;
pub mod engines;
pub mod envoy;
pub mod envoy_config;
pub mod exposition;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod gpu;
pub mod host;
pub mod http;
mod live;
pub mod logging;
pub mod price;
pub mod render;
mod series;
mod server;
pub mod snapshot;
pub mod state;
pub mod status;
mod summary;

pub use agent::{Agent, StartError};
pub use server::WebConfigError;
