//! The one thing that the filter may change, and only when it is told to (`usage.request: "inject"`):
//! it asks an OpenAI-compatible server to report the usage of a stream, and takes the event that
//! reports it out of what a client sees that did not ask.
//!
//! Neither holds a stream up. The wish is written behind the last member of the request when that
//! passes by; of the response only an event that is not complete is held back, which no client could
//! read yet, and only after generation has ended.

use crate::dialect::Field;
use crate::endpoint::{Api, Endpoint};
use crate::http::{RequestHead, is_identity};
use crate::json::{Node, Scanner, Sink, Value, each, leaf, object};
use crate::observer::End;
use crate::sse::{Dispatch, Events, Sse};

/// What is written into a request: `include_usage` of OpenAI's chat completions.
const WISH: &[u8] = br#","stream_options":{"include_usage":true}"#;

/// An event that is longer than this is let through unread; one with usage alone has less than 2 KiB.
const MAX_EVENT: usize = 16 << 10;

/// Writes the wish into a request body.
pub struct UsageWish {
    scanner: Scanner,
    seen: Seen,
    written: bool,
}

static REQUEST: Node =
    object(&[("stream", leaf(Field::Stream)), ("stream_options", leaf(Field::StreamOptions))]);

#[derive(Default)]
struct Seen {
    stream: bool,
    /// The client has options of its own, whatever they say.
    options: bool,
}

impl Sink for Seen {
    fn value(&mut self, field: Field, value: Value<'_>) {
        match field {
            Field::Stream => self.stream = value == Value::Flag(true),
            Field::StreamOptions => self.options |= value != Value::Null,
            _ => {}
        }
    }
}

impl UsageWish {
    /// `None`: the request is to an API that knows no such wish, or its body cannot be written into.
    pub fn for_request(head: &RequestHead<'_>) -> Option<Self> {
        let api = Endpoint::at(head.method, head.path)?.api;
        let knows = matches!(api, Api::OpenAiChat | Api::OpenAiCompletions);
        let scanner = Scanner::new(&REQUEST);
        (knows && is_identity(head.content_encoding)).then(|| Self {
            scanner,
            seen: Seen::default(),
            written: false,
        })
    }

    /// A piece of the request body. Returns what is to take its place, if it is to be changed.
    pub fn request_chunk(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.scanner.is_done() || self.scanner.is_broken() {
            return None;
        }
        let rest = self.scanner.push(bytes, &mut self.seen);
        if !self.scanner.is_done() || !self.seen.stream || self.seen.options {
            return None;
        }
        // The document ends with the byte before the rest: its closing brace.
        let end = bytes.len().checked_sub(rest.len())?.checked_sub(1)?;
        let (head, tail) =
            bytes.split_at_checked(end).filter(|(_, tail)| tail.first() == Some(&b'}'))?;
        self.written = true;
        Some([head, WISH, tail].concat())
    }

    /// Whether the wish has been written, so that the answer will hold an event that nobody asked for.
    pub fn is_written(&self) -> bool {
        self.written
    }
}

/// Takes the usage event out of a response.
#[derive(Default)]
pub struct UsageEvent {
    /// An event that is not complete.
    held: Vec<u8>,
    /// An event was too long to be held; what is left of it goes by.
    passing: bool,
}

impl UsageEvent {
    /// A piece of the response body, once generation has ended. Returns what is to take its place, if
    /// it is to be changed.
    pub fn response_chunk(&mut self, bytes: &[u8], end: End) -> Option<Vec<u8>> {
        let kept = self.held.len();
        self.held.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(self.held.len());
        let mut rest = self.held.as_slice();
        while let Some((event, tail)) = split_event(rest) {
            if std::mem::take(&mut self.passing) || !is_usage_only(event) {
                out.extend_from_slice(event);
            }
            rest = tail;
        }
        if end == End::Last || rest.len() > MAX_EVENT || self.passing {
            self.passing = !rest.is_empty() && end == End::More;
            if !is_usage_only(rest) {
                out.extend_from_slice(rest);
            }
            self.held.clear();
        } else {
            self.held = rest.to_vec();
        }
        (kept > 0 || out != bytes).then_some(out)
    }
}

/// Splits after the first blank line.
fn split_event(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends: [&[u8]; 3] = [b"\n\n", b"\r\n\r\n", b"\r\r"];
    let after = |end: &[u8]| {
        let at = bytes.windows(end.len()).position(|window| window == end)?;
        at.checked_add(end.len())
    };
    bytes.split_at_checked(ends.into_iter().filter_map(after).min()?)
}

static CHUNK: Node =
    object(&[("choices", each(&CHOICE).is(Field::Choices)), ("usage", leaf(Field::UsageObject))]);
static CHOICE: Node = leaf(Field::Choice);

/// Whether an event is a chunk with usage and without choices.
fn is_usage_only(event: &[u8]) -> bool {
    let mut chunk = Chunk { scanner: Scanner::new(&CHUNK), parts: Parts::default() };
    let mut sse = Sse::new();
    sse.push(event, &mut chunk);
    sse.finish(&mut chunk);
    let Parts { choices, choice, usage } = chunk.parts;
    choices && !choice && usage
}

struct Chunk {
    scanner: Scanner,
    parts: Parts,
}

#[derive(Default)]
struct Parts {
    choices: bool,
    choice: bool,
    usage: bool,
}

impl Events for Chunk {
    fn data(&mut self, piece: &[u8]) {
        self.scanner.push(piece, &mut self.parts);
    }

    fn dispatch(&mut self, _event: &Dispatch) {}
}

impl Sink for Parts {
    fn value(&mut self, field: Field, value: Value<'_>) {
        match field {
            Field::Choices => self.choices = value == Value::Array,
            Field::Choice => self.choice = true,
            Field::UsageObject => self.usage = value == Value::Object,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(path: &str, body: &str, size: usize) -> String {
        let head = RequestHead { method: b"POST", path: path.as_bytes(), ..RequestHead::default() };
        let mut wish = UsageWish::for_request(&head).unwrap();
        let pieces = body.as_bytes().chunks(size);
        let sent = pieces
            .flat_map(|piece| wish.request_chunk(piece).unwrap_or_else(|| piece.to_vec()))
            .collect();
        assert_eq!(wish.is_written(), body.len() != Vec::len(&sent));
        String::from_utf8(sent).unwrap()
    }

    #[track_caller]
    fn check_wish(body: &str, sent: &str) {
        for size in [1, 2, 7, 1000] {
            assert_eq!(wish("/v1/chat/completions", body, size), sent, "in pieces of {size}");
        }
    }

    #[test]
    fn the_wish_goes_behind_the_last_member_of_a_streamed_request() {
        check_wish(
            "{\"stream\": true, \"messages\": [{\"content\": \"}\"}]} \n",
            "{\"stream\": true, \"messages\": [{\"content\": \"}\"}],\"stream_options\":{\"include_usage\":true}} \n",
        );
    }

    #[test]
    fn other_requests_go_by_as_they_are() {
        for body in [
            r#"{"messages":[]}"#,
            r#"{"stream":false}"#,
            r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            r#"{"stream":true"#,
            r"[]",
            "stream",
        ] {
            check_wish(body, body);
        }
        let head = RequestHead { method: b"POST", path: b"/v1/messages", ..RequestHead::default() };
        assert!(UsageWish::for_request(&head).is_none());
    }

    fn client_sees(stream: &str, size: usize) -> String {
        let mut event = UsageEvent::default();
        let mut seen = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            seen.extend(event.response_chunk(piece, End::More).unwrap_or_else(|| piece.to_vec()));
        }
        seen.extend(event.response_chunk(b"", End::Last).unwrap_or_default());
        String::from_utf8(seen).unwrap()
    }

    #[test]
    fn the_usage_event_is_taken_out_however_it_is_cut() {
        let usage = "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}";
        let (finish, done) =
            ("data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":null}", "data: [DONE]");
        for end in ["\n\n", "\r\n\r\n"] {
            let stream = [finish, end, usage, end, done, end].concat();
            for size in [1, 3, 10, 1000] {
                assert_eq!(
                    client_sees(&stream, size),
                    [finish, end, done, end].concat(),
                    "by {size}"
                );
            }
        }
    }

    #[test]
    fn other_events_stay() {
        for stream in [
            "data: {\"choices\":[],\"usage\":null}\n\n",
            "data: {\"choices\":[{}],\"usage\":{}}\n\n",
            ": ping\n\ndata: [DONE]\n\n",
            "data: unfinished",
        ] {
            for size in [1, 5, 100] {
                assert_eq!(client_sees(stream, size), stream);
            }
        }
    }

    #[test]
    fn a_long_event_goes_by_and_memory_stays() {
        let stream = format!("data: {}\n\ndata: b\n\n", "a".repeat(3 * MAX_EVENT));
        assert_eq!(client_sees(&stream, 1000), stream);
    }
}
