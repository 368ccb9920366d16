//! The filter in Envoy: a thin shell that carries bytes and moments from the host to
//! `gaugeway_core`, and its numbers back.
//!
//! Nothing in it can fail, wait or change a stream. `entry` holds the exports, `sys` the imports;
//! there is no `unsafe` but theirs.
#![cfg(target_arch = "wasm32")]

mod backlog;
mod entry;
mod host;
mod http;
mod inject;
mod root;
mod sys;
