//! One HTTP stream: callbacks in Envoy's order, each under Envoy's rules of what can be read in it.

use std::collections::BTreeMap;

use wasmtime::{WasmParams, WasmResults};

use crate::abi::{Action, End, Side, size32};
use crate::context::{Context, Hold, LocalResponse};
use crate::error::VmError;
use crate::headers::HeaderMap;
use crate::state::ROOT;
use crate::vm::{Vm, property_path};

/// A stream in flight. Dropped without [`Self::finish`] it stays open in the guest, as one does that is
/// in flight when Envoy ends.
pub struct Stream<'vm> {
    vm: &'vm Vm,
    id: u32,
    callbacks: Vec<Callback>,
}

/// One callback that the guest has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Its export's name: `proxy_on_response_body`.
    pub name: &'static str,
    /// What it returned; `None` where Envoy takes no answer.
    pub action: Option<Action>,
    /// Fuel that it burnt.
    pub fuel: u64,
}

/// What became of a stream.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Every callback that ran, in order.
    pub callbacks: Vec<Callback>,
    /// Filter state by the path that the guest gave; Envoy puts `wasm.` in front. Elements of a longer
    /// path are joined by NUL, which no access log format can name.
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// The first call or callback that held or changed the traffic, or tried to.
    pub touched_by: Option<&'static str>,
    /// The reply that the guest gave itself.
    pub local_response: Option<LocalResponse>,
    /// Headers as they went to the upstream; `None` when there were none.
    pub request_headers: Option<HeaderMap>,
    /// Body as it went to the upstream, without what the guest still holds.
    pub request_body: Vec<u8>,
    /// Headers as they went to the client; `None` when there were none.
    pub response_headers: Option<HeaderMap>,
    /// Body as it went to the client, without what the guest still holds.
    pub response_body: Vec<u8>,
}

impl Finished {
    /// Whether the guest only watched: no header or byte changed or held, every callback Continue.
    pub const fn passthrough(&self) -> bool {
        self.touched_by.is_none()
    }

    /// Fuel of all callbacks together.
    pub fn fuel(&self) -> u64 {
        self.callbacks.iter().map(|callback| callback.fuel).sum()
    }
}

impl<'vm> Stream<'vm> {
    pub(crate) const fn new(vm: &'vm Vm, id: u32) -> Self {
        Self { vm, id, callbacks: Vec::new() }
    }

    /// `decodeHeaders`: the first thing that the guest hears of a stream.
    ///
    /// # Errors
    /// This and all other callbacks: [`VmError::Trap`] when the guest traps, [`VmError::Dead`] when it
    /// has trapped before, [`VmError::Export`] when it exports the callback with another type.
    pub fn request_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: &[(N, V)],
        end: End,
    ) -> Result<Action, VmError> {
        self.create()?;
        self.with(|context| context.started = true);
        self.headers(Side::Request, "proxy_on_request_headers", HeaderMap::new(headers), end)
    }

    /// `decodeData`.
    ///
    /// # Errors
    /// As [`Self::request_headers`].
    pub fn request_body(&mut self, chunk: &[u8], end: End) -> Result<Action, VmError> {
        self.body(Side::Request, "proxy_on_request_body", chunk, end)
    }

    /// `decodeTrailers`.
    ///
    /// # Errors
    /// As [`Self::request_headers`].
    pub fn request_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        trailers: &[(N, V)],
    ) -> Result<Action, VmError> {
        self.trailers(Side::Request, "proxy_on_request_trailers", HeaderMap::new(trailers))
    }

    /// `encodeHeaders`; the status is the header `:status`.
    ///
    /// # Errors
    /// As [`Self::request_headers`].
    pub fn response_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: &[(N, V)],
        end: End,
    ) -> Result<Action, VmError> {
        self.headers(Side::Response, "proxy_on_response_headers", HeaderMap::new(headers), end)
    }

    /// `encodeData`. A chunked HTTP/1 upstream ends with an empty chunk and [`End::Last`].
    ///
    /// # Errors
    /// As [`Self::request_headers`].
    pub fn response_body(&mut self, chunk: &[u8], end: End) -> Result<Action, VmError> {
        self.body(Side::Response, "proxy_on_response_body", chunk, end)
    }

    /// `encodeTrailers`.
    ///
    /// # Errors
    /// As [`Self::request_headers`].
    pub fn response_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        trailers: &[(N, V)],
    ) -> Result<Action, VmError> {
        self.trailers(Side::Response, "proxy_on_response_trailers", HeaderMap::new(trailers))
    }

    /// Ends the stream wherever it is, as completion, a reset or an abort does: `log`, then `onDestroy`,
    /// so `proxy_on_log`, `proxy_on_done`, `proxy_on_delete`. A stream without request headers is one
    /// that Envoy answered before the filter; its context is made for the log phase alone.
    ///
    /// # Errors
    /// As [`Self::request_headers`].
    pub fn finish(mut self) -> Result<Finished, VmError> {
        self.create()?;
        self.with(|context| context.logging = true);
        self.run::<_, ()>("proxy_on_log", (self.id,))?;
        self.with(|context| context.logging = false);
        self.run::<_, u32>("proxy_on_done", (self.id,))?;
        self.run::<_, ()>("proxy_on_delete", (self.id,))?;
        let context = self.vm.inner().state().contexts.remove(&self.id).unwrap_or_default();
        let text = |path: Vec<u8>| String::from_utf8_lossy(&path).into_owned();
        Ok(Finished {
            callbacks: self.callbacks,
            filter_state: context.filter_state.into_iter().map(|(k, v)| (text(k), v)).collect(),
            touched_by: context.touched_by,
            local_response: context.local_response,
            request_headers: context.request.headers.map,
            request_body: context.request.body.forwarded,
            response_headers: context.response.headers.map,
            response_body: context.response.body.forwarded,
        })
    }

    /// Sets a property of this stream, as raw bytes: numbers are 8 bytes, little-endian. Envoy knows
    /// `upstream.address`, say, only from some moment on; what is set when is the caller's to say.
    pub fn set_property(&self, path: &[&str], value: impl Into<Vec<u8>>) {
        let value = value.into();
        self.with(|context| context.properties.insert(property_path(path), value));
    }

    /// Takes a property away.
    pub fn remove_property(&self, path: &[&str]) {
        self.with(|context| context.properties.remove(&property_path(path)));
    }

    /// Filter state that the guest has written so far under this path.
    pub fn filter_state(&self, path: &str) -> Option<Vec<u8>> {
        self.with(|context| context.filter_state.get(path.as_bytes()).cloned()).flatten()
    }

    /// Callbacks so far.
    pub fn callbacks(&self) -> &[Callback] {
        &self.callbacks
    }

    fn headers(
        &mut self,
        side: Side,
        name: &'static str,
        map: HeaderMap,
        end: End,
    ) -> Result<Action, VmError> {
        if !self.started() {
            return Ok(Action::Continue);
        }
        let count = size32(map.len());
        self.with(|context| context.half(side).open_headers(map, end));
        let action = self.ask(name, (self.id, count, end.flag()))?;
        self.with(|context| context.half(side).close_headers(action));
        Ok(action)
    }

    fn body(
        &mut self,
        side: Side,
        name: &'static str,
        chunk: &[u8],
        end: End,
    ) -> Result<Action, VmError> {
        if !self.started() {
            return Ok(Action::Continue);
        }
        let size = self.with(|context| {
            let half = context.half(side);
            if half.hold == Hold::Headers {
                half.body.buffer.extend_from_slice(chunk);
                return None;
            }
            half.open_body(chunk, end);
            Some(size32(half.body.buffer.len()))
        });
        let Some(size) = size.flatten() else { return Ok(Action::Pause) };
        let action = self.ask(name, (self.id, size, end.flag()))?;
        self.with(|context| context.half(side).close_body(action));
        Ok(action)
    }

    fn trailers(
        &mut self,
        side: Side,
        name: &'static str,
        map: HeaderMap,
    ) -> Result<Action, VmError> {
        if !self.started() {
            return Ok(Action::Continue);
        }
        let count = size32(map.len());
        self.with(|context| context.half(side).open_trailers(map));
        let action = self.ask(name, (self.id, count))?;
        self.with(|context| context.half(side).close_trailers(action));
        Ok(action)
    }

    /// `onCreate`: before the first callback of a stream.
    fn create(&mut self) -> Result<(), VmError> {
        let known = self.with(|context| std::mem::replace(&mut context.created, true));
        if known == Some(false) {
            self.run::<_, ()>("proxy_on_context_create", (self.id, ROOT))?;
        }
        Ok(())
    }

    /// `http_request_started_`: a stream without request headers gets no other callback.
    fn started(&self) -> bool {
        self.with(|context| context.started).unwrap_or(false)
    }

    /// Runs a callback that decides about the traffic. A local response stops it whatever the guest
    /// answers (`convertVmCallResultTo…`, proxy-wasm-cpp-host).
    fn ask(&mut self, name: &'static str, parameters: impl WasmParams) -> Result<Action, VmError> {
        let answer = self.run::<_, u32>(name, parameters)?;
        let stopped = self.vm.inner().state().stop_iteration;
        let action = match answer {
            Some(0) | None if !stopped => Action::Continue,
            _ => Action::Pause,
        };
        if action == Action::Pause {
            self.with(|context| context.touch(name));
        }
        if let Some(callback) = self.callbacks.last_mut().filter(|_| answer.is_some()) {
            callback.action = Some(action);
        }
        Ok(action)
    }

    fn run<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &'static str,
        parameters: P,
    ) -> Result<Option<R>, VmError> {
        let mut inner = self.vm.inner();
        let before = inner.fuel();
        let result = inner.call(self.id, name, parameters)?;
        if result.is_some() {
            let fuel = inner.fuel().saturating_sub(before);
            self.callbacks.push(Callback { name, action: None, fuel });
        }
        Ok(result)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Context) -> T) -> Option<T> {
        self.vm.inner().state().contexts.get_mut(&self.id).map(change)
    }
}
