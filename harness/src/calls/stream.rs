//! Calls about the stream of the running callback: headers, bodies, properties, replies. Names in
//! parentheses are functions of Envoy's `context.cc`.

use crate::abi::{BufferType, MapType, Side, Status, size32};
use crate::context::{Context, LocalResponse};
use crate::headers::HeaderMap;
use crate::memory::{CallResult, Host};

impl Host<'_> {
    pub(super) fn get_header(
        &mut self,
        map: u32,
        key: u32,
        size: u32,
        value_out: u32,
        size_out: u32,
    ) -> CallResult {
        let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
        let key = self.read(key, size)?;
        let context = self.state().stream().ok_or(Status::BadArgument)?;
        let headers = context.map(map).ok_or_else(|| context.missing_map())?;
        let value = headers.get(&key).ok_or(Status::NotFound)?.to_owned();
        self.give(&value, value_out, size_out)
    }

    /// `getHeaderMapPairs` does not fail: a map that cannot be read now is an empty one.
    pub(super) fn get_headers(&mut self, map: u32, pairs_out: u32, size_out: u32) -> CallResult {
        let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
        let headers = self.state().stream().and_then(|context| context.map(map));
        let pairs = headers.filter(|map| !map.is_empty()).map(HeaderMap::marshal);
        self.give(&pairs.unwrap_or_default(), pairs_out, size_out)
    }

    /// `getHeaderMapSize` goes through the setters' door, and so can create trailers.
    pub(super) fn get_headers_size(&mut self, map: u32, out: u32) -> CallResult {
        let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
        let context = self.state().stream().ok_or(Status::BadArgument)?;
        let had_trailers = matches!(map, MapType::Headers(_)) || context.map(map).is_some();
        let size = size32(context.map_mut(map)?.byte_size());
        if !had_trailers {
            context.touch("proxy_get_header_map_size");
        }
        self.write_u32(out, size)
    }

    pub(super) fn add_header(
        &mut self,
        map: u32,
        key: u32,
        size: u32,
        value: u32,
        value_size: u32,
    ) -> CallResult {
        let (key, value) = (self.read(key, size)?, self.read(value, value_size)?);
        self.change_headers("proxy_add_header_map_value", map, |headers| headers.add(&key, &value))
    }

    pub(super) fn replace_header(
        &mut self,
        map: u32,
        key: u32,
        size: u32,
        value: u32,
        value_size: u32,
    ) -> CallResult {
        let (key, value) = (self.read(key, size)?, self.read(value, value_size)?);
        self.change_headers("proxy_replace_header_map_value", map, |headers| {
            headers.replace(&key, &value);
        })
    }

    pub(super) fn remove_header(&mut self, map: u32, key: u32, size: u32) -> CallResult {
        let key = self.read(key, size)?;
        self.change_headers("proxy_remove_header_map_value", map, |headers| headers.remove(&key))
    }

    pub(super) fn set_headers(&mut self, map: u32, pairs: u32, size: u32) -> CallResult {
        let pairs = HeaderMap::unmarshal(&self.read(pairs, size)?).unwrap_or_default();
        self.change_headers("proxy_set_header_map_pairs", map, |headers| *headers = pairs)
    }

    fn change_headers(
        &mut self,
        call: &'static str,
        map: u32,
        change: impl FnOnce(&mut HeaderMap),
    ) -> CallResult {
        let map = MapType::from_code(map).ok_or(Status::BadArgument)?;
        let context = self.state().stream().ok_or(Status::BadArgument)?;
        context.touch(call);
        change(context.map_mut(map)?);
        Ok(())
    }

    /// An end beyond the buffer is cut back to it; where nothing is left, the answer is Ok and nothing
    /// is written (`get_buffer_bytes`, proxy-wasm-cpp-host `exports.cc`).
    pub(super) fn get_buffer(
        &mut self,
        buffer: u32,
        start: u32,
        length: u32,
        bytes_out: u32,
        size_out: u32,
    ) -> CallResult {
        let end = start.saturating_add(length);
        let bytes = self.buffer(buffer)?;
        let end = end.min(size32(bytes.len()));
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        match range.and_then(|(start, end)| bytes.get(start..end)) {
            Some(part) if !part.is_empty() => {
                let part = part.to_owned();
                self.give(&part, bytes_out, size_out)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn get_buffer_status(
        &mut self,
        buffer: u32,
        length_out: u32,
        flags_out: u32,
    ) -> CallResult {
        let length = size32(self.buffer(buffer)?.len());
        self.write_u32(length_out, length)?;
        self.write_u32(flags_out, 0)
    }

    pub(super) fn set_buffer(
        &mut self,
        buffer: u32,
        start: u32,
        length: u32,
        bytes: u32,
        size: u32,
    ) -> CallResult {
        self.buffer(buffer)?;
        let bytes = self.read(bytes, size)?;
        let Some(BufferType::Body(side)) = BufferType::from_code(buffer) else {
            return Err(Status::BadArgument.into());
        };
        let context = self.state().stream().ok_or(Status::BadArgument)?;
        context.touch("proxy_set_buffer_bytes");
        Ok(context.half(side).splice(start, length, &bytes)?)
    }

    fn buffer(&mut self, buffer: u32) -> Result<&[u8], Status> {
        let buffer = BufferType::from_code(buffer).ok_or(Status::BadArgument)?;
        let state = self.state();
        match buffer {
            BufferType::Body(_) => Ok(state.stream().map_or(&[], |context| context.buffer(buffer))),
            BufferType::Empty | BufferType::VmConfiguration => Ok(&[]),
            BufferType::PluginConfiguration if state.config_open => Ok(&state.plugin_config),
            BufferType::PluginConfiguration | BufferType::HttpCallBody => Err(Status::NotFound),
        }
    }

    /// `getProperty`. A path that is no attribute of Envoy's is looked for in the filter state that
    /// wasm filters have written (`findValue`).
    pub(super) fn get_property(
        &mut self,
        path: u32,
        size: u32,
        value_out: u32,
        size_out: u32,
    ) -> CallResult {
        let path = self.read(path, size)?;
        let path = path.strip_suffix(&[0]).unwrap_or(&path);
        let state = self.state();
        let own = state.contexts.get(&state.context_id()).and_then(|context: &Context| {
            context.properties.get(path).or_else(|| context.filter_state.get(path))
        });
        let value = own.or_else(|| state.properties.get(path)).ok_or(Status::NotFound)?.clone();
        self.give(&value, value_out, size_out)
    }

    /// `setProperty`: there is nowhere to write to in the root context, nor in a context that exists
    /// only because a stream which the filter never saw is being logged.
    pub(super) fn set_property(
        &mut self,
        path: u32,
        size: u32,
        value: u32,
        value_size: u32,
    ) -> CallResult {
        let (path, value) = (self.read(path, size)?, self.read(value, value_size)?);
        let context = self.state().stream().filter(|context| context.started);
        context.ok_or(Status::NotFound)?.filter_state.insert(path, value);
        Ok(())
    }

    pub(super) fn continue_stream(&mut self, kind: u32) -> CallResult {
        let side = match kind {
            0 => Side::Request,
            1 => Side::Response,
            // A TCP connection, of which there is none.
            2 | 3 => return Ok(()),
            _ => return Err(Status::BadArgument.into()),
        };
        if let Some(context) = self.state().stream() {
            context.resume(side);
        }
        Ok(())
    }

    pub(super) fn close_stream(&mut self, kind: u32) -> CallResult {
        if kind > 3 {
            return Err(Status::BadArgument.into());
        }
        if let Some(context) = self.state().stream() {
            context.touch("proxy_close_stream");
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the ABI has eight")]
    pub(super) fn send_local_response(
        &mut self,
        status: u32,
        details: u32,
        details_size: u32,
        body: u32,
        body_size: u32,
        headers: u32,
        headers_size: u32,
        _grpc_status: u32,
    ) -> CallResult {
        let details = String::from_utf8_lossy(&self.read(details, details_size)?).into_owned();
        let body = self.read(body, body_size)?;
        let headers = HeaderMap::unmarshal(&self.read(headers, headers_size)?).unwrap_or_default();
        let state = self.state();
        state.stop_iteration = true;
        if let Some(context) = state.stream() {
            context.touch("proxy_send_local_response");
            context.local_response = Some(LocalResponse { status, details, body, headers });
        }
        Ok(())
    }
}
