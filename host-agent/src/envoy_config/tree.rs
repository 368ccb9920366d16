//! A YAML or JSON text as a tree that knows where in the text each node stands.

use granit_parser::{Event, Parser, Span, StructureStyle};

use super::Refusal;

/// A node and its place.
#[derive(Debug)]
pub(super) struct Node {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// Where it begins, in bytes. A block begins with its first key or item.
    pub(super) start: usize,
    /// Where it ends, in bytes.
    pub(super) end: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(String),
    List(Vec<Node>, Style),
    /// Keys and values.
    Map(Vec<(Node, Node)>, Style),
    /// `*name`: what stands elsewhere.
    Alias,
}

/// How a list or map is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// A line for each.
    Block,
    /// In brackets, as in JSON.
    Flow,
}

impl Node {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|(name, _)| name.text() == Some(key));
        found.map(|(_, value)| value)
    }

    /// Keys and values; none where this is no map.
    pub(super) fn entries(&self) -> &[(Self, Self)] {
        match &self.kind {
            Kind::Map(entries, _) => entries,
            Kind::Scalar(_) | Kind::List(..) | Kind::Alias => &[],
        }
    }

    /// Items; none where this is no list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items, _) => items,
            Kind::Scalar(_) | Kind::Map(..) | Kind::Alias => &[],
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            Kind::List(..) | Kind::Map(..) | Kind::Alias => None,
        }
    }

    /// A refusal that names this node's line.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> Refusal {
        Refusal { line: Some(self.line), reason: reason.into() }
    }
}

/// A list or map whose end has not come yet.
struct Open {
    place: Node,
    children: Vec<Node>,
}

/// Reads a text that holds one document.
pub(super) fn parse(text: &str) -> Result<Node, Refusal> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Refusal {
            line: Some(error.marker().line()),
            reason: format!("is not YAML: {}", error.info()),
        })?;
        let node = match event {
            Event::Scalar(text, ..) => node(span, Kind::Scalar(text.into_owned())),
            Event::Alias(_) => node(span, Kind::Alias),
            Event::SequenceStart(style, ..) => {
                open.push(opened(span, Kind::List(Vec::new(), style.into())));
                continue;
            }
            Event::MappingStart(style, ..) => {
                open.push(opened(span, Kind::Map(Vec::new(), style.into())));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(opened) => closed(opened, span),
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(node),
            None if root.is_some() => return Err(node.refuse("a second document begins here")),
            None => root = Some(node),
        }
    }
    root.ok_or_else(|| Refusal { line: None, reason: "is empty".to_owned() })
}

fn node(span: Span, kind: Kind) -> Node {
    let (start, end) = (span.start.byte_offset(), span.end.byte_offset());
    // Of a text, unlike of a stream, the parser knows all offsets.
    let (start, end) = (start.unwrap_or_default(), end.unwrap_or_default());
    Node { line: span.start.line(), start, end, kind }
}

fn opened(span: Span, kind: Kind) -> Open {
    Open { place: node(span, kind), children: Vec::new() }
}

fn closed(opened: Open, end: Span) -> Node {
    let Open { mut place, children } = opened;
    // What ends a block is the next thing in the text, perhaps far below.
    place.end = match (style(&place.kind), children.last()) {
        (Style::Block, Some(last)) => last.end,
        _ => end.end.byte_offset().unwrap_or(place.start),
    };
    if let (Style::Block, Some(first)) = (style(&place.kind), children.first()) {
        (place.start, place.line) = (first.start, first.line);
    }
    match &mut place.kind {
        Kind::List(items, _) => *items = children,
        Kind::Map(entries, _) => {
            let mut children = children.into_iter();
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                entries.push((key, value));
            }
        }
        Kind::Scalar(_) | Kind::Alias => {}
    }
    place
}

fn style(kind: &Kind) -> Style {
    match kind {
        Kind::List(_, style) | Kind::Map(_, style) => *style,
        Kind::Scalar(_) | Kind::Alias => Style::Flow,
    }
}

impl From<StructureStyle> for Style {
    fn from(style: StructureStyle) -> Self {
        match style {
            StructureStyle::Block => Self::Block,
            StructureStyle::Flow => Self::Flow,
        }
    }
}
