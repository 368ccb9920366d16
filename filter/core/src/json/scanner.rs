//! The walk over the bytes.

use super::node::Node;
use super::text::{self, StringEnd, keep, string_part};
use crate::dialect::Field;

/// Containers that a [`Node`] tree may reach into; a test holds every dialect to it.
pub(crate) const MAX_DEPTH: usize = 12;

/// Longest key that is compared; a longer one matches nothing.
const MAX_KEY: usize = 48;

/// Longest number or literal that is read; a longer one is no count.
const MAX_SCALAR: usize = 40;

/// A wanted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A string: the captured start of its text, unescaped, and the length of all of it as it stood
    /// in the document.
    Text {
        /// Up to the node's `capture` bytes. Not checked to be UTF-8.
        start: &'a [u8],
        /// Bytes between the quotes.
        len: usize,
    },
    /// A number that is a count.
    Count(u64),
    /// A number that is no count: negative, fractional or too large.
    NoCount,
    /// `true` or `false`.
    Flag(bool),
    /// `null`.
    Null,
    /// An object begins; its wanted members follow.
    Object,
    /// An array begins; its wanted elements follow.
    Array,
}

/// Takes the wanted values, in the order of the document.
pub(crate) trait Sink {
    /// One wanted value.
    fn value(&mut self, field: Field, value: Value<'_>);

    /// A wanted string begins; so many bytes of the piece follow its opening quote.
    fn text_begins(&mut self, _field: Field, _left: usize) {}

    /// A piece of a string that is to be poured; the value itself follows when the string ends.
    fn piece(&mut self, _field: Field, _piece: &[u8]) {}
}

/// Reads one document after another, each in any number of pieces.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    root: &'static Node,
    state: State,
    /// Wanted containers that are open, outermost first; `arrays` has a bit for each that is an array.
    open: [Option<&'static Node>; MAX_DEPTH],
    depth: usize,
    arrays: u16,
    /// The unfinished key, string or scalar that earlier pieces ended in.
    carry: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before a value that the node is for; `None`: nobody wants it.
    Value(Option<&'static Node>),
    /// Inside an object, before a key or the closing brace.
    Key,
    /// Inside a key.
    InKey { escaped: bool },
    /// Between a key and its value.
    Colon(Option<&'static Node>),
    /// Inside a string value.
    InText { node: Option<&'static Node>, len: usize, escaped: bool },
    /// Inside a number or a literal.
    InScalar(Option<&'static Node>),
    /// After a value, before a comma or the end of the container.
    After,
    /// Inside a container that nobody wants anything of, `depth` levels deep in it.
    Skip { depth: u32, text: Option<Escaped> },
    /// The document is complete.
    Done,
    /// The bytes are no JSON that this reader knows.
    Broken,
}

/// Inside a string that is skipped: whether its next byte is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Escaped(bool);

impl Scanner {
    pub(crate) fn new(root: &'static Node) -> Self {
        Self {
            root,
            state: State::Value(Some(root)),
            open: [None; MAX_DEPTH],
            depth: 0,
            arrays: 0,
            carry: Vec::new(),
        }
    }

    /// Gets ready for the next document of the same shape.
    pub(crate) fn restart(&mut self) {
        self.state = State::Value(Some(self.root));
        self.depth = 0;
        self.arrays = 0;
        self.carry.clear();
    }

    /// Whether a whole document has been read.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes the rest of the document as read: it holds nothing wanted.
    pub(crate) fn skip_to_end(&mut self) {
        self.state = State::Done;
    }

    /// Whether the value that comes next is of no interest, whatever it is.
    pub(crate) fn ignores_value(&self) -> bool {
        match self.state {
            State::Value(node) => !node.is_some_and(Node::is_wanted),
            State::Skip { text, .. } => text.is_none(),
            _ => false,
        }
    }

    /// Whether the string that has just begun is of no interest, whatever it says.
    pub(crate) fn ignores_text(&self) -> bool {
        match self.state {
            State::InText { node, .. } => !node.is_some_and(Node::is_wanted),
            State::Skip { text, .. } => text == Some(Escaped(false)),
            _ => false,
        }
    }

    /// Whether no byte of the document but white space has come.
    pub(crate) fn is_untouched(&self) -> bool {
        self.depth == 0 && matches!(self.state, State::Value(_))
    }

    /// Whether the document stopped making sense and is no longer looked at.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// Reads the next piece and returns what is left of it when the document is complete or makes no
    /// sense any more.
    pub(crate) fn push<'p>(&mut self, piece: &'p [u8], sink: &mut dyn Sink) -> &'p [u8] {
        let mut rest = piece;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = match self.state {
                State::Done | State::Broken => return rest,
                State::Skip { depth, text } => self.skip(rest, depth, text),
                State::InKey { escaped } => self.in_key(rest, escaped),
                State::InText { node, len, escaped } => {
                    self.in_text(rest, node, len, escaped, sink)
                }
                State::InScalar(node) => self.in_scalar(rest, node, sink),
                State::Value(_) | State::Key | State::Colon(_) | State::After
                    if byte.is_ascii_whitespace() =>
                {
                    tail
                }
                State::Value(node) => self.value(rest, node, sink),
                State::Key => self.key(byte, tail),
                State::Colon(node) => {
                    self.state = if byte == b':' { State::Value(node) } else { State::Broken };
                    tail
                }
                State::After => self.after(byte, tail),
            };
        }
        rest
    }

    /// Says that no more pieces come: a number at the very end is complete only now.
    pub(crate) fn finish(&mut self, sink: &mut dyn Sink) {
        if let State::InScalar(node) = self.state {
            self.end_scalar(node, &[], sink);
        }
    }

    fn value<'p>(
        &mut self,
        rest: &'p [u8],
        node: Option<&'static Node>,
        sink: &mut dyn Sink,
    ) -> &'p [u8] {
        let Some((&byte, tail)) = rest.split_first() else { return rest };
        match byte {
            b'"' => {
                if let Some(Node { field: Some(field), .. }) = node {
                    sink.text_begins(*field, tail.len());
                }
                self.state = State::InText { node, len: 0, escaped: false };
                tail
            }
            b'{' | b'[' => {
                self.open(byte == b'[', node, sink);
                tail
            }
            b']' if self.in_array() => {
                self.close();
                tail
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.state = State::InScalar(node);
                rest
            }
            _ => {
                self.state = State::Broken;
                tail
            }
        }
    }

    fn open(&mut self, array: bool, node: Option<&'static Node>, sink: &mut dyn Sink) {
        if let Some(Node { field: Some(field), .. }) = node {
            sink.value(*field, if array { Value::Array } else { Value::Object });
        }
        let wanted =
            node.filter(|node| if array { node.each.is_some() } else { !node.keys.is_empty() });
        let slot = wanted.and_then(|_| self.open.get_mut(self.depth));
        let (Some(wanted), Some(slot)) = (wanted, slot) else {
            self.state = State::Skip { depth: 1, text: None };
            return;
        };
        *slot = Some(wanted);
        let bit = 1_u16 << self.depth.min(15);
        self.arrays = if array { self.arrays | bit } else { self.arrays & !bit };
        self.depth = self.depth.saturating_add(1);
        self.state = if array { State::Value(wanted.each) } else { State::Key };
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.closed();
    }

    /// A value has ended: the document is complete, or its container goes on.
    fn closed(&mut self) {
        self.state = if self.depth == 0 { State::Done } else { State::After };
    }

    fn in_array(&self) -> bool {
        self.depth > 0 && self.arrays & (1 << self.depth.saturating_sub(1).min(15)) != 0
    }

    fn container(&self) -> Option<&'static Node> {
        self.open.get(self.depth.checked_sub(1)?).copied().flatten()
    }

    fn key<'p>(&mut self, byte: u8, tail: &'p [u8]) -> &'p [u8] {
        match byte {
            b'"' => self.state = State::InKey { escaped: false },
            b'}' => self.close(),
            b',' => {}
            _ => self.state = State::Broken,
        }
        tail
    }

    fn after<'p>(&mut self, byte: u8, tail: &'p [u8]) -> &'p [u8] {
        match byte {
            b',' if self.in_array() => {
                self.state = State::Value(self.container().and_then(|node| node.each));
            }
            b',' => self.state = State::Key,
            b'}' | b']' if (byte == b']') == self.in_array() => self.close(),
            _ => self.state = State::Broken,
        }
        tail
    }

    fn in_key<'p>(&mut self, rest: &'p [u8], escaped: bool) -> &'p [u8] {
        let (inside, end) = string_part(rest, escaped);
        let StringEnd::Closed(tail) = end else {
            keep(&mut self.carry, inside, MAX_KEY);
            self.state = State::InKey { escaped: end == StringEnd::Escaped };
            return &[];
        };
        let container = self.container();
        let plain = self.carry.is_empty() && !inside.contains(&b'\\');
        let node = if plain {
            container.and_then(|node| node.member(inside))
        } else {
            keep(&mut self.carry, inside, MAX_KEY);
            text::unescape(&mut self.carry);
            container.and_then(|node| node.member(&self.carry))
        };
        self.carry.clear();
        self.state = State::Colon(node);
        tail
    }

    fn in_text<'p>(
        &mut self,
        rest: &'p [u8],
        node: Option<&'static Node>,
        len: usize,
        escaped: bool,
        sink: &mut dyn Sink,
    ) -> &'p [u8] {
        let (inside, end) = string_part(rest, escaped);
        let len = len.saturating_add(inside.len());
        if let Some(Node { field: Some(field), pour: true, .. }) = node {
            sink.piece(*field, inside);
        }
        let wanted = node.and_then(|node| Some((node.field?, usize::from(node.capture))));
        let StringEnd::Closed(tail) = end else {
            if let Some((_, capture)) = wanted {
                keep(&mut self.carry, inside, capture);
            }
            self.state = State::InText { node, len, escaped: end == StringEnd::Escaped };
            return &[];
        };
        self.closed();
        let Some((field, capture)) = wanted else { return tail };
        let start = inside.get(..capture).unwrap_or(inside);
        if self.carry.is_empty() && (capture == 0 || !start.contains(&b'\\')) {
            sink.value(field, Value::Text { start, len });
        } else {
            keep(&mut self.carry, inside, capture);
            text::unescape(&mut self.carry);
            sink.value(field, Value::Text { start: &self.carry, len });
            self.carry.clear();
        }
        tail
    }

    fn in_scalar<'p>(
        &mut self,
        rest: &'p [u8],
        node: Option<&'static Node>,
        sink: &mut dyn Sink,
    ) -> &'p [u8] {
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
        let Some((inside, tail)) =
            rest.iter().position(ends).and_then(|end| rest.split_at_checked(end))
        else {
            keep(&mut self.carry, rest, MAX_SCALAR);
            return &[];
        };
        self.end_scalar(node, inside, sink);
        tail
    }

    fn end_scalar(&mut self, node: Option<&'static Node>, inside: &[u8], sink: &mut dyn Sink) {
        self.closed();
        if let Some(field) = node.and_then(|node| node.field) {
            if self.carry.is_empty() {
                sink.value(field, scalar(inside.get(..MAX_SCALAR).unwrap_or(inside)));
            } else {
                keep(&mut self.carry, inside, MAX_SCALAR);
                sink.value(field, scalar(&self.carry));
            }
        }
        self.carry.clear();
    }

    fn skip<'p>(&mut self, rest: &'p [u8], depth: u32, text: Option<Escaped>) -> &'p [u8] {
        if let Some(Escaped(escaped)) = text {
            let (_, end) = string_part(rest, escaped);
            let (text, tail): (_, &[u8]) = match end {
                StringEnd::Closed(tail) => (None, tail),
                StringEnd::Escaped => (Some(Escaped(true)), &[]),
                StringEnd::Open => (Some(Escaped(false)), &[]),
            };
            self.state = State::Skip { depth, text };
            return tail;
        }
        let structural = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
        let found = rest.iter().position(structural).and_then(|at| rest.split_at_checked(at));
        let Some((&byte, tail)) = found.and_then(|(_, from)| from.split_first()) else {
            return &[];
        };
        match byte {
            b'"' => self.state = State::Skip { depth, text: Some(Escaped(false)) },
            b'{' | b'[' => self.state = State::Skip { depth: depth.saturating_add(1), text },
            _ if depth > 1 => self.state = State::Skip { depth: depth.saturating_sub(1), text },
            _ => self.closed(),
        }
        tail
    }
}

fn scalar(text: &[u8]) -> Value<'static> {
    match text {
        b"true" => Value::Flag(true),
        b"false" => Value::Flag(false),
        b"null" => Value::Null,
        _ => text::count(text).map_or(Value::NoCount, Value::Count),
    }
}

#[cfg(test)]
#[path = "scanner/tests.rs"]
mod tests;
