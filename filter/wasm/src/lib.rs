//! The proxy-wasm shell.
#![cfg(target_arch = "wasm32")]
