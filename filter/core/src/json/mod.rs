//! Reading a few values out of JSON that passes by, in pieces of any size, without keeping it.
//!
//! A [`Node`] tree says which values matter; [`Scanner`] walks the bytes once, follows only the keys
//! that the tree knows, jumps over everything else, and hands each wanted value to a sink. It holds
//! no part of the document but the one key or value that a cut left unfinished.
//!
//! The scanner reads what servers really send, not a validator's JSON: separators are not checked,
//! and a document that stops making sense is no longer looked at ([`Scanner::is_broken`]).

mod node;
mod scanner;
mod text;

pub(crate) use node::{Node, each, leaf, object};
#[cfg(test)]
pub(crate) use scanner::MAX_DEPTH;
pub(crate) use scanner::{Scanner, Sink, Value};
