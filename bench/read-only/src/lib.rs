//! What a filter costs that reads each piece of a response and the clock, and makes nothing of them: written
//! with the Rust SDK, as most filters are. `gaugeway-bench envoy` sets the filter beside it.
#![cfg(target_arch = "wasm32")]
#![expect(missing_docs, reason = "the macro exports a function without any")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::hint::black_box;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_body(&mut self, size: usize, _end_of_stream: bool) -> Action {
        black_box(self.get_http_response_body(0, size));
        black_box(self.get_current_time());
        Action::Continue
    }
}
