//! Label values from names that clients choose: cleaned, capped, never evicted.

use crate::stat::clean_value;
use std::collections::BTreeMap;

/// A label value that a [`LabelTable`] has admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LabelId(u16);

impl LabelId {
    /// No name was given.
    pub(crate) const UNKNOWN: Self = Self(0);
    /// A name beyond the cap.
    pub(crate) const OTHER: Self = Self(1);

    /// The label's place among those of its table.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The value of [`LabelId::OTHER`].
pub(crate) const OTHER: &str = "__other__";

/// The admitted values of one label. Envoy never forgets a stat, so a value stays for good, and what
/// comes after the cap is `__other__`.
#[derive(Debug)]
pub(crate) struct LabelTable {
    ids: BTreeMap<Box<str>, LabelId>,
    names: Vec<Box<str>>,
    /// Values that may exist, the two fixed ones included.
    cap: usize,
}

impl LabelTable {
    /// A table that holds `pinned` values and admits up to `max_seen` more.
    pub(crate) fn new<'a>(pinned: impl IntoIterator<Item = &'a str>, max_seen: u16) -> Self {
        let mut table = Self { ids: BTreeMap::new(), names: Vec::new(), cap: usize::MAX };
        for name in ["unknown", OTHER].into_iter().chain(pinned) {
            table.admit(name.as_bytes());
        }
        table.cap = table.names.len().saturating_add(usize::from(max_seen));
        table
    }

    /// The label for a name, admitting it when there is room. [`LabelId::OTHER`] when there is not.
    pub(crate) fn admit(&mut self, name: &[u8]) -> LabelId {
        let name = clean_value(name);
        if let Some(id) = self.ids.get(name.as_str()) {
            return *id;
        }
        let id = u16::try_from(self.names.len()).ok().filter(|_| self.names.len() < self.cap);
        let Some(id) = id.map(LabelId) else { return LabelId::OTHER };
        self.names.push(name.as_str().into());
        self.ids.insert(name.into(), id);
        id
    }

    /// The label of a name, if it has been admitted.
    pub(crate) fn find(&self, name: &[u8]) -> Option<LabelId> {
        self.ids.get(clean_value(name).as_str()).copied()
    }

    /// The value of an admitted label.
    pub(crate) fn name(&self, id: LabelId) -> &str {
        self.names.get(id.index()).map_or(OTHER, |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pinned_names_are_always_there_and_others_come_first_served() {
        let mut table = LabelTable::new(["a", "b"], 1);
        let c = table.admit(b"c");
        assert_eq!(table.name(c), "c");
        assert_eq!(table.admit(b"d"), LabelId::OTHER);
        assert_eq!((table.admit(b"c"), table.admit(b"")), (c, LabelId::UNKNOWN));
        let b = table.admit(b"b");
        assert_eq!(table.name(b), "b");
    }

    proptest! {
        #[test]
        fn never_more_values_than_the_cap(names: Vec<Vec<u8>>, cap in 0_u16..5) {
            let mut table = LabelTable::new([], cap);
            for name in &names {
                table.admit(name);
            }
            prop_assert!(table.names.len() <= usize::from(cap) + 2);
        }
    }
}
