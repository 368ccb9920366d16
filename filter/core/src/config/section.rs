//! A JSON object of the configuration, taken apart key by key, with errors that say where.
//!
//! Derived deserialisers would say the same in fewer lines, but they say it once per type: they were
//! an eighth of the filter.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value of a configuration file.
#[derive(Debug)]
pub(super) enum Tree {
    Null,
    Flag(bool),
    Whole(u64),
    OtherNumber,
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(flag))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(number))
    }
    fn visit_i64<E>(self, _number: i64) -> Result<Tree, E> {
        Ok(Tree::OtherNumber)
    }
    fn visit_f64<E>(self, _number: f64) -> Result<Tree, E> {
        Ok(Tree::OtherNumber)
    }
    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Tree::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Tree::Object(object))
    }
}

impl Tree {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "true or false",
            Self::Whole(_) => "a number",
            Self::OtherNumber => "a number that is negative or has a fraction",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// An object that is being read. Keys that nobody took by the end are refused.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    members: Vec<(String, Tree)>,
    known: Vec<&'static str>,
}

impl Section {
    /// The object at `path`, which is empty for the whole configuration.
    pub(super) fn of(tree: Tree, path: String) -> Result<Self, String> {
        match tree {
            Tree::Object(members) => Ok(Self { path, members, known: Vec::new() }),
            other => {
                let whole = if path.is_empty() { "the configuration" } else { &path };
                Err(format!("{whole}: must be an object, not {}", other.kind()))
            }
        }
    }

    /// The full name of a key.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &'static str) -> Option<Tree> {
        self.known.push(key);
        let at = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.swap_remove(at).1).filter(|tree| !matches!(tree, Tree::Null))
    }

    fn wrong<T>(&self, key: &str, expected: &str, found: &Tree) -> Result<T, String> {
        Err(format!("{}: must be {expected}, not {}", self.name(key), found.kind()))
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Tree::Flag(flag)) => Ok(Some(flag)),
            Some(other) => self.wrong(key, "true or false", &other),
        }
    }

    pub(super) fn number(&mut self, key: &'static str, max: u32) -> Result<Option<u32>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Tree::Whole(number)) => match u32::try_from(number) {
                Ok(number) if number <= max => Ok(Some(number)),
                Ok(_) | Err(_) => Err(format!("{}: {number} is more than {max}", self.name(key))),
            },
            Some(other) => self.wrong(key, "a whole number", &other),
        }
    }

    /// Text that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        match self.take(key) {
            None => Ok(None),
            Some(Tree::Text(text)) if text.is_empty() => {
                Err(format!("{}: is empty", self.name(key)))
            }
            Some(Tree::Text(text)) => Ok(Some(text)),
            Some(other) => self.wrong(key, "text", &other),
        }
    }

    pub(super) fn needed_text(&mut self, key: &'static str) -> Result<String, String> {
        self.text(key)?.ok_or_else(|| format!("{}: is missing", self.name(key)))
    }

    fn list(&mut self, key: &'static str) -> Result<Vec<Tree>, String> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Tree::List(list)) => Ok(list),
            Some(other) => self.wrong(key, "a list", &other),
        }
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, String> {
        let list = self.list(key)?;
        let texts = list.into_iter().map(|element| match element {
            Tree::Text(text) => Ok(text),
            other => self.wrong(key, "a list of texts", &other),
        });
        texts.collect()
    }

    /// Each object of a list, read by `read`.
    pub(super) fn each<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let list = self.list(key)?;
        let name = self.name(key);
        let read = |(n, tree)| Self::of(tree, format!("{name}[{n}]"))?.read(&read);
        list.into_iter().enumerate().map(read).collect()
    }

    /// The object at `key`, read by `read`.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let name = self.name(key);
        self.take(key).map(|tree| Self::of(tree, name)?.read(&read)).transpose()
    }

    /// Reads the whole section; a key that `read` does not take is refused.
    pub(super) fn read<T>(
        mut self,
        read: &impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        let value = read(&mut self)?;
        match self.members.first() {
            None => Ok(value),
            Some((key, _)) => {
                Err(format!("{}: unknown key; known are {}", self.name(key), self.known.join(", ")))
            }
        }
    }
}
