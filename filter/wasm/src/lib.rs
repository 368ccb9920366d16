//! The filter in Envoy: a thin shell that carries bytes and moments from the host to
//! `gaugeway_core`, and its numbers back.
//!
//! Nothing in it can fail, wait or change a stream. `sys` is the only file with `unsafe` in it.
#![cfg(target_arch = "wasm32")]

mod host;
mod http;
mod inject;
mod root;
mod sys;

mod entry {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(crate::root::Root::default()));
    }}
}
