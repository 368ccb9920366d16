//! Server-sent events (WHATWG HTML, "event stream interpretation"), read as they pass by.
//!
//! Nothing of an event's data is kept: each piece of it goes to the sink at once, and a dispatch
//! follows when the event is complete. Two rules differ from the specification, because this reader
//! does accounting: an event that the end of the stream cuts off before its blank line is dispatched
//! all the same ([`Sse::finish`]), and a field called `error` is data (llama.cpp, llama-box).

use memchr::memchr2;

/// Takes the events.
pub(crate) trait Events {
    /// A piece of the event's data. Pieces join without anything between them.
    fn data(&mut self, piece: &[u8]);
    /// The event is complete.
    fn dispatch(&mut self, event: &Dispatch);
}

/// What is known of an event besides its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dispatch {
    /// The event is called `error`, or its data came in a field called `error`.
    pub(crate) error: bool,
}

/// Reads a stream in any number of pieces. Its size is fixed.
#[derive(Debug)]
pub(crate) struct Sse {
    line: Line,
    /// The last byte was `\r`, so that a `\n` that follows ends no line of its own.
    after_cr: bool,
    /// No line has been finished: a byte order mark may stand here.
    first_line: bool,
    /// The event has had a data line.
    has_data: bool,
    event: Dispatch,
    /// The start of an unfinished field name or event name.
    name: Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// In the field name.
    Name,
    /// After the colon; one space may still be dropped.
    Space(Field),
    /// In the value.
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Other,
}

/// Room for the names that matter. What does not fit is some other name.
#[derive(Debug, Default)]
struct Name {
    bytes: [u8; 8],
    len: usize,
}

impl Name {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = *byte;
            }
            self.len = self.len.saturating_add(1);
        }
    }

    fn take(&mut self) -> Option<([u8; 8], usize)> {
        let len = std::mem::take(&mut self.len);
        (len <= self.bytes.len()).then_some((self.bytes, len))
    }

    fn is(&mut self, name: &[u8]) -> bool {
        self.take().is_some_and(|(bytes, len)| bytes.get(..len) == Some(name))
    }
}

impl Sse {
    pub(crate) fn new() -> Self {
        Self {
            line: Line::Name,
            after_cr: false,
            first_line: true,
            has_data: false,
            event: Dispatch::default(),
            name: Name::default(),
        }
    }

    /// Whether the next byte begins an event, whatever it is.
    pub(crate) fn is_between_events(&self) -> bool {
        let at_line_start = self.line == Line::Name && self.name.len == 0 && !self.after_cr;
        at_line_start && !self.has_data && !self.event.error && !self.first_line
    }

    /// Reads the next piece of the stream.
    pub(crate) fn push(&mut self, piece: &[u8], events: &mut dyn Events) {
        let mut rest = piece;
        if std::mem::take(&mut self.after_cr) {
            match rest.split_first() {
                Some((b'\n', tail)) => rest = tail,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        while !rest.is_empty() {
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                self.line_part(rest, events);
                return;
            };
            let Some((line, [byte, tail @ ..])) = rest.split_at_checked(end) else { return };
            self.line_part(line, events);
            self.end_line(events);
            rest = tail;
            if *byte == b'\r' {
                match rest.split_first() {
                    Some((b'\n', tail)) => rest = tail,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
        }
    }

    /// Dispatches an event that the end of the stream cut off.
    pub(crate) fn finish(&mut self, events: &mut dyn Events) {
        self.end_line(events);
        self.dispatch(events);
    }

    fn line_part(&mut self, part: &[u8], events: &mut dyn Events) {
        let mut part = part;
        if self.line == Line::Name {
            let Some(colon) = memchr::memchr(b':', part) else {
                self.name.push(part);
                return;
            };
            let Some((name, [_, value @ ..])) = part.split_at_checked(colon) else { return };
            self.name.push(name);
            self.begin_value(events);
            part = value;
        }
        if let Line::Space(field) = self.line {
            let Some((first, tail)) = part.split_first() else { return };
            self.line = Line::Value(field);
            if *first == b' ' {
                part = tail;
            }
        }
        match self.line {
            Line::Value(Field::Data) if !part.is_empty() => events.data(part),
            Line::Value(Field::Event) => self.name.push(part),
            Line::Name | Line::Space(_) | Line::Value(_) => {}
        }
    }

    fn begin_value(&mut self, events: &mut dyn Events) {
        let field = match self.name.take() {
            Some((bytes, len)) => {
                let name = bytes.get(..len).unwrap_or_default();
                let bom = if self.first_line { &b"\xef\xbb\xbf"[..] } else { &[] };
                match name.strip_prefix(bom).unwrap_or(name) {
                    b"data" => Field::Data,
                    b"event" => Field::Event,
                    b"error" => {
                        self.event.error = true;
                        Field::Data
                    }
                    _ => Field::Other,
                }
            }
            None => Field::Other,
        };
        if field == Field::Data && std::mem::replace(&mut self.has_data, true) {
            events.data(b"\n");
        }
        self.line = Line::Space(field);
    }

    fn end_line(&mut self, events: &mut dyn Events) {
        match self.line {
            // A line without a colon is a field name; an empty one ends the event.
            Line::Name if self.name.len == 0 => self.dispatch(events),
            Line::Name => self.begin_value(events),
            Line::Space(_) | Line::Value(_) => {}
        }
        if let Line::Space(Field::Event) | Line::Value(Field::Event) = self.line {
            self.event.error = self.name.is(b"error");
        }
        self.name.len = 0;
        self.line = Line::Name;
        self.first_line = false;
    }

    fn dispatch(&mut self, events: &mut dyn Events) {
        let event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.has_data) {
            events.dispatch(&event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Seen {
        data: Vec<u8>,
        events: Vec<String>,
    }

    impl Events for Seen {
        fn data(&mut self, piece: &[u8]) {
            self.data.extend_from_slice(piece);
        }
        fn dispatch(&mut self, event: &Dispatch) {
            let data = std::mem::take(&mut self.data);
            let mark = if event.error { "!" } else { "" };
            self.events.push(format!("{mark}{}", String::from_utf8_lossy(&data)));
        }
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut sse, mut seen) = (Sse::new(), Seen::default());
        for piece in pieces {
            sse.push(piece, &mut seen);
        }
        sse.finish(&mut seen);
        seen.events
    }

    #[track_caller]
    fn check(stream: &str, expected: &[&str]) {
        let bytes = stream.as_bytes();
        assert_eq!(read([bytes]), expected);
        assert_eq!(read(bytes.chunks(1)), expected, "byte by byte");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read([head, &[], tail]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn line_ends_of_every_kind() {
        check("data: a\n\ndata: b\n\n", &["a", "b"]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
        check("data: a\r\rdata: b\r\r", &["a", "b"]);
    }

    #[test]
    fn one_space_is_dropped() {
        check("data:x\n\ndata: x\n\ndata:  x\n\n", &["x", "x", " x"]);
    }

    #[test]
    fn data_lines_join_with_a_line_feed() {
        check("data: a\ndata\ndata: b\n\n", &["a\n\nb"]);
    }

    #[test]
    fn comments_unknown_fields_and_events_without_data_are_no_events() {
        check(": ping\n\nid: 1\nretry: 3\nevent: x\n\ndatax: 1\n\ndata: a\n\n", &["a"]);
    }

    #[test]
    fn errors_are_marked_by_name_in_any_order_and_by_field() {
        check("event: error\ndata: a\n\ndata: b\n\n", &["!a", "b"]);
        check("data: a\nevent: error\n\n", &["!a"]);
        check("event: errors_of_old\ndata: a\n\n", &["a"]);
        check("event: error\nevent: message\ndata: a\n\n", &["a"]);
        check("error: {\"code\":500}\n\n", &["!{\"code\":500}"]);
    }

    #[test]
    fn an_unterminated_tail_counts() {
        check("data: a\n\ndata: [DONE]", &["a", "[DONE]"]);
        check("data: a\n", &["a"]);
        check("data", &[""]);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_once() {
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"]);
    }

    #[test]
    fn characters_may_be_cut() {
        check("data: héé…\n\n", &["héé…"]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_cut_read_the_same(
            text in "(data|event|error|:|: |\r|\n|\r\n|\n\n|x|é|\u{feff}){0,60}",
            size in 1_usize..7,
        ) {
            prop_assert_eq!(read(text.as_bytes().chunks(size)), read([text.as_bytes()]));
        }
    }
}
