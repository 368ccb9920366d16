//! The shape of what is wanted from a document, written so that it mirrors the document.

use crate::dialect::Field;

/// A value in a document: whether it is wanted, and which of its children lead to wanted values.
#[derive(Debug)]
pub(crate) struct Node {
    /// What the value means, when it is wanted.
    pub(super) field: Option<Field>,
    /// How many bytes of a string are handed on. 0 means that only its length matters.
    pub(super) capture: u16,
    /// Whether a string is handed on piece by piece, as it comes.
    pub(super) pour: bool,
    pub(super) keys: &'static [(&'static str, Self)],
    pub(super) each: Option<&'static Self>,
}

/// A wanted value without wanted children.
pub(crate) const fn leaf(field: Field) -> Node {
    Node { field: Some(field), capture: 0, pour: false, keys: &[], each: None }
}

/// An object of which these members lead to wanted values.
pub(crate) const fn object(keys: &'static [(&'static str, Node)]) -> Node {
    Node { field: None, capture: 0, pour: false, keys, each: None }
}

/// An array whose elements all have this shape.
pub(crate) const fn each(element: &'static Node) -> Node {
    Node { field: None, capture: 0, pour: false, keys: &[], each: Some(element) }
}

impl Node {
    /// Also wants the value itself, whatever its type: `"error"` is a string here, an object there.
    pub(crate) const fn is(self, field: Field) -> Self {
        Self { field: Some(field), ..self }
    }

    /// Hands on up to `bytes` bytes of the value when it is a string.
    pub(crate) const fn text(self, bytes: u16) -> Self {
        Self { capture: bytes, ..self }
    }

    /// Hands on all of the value, when it is a string, in pieces and as it stands in the document.
    pub(crate) const fn poured(self) -> Self {
        Self { pour: true, ..self }
    }

    /// The value may also be an array with elements of this shape.
    pub(crate) const fn or_each(self, element: &'static Self) -> Self {
        Self { each: Some(element), ..self }
    }

    /// Whether the value itself says something, besides leading to others.
    pub(super) fn is_wanted(&self) -> bool {
        self.field.is_some()
    }

    pub(super) fn member(&'static self, key: &[u8]) -> Option<&'static Self> {
        // A length and a first byte tell most names apart; only then is a comparison called for.
        let first = key.first();
        let alike = |name: &[u8]| name.len() == key.len() && name.first() == first && name == key;
        self.keys.iter().find(|(name, _)| alike(name.as_bytes())).map(|(_, node)| node)
    }

    /// Levels of containers that the tree reaches into.
    #[cfg(test)]
    pub(crate) fn depth(&self) -> usize {
        let keys = self.keys.iter().map(|(_, node)| node.depth()).max();
        let deepest = keys.max(self.each.map(Self::depth));
        deepest.map_or(0, |below| below + 1)
    }
}
