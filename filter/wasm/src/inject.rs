//! The opt-in that changes a stream: asks for usage, and hides the event that answers.

use crate::sys::{self, Buffer, Map};
use gaugeway_core::{End, RequestHead, UsageEvent, UsageWish};

/// What is changed in one stream.
pub(crate) struct Injection {
    wish: UsageWish,
    event: Option<UsageEvent>,
}

impl Injection {
    /// Gets ready in the request headers' callback; `None` for requests that cannot be asked.
    pub(crate) fn start(head: &RequestHead<'_>) -> Option<Self> {
        let wish = UsageWish::for_request(head)?;
        // The body may grow, and Envoy has sent the headers on before its end is known.
        sys::remove_header(Map::RequestHeaders, "content-length");
        Some(Self { wish, event: None })
    }

    pub(crate) fn request_body(&mut self, bytes: &[u8]) {
        if let Some(changed) = self.wish.request_chunk(bytes) {
            sys::replace_buffer(Buffer::RequestBody, bytes.len(), &changed);
            self.event = Some(UsageEvent::default());
        }
    }

    /// In the response headers' callback. In a content coding the event cannot be taken out: it then
    /// reaches the client, as it would have had the client asked.
    pub(crate) fn response_head(&mut self, content_encoding: Option<&[u8]>) {
        if content_encoding.is_some() {
            self.event = None;
        }
        if self.event.is_some() {
            sys::remove_header(Map::ResponseHeaders, "content-length");
        }
    }

    /// Once generation has ended.
    pub(crate) fn response_body(&mut self, bytes: &[u8], end: End) {
        let Some(event) = &mut self.event else { return };
        if let Some(changed) = event.response_chunk(bytes, end) {
            sys::replace_buffer(Buffer::ResponseBody, bytes.len(), &changed);
        }
    }
}
