//! The filter in the harness: streams as short as tests want them.

use crate::build;
use gaugeway_harness::{Action, End, Finished, Module, Stream, Vm, VmError};
use std::fs;

/// A request and its response, as far as they matter to the filter.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// `:path`.
    pub path: &'a str,
    /// The request body.
    pub request: &'a [u8],
    /// `:status`.
    pub status: &'a str,
    /// Response headers besides the status.
    pub headers: &'a [(&'a str, &'a str)],
}

impl Exchange<'_> {
    /// A streamed chat.
    pub const CHAT: Self = Self {
        path: "/v1/chat/completions",
        request: br#"{"model":"m","stream":true}"#,
        status: "200",
        headers: &[("content-type", "text/event-stream")],
    };

    /// Opens a stream up to and with the response headers. What the guest answers must be Continue.
    ///
    /// # Errors
    /// When the guest has trapped.
    pub fn open<'vm>(&self, vm: &'vm Vm) -> Result<Stream<'vm>, VmError> {
        let mut stream = vm.stream();
        stream.set_property(&["xds", "cluster_name"], "upstream");
        let head = [(":method", "POST"), (":path", self.path), ("x-team", "blue")];
        stream.request_headers(&head, End::More)?;
        stream.request_body(self.request, End::Last)?;
        stream.set_property(&["upstream", "address"], "127.0.0.1:8000");
        let status = [(":status", self.status)];
        stream.response_headers(&[&status, self.headers].concat(), End::More)?;
        Ok(stream)
    }

    /// A whole stream, with its body in these pieces.
    ///
    /// # Errors
    /// When the guest has trapped.
    pub fn run<'a>(
        &self,
        vm: &Vm,
        body: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Finished, VmError> {
        let mut stream = self.open(vm)?;
        for piece in body {
            stream.response_body(piece, End::More)?;
        }
        end(stream)
    }
}

/// Ends a stream as a complete one, and asserts that the guest never held it.
///
/// # Errors
/// When the guest has trapped.
pub fn end(mut stream: Stream<'_>) -> Result<Finished, VmError> {
    stream.response_body(b"", End::Last)?;
    stream.set_property(&["response", "flags"], 0_u64.to_le_bytes());
    stream.set_property(&["response", "code_details"], "via_upstream");
    let finished = stream.finish()?;
    for callback in &finished.callbacks {
        assert_ne!(callback.action, Some(Action::Pause), "{} held the stream", callback.name);
    }
    Ok(finished)
}

/// The filter, compiled.
pub fn module() -> Module {
    let wasm = fs::read(build::filter()).expect("the filter is built");
    Module::load(&wasm).expect("a host can load it")
}
