//! What Envoy keeps for one HTTP stream (`Extensions::Common::Wasm::Context`), and when the guest may
//! read it. Names in parentheses are functions of Envoy's `context.cc`.

use std::collections::BTreeMap;

use crate::abi::{Action, BufferType, End, MapType, Side, Status, size32};
use crate::headers::HeaderMap;

/// A reply that the guest gave in place of the upstream's (`proxy_send_local_response`). Envoy sends it
/// through this guest's own response callbacks, with these details as `response.code_details`; a test
/// to which that matters calls them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// HTTP status.
    pub status: u32,
    /// Becomes `response.code_details`.
    pub details: String,
    /// Body of the reply.
    pub body: Vec<u8>,
    /// Headers beside the status.
    pub headers: HeaderMap,
}

/// One stream.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub request: Half,
    pub response: Half,
    /// `in_vm_context_created_`: the guest knows this stream.
    pub created: bool,
    /// `http_request_started_`: request headers have arrived. Without them Envoy calls nothing but the
    /// log phase.
    pub started: bool,
    /// `access_log_phase_`.
    pub logging: bool,
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first thing that the guest did to the traffic.
    pub touched_by: Option<&'static str>,
    pub local_response: Option<LocalResponse>,
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Half {
    pub headers: Section,
    pub trailers: Section,
    pub body: Body,
    /// The end flag has been seen (`end_of_stream_`).
    pub ended: bool,
    pub hold: Hold,
}

/// A header map and whether the context points to it now.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub map: Option<HeaderMap>,
    pub open: bool,
}

/// The bytes of one direction.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// This chunk, behind what earlier pauses have held.
    pub buffer: Vec<u8>,
    pub open: bool,
    pub forwarded: Vec<u8>,
}

/// Where a direction stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    #[default]
    Nowhere,
    /// `StopAllIterationAndWatermark`: no body callback until the guest continues.
    Headers,
    /// `StopIterationAndBuffer`: the next body callback sees everything held so far.
    Body,
}

impl Context {
    pub(crate) const fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    pub(crate) const fn touch(&mut self, what: &'static str) {
        if self.touched_by.is_none() {
            self.touched_by = Some(what);
        }
    }

    /// The map that a getter may read (`getConstMap`): inside its own callback, or in the log phase.
    pub(crate) fn map(&self, map_type: MapType) -> Option<&HeaderMap> {
        let (half, trailers) = match map_type {
            MapType::Headers(Side::Request) => (&self.request, false),
            MapType::Trailers(Side::Request) if self.logging => return None,
            MapType::Trailers(Side::Request) => (&self.request, true),
            MapType::Headers(Side::Response) => (&self.response, false),
            MapType::Trailers(Side::Response) => (&self.response, true),
            MapType::Callout => return None,
        };
        let section = if trailers { &half.trailers } else { &half.headers };
        section.map.as_ref().filter(|_| section.open || self.logging)
    }

    /// Why [`Self::map`] gave nothing (`getHeaderMapValue`): in the log phase the map does not exist,
    /// before it the map cannot be read now.
    pub(crate) const fn missing_map(&self) -> Status {
        if self.logging { Status::NotFound } else { Status::BadArgument }
    }

    /// The map that a setter may change (`getMap`): inside its own callback. Trailers are *created* when
    /// they are asked for in the last body callback, even by `proxy_get_header_map_size`, and from then
    /// on stay open.
    pub(crate) fn map_mut(&mut self, map_type: MapType) -> Result<&mut HeaderMap, Status> {
        let (half, trailers) = match map_type {
            MapType::Headers(side) => (self.half(side), false),
            MapType::Trailers(side) => (self.half(side), true),
            MapType::Callout => return Err(Status::BadArgument),
        };
        if trailers && half.trailers.map.is_none() && half.body.open && half.ended {
            half.trailers = Section { map: Some(HeaderMap::default()), open: true };
        }
        let section = if trailers { &mut half.trailers } else { &mut half.headers };
        section.map.as_mut().filter(|_| section.open).ok_or(Status::BadArgument)
    }

    /// A body's bytes (`getBuffer`). Outside its callback Envoy hands out an empty buffer, no error.
    pub(crate) fn buffer(&self, buffer_type: BufferType) -> &[u8] {
        let body = match buffer_type {
            BufferType::Body(Side::Request) => &self.request.body,
            BufferType::Body(Side::Response) => &self.response.body,
            _ => return &[],
        };
        if body.open { &body.buffer } else { &[] }
    }

    /// `continueStream`: lets go what this direction holds. It closes the request maps whichever
    /// direction is named.
    pub(crate) fn resume(&mut self, side: Side) {
        let half = self.half(side);
        if half.hold == Hold::Body {
            half.body.forwarded.append(&mut half.body.buffer);
        }
        half.hold = Hold::Nowhere;
        self.request.headers.open = false;
        self.request.trailers.open = false;
        self.request.body.open = false;
    }
}

impl Half {
    /// `decodeHeaders`, `encodeHeaders`: the map is there for this callback.
    pub(crate) fn open_headers(&mut self, map: HeaderMap, end: End) {
        self.headers = Section { map: Some(map), open: true };
        self.ended = end == End::Last;
    }

    /// The map pointer is dropped once the guest has answered Continue, and stays after a Pause.
    pub(crate) const fn close_headers(&mut self, action: Action) {
        match action {
            Action::Continue => self.headers.open = false,
            Action::Pause => self.hold = Hold::Headers,
        }
    }

    /// `decodeData`, `encodeData`.
    pub(crate) fn open_body(&mut self, chunk: &[u8], end: End) {
        self.body.buffer.extend_from_slice(chunk);
        self.body.open = true;
        self.ended = end == End::Last;
    }

    pub(crate) fn close_body(&mut self, action: Action) {
        self.body.open = false;
        match action {
            Action::Continue => {
                self.body.forwarded.append(&mut self.body.buffer);
                self.hold = Hold::Nowhere;
            }
            Action::Pause => self.hold = Hold::Body,
        }
    }

    /// `decodeTrailers`, `encodeTrailers`.
    pub(crate) fn open_trailers(&mut self, map: HeaderMap) {
        self.trailers = Section { map: Some(map), open: true };
        self.ended = true;
    }

    /// Trailers that go on take what the body held with them.
    pub(crate) fn close_trailers(&mut self, action: Action) {
        if action == Action::Continue {
            self.trailers.open = false;
            self.body.forwarded.append(&mut self.body.buffer);
            self.hold = Hold::Nowhere;
        }
    }

    /// `Buffer::copyFrom`: replaces all, puts in front, or appends; nothing in between.
    pub(crate) fn splice(&mut self, start: u32, length: u32, bytes: &[u8]) -> Result<(), Status> {
        if !self.body.open {
            return Err(Status::BadArgument);
        }
        let buffer = &mut self.body.buffer;
        let held = size32(buffer.len());
        match (start, length) {
            (0, 0) => drop(buffer.splice(0..0, bytes.iter().copied())),
            (0, length) if length >= held => bytes.clone_into(buffer),
            (0, _) => return Err(Status::BadArgument),
            (start, _) if start >= held => buffer.extend_from_slice(bytes),
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_can_be_replaced_prefixed_or_extended_but_not_cut() {
        for (start, length, expected) in [
            (0, 0, Ok("xyabc")),
            (0, 3, Ok("xy")),
            (0, 9, Ok("xy")),
            (3, 0, Ok("abcxy")),
            (9, 9, Ok("abcxy")),
            (0, 2, Err(Status::BadArgument)),
            (1, 1, Err(Status::BadArgument)),
        ] {
            let mut half = Half::default();
            half.open_body(b"abc", End::More);
            let result = half.splice(start, length, b"xy").map(|()| half.body.buffer.clone());
            assert_eq!(result, expected.map(|text| text.as_bytes().to_vec()), "{start} {length}");
        }
        assert_eq!(Half::default().splice(0, 0, b"xy"), Err(Status::BadArgument));
    }

    #[test]
    fn held_bytes_come_back_with_the_next_chunk_and_leave_once() {
        let mut half = Half::default();
        half.open_body(b"ab", End::More);
        half.close_body(Action::Pause);
        assert_eq!(half.body.forwarded, b"");
        half.open_body(b"c", End::Last);
        assert_eq!(half.body.buffer, b"abc");
        half.close_body(Action::Continue);
        assert_eq!(
            (half.body.forwarded.as_slice(), half.body.buffer.as_slice()),
            (&b"abc"[..], &b""[..])
        );
    }

    #[test]
    fn resuming_lets_held_bytes_go_without_a_callback() {
        let mut context = Context::default();
        context.response.open_body(b"ab", End::More);
        context.response.close_body(Action::Pause);
        context.resume(Side::Response);
        assert_eq!(context.response.body.forwarded, b"ab");
    }
}
