//! Counters that show every new series at 0 before its first increment.
//!
//! Prometheus takes the first sample of a series as its starting point, so an increment that is
//! already in it is lost to `increase()`. What a new entry has is therefore held back until a page
//! that shows the entry at 0 has been read; until then it is pending.

use std::collections::BTreeMap;

use super::amount::Amount;

/// Ticks after which what is held is released although no one has read the page.
const MAX_HELD_TICKS: u32 = 60;

/// Amounts by key. Entries only grow.
#[derive(Clone, Debug)]
pub(super) struct Ledger<K, A> {
    entries: BTreeMap<K, Entry<A>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry<A> {
    shown: A,
    held: A,
    /// How many ticks the entry has been held; `None` once it was released.
    holding: Option<u32>,
}

impl<K: Ord, A: Amount> Ledger<K, A> {
    /// A ledger that shows these entries at 0 from the start.
    pub(super) fn with(keys: impl IntoIterator<Item = K>) -> Self {
        Self { entries: keys.into_iter().map(|key| (key, Entry::default())).collect() }
    }

    /// Adds to an entry; a new one is held.
    pub(super) fn add(&mut self, key: K, amount: A) {
        let new = Entry { holding: Some(0), ..Entry::default() };
        let entry = self.entries.entry(key).or_insert(new);
        match entry.holding {
            Some(_) => entry.held += amount,
            None => entry.shown += amount,
        }
    }

    /// Starts a tick: releases what has been seen at 0. `page_read` says whether the page of the
    /// tick before was read, which showed every entry there is.
    pub(super) fn release(&mut self, page_read: bool) {
        for entry in self.entries.values_mut() {
            let Some(ticks) = entry.holding else { continue };
            if page_read || ticks >= MAX_HELD_TICKS {
                entry.shown += entry.held;
                *entry = Entry { shown: entry.shown, ..Entry::default() };
            } else {
                entry.holding = Some(ticks + 1);
            }
        }
    }

    /// The counters as they are shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&K, A)> {
        self.entries.iter().map(|(key, entry)| (key, entry.shown))
    }

    /// What is held back, where something is.
    pub(super) fn held(&self) -> impl Iterator<Item = (&K, A)> {
        let held = self.entries.iter().filter(|(_, entry)| entry.holding.is_some());
        held.map(|(key, entry)| (key, entry.held))
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::NanoDollars;

    #[track_caller]
    fn check(ledger: &Ledger<&str, NanoDollars>, shown: &[(&str, u64)], held: u64) {
        let read: Vec<_> = ledger.shown().map(|(key, amount)| (*key, amount.0)).collect();
        let sum: NanoDollars = ledger.held().map(|(_, amount)| amount).sum();
        assert_eq!((&read[..], sum.0), (shown, held));
    }

    #[test]
    fn a_new_entry_is_shown_at_zero_until_that_was_read() {
        let mut ledger = Ledger::with(["old"]);
        ledger.add("old", NanoDollars(1));
        ledger.add("new", NanoDollars(5));
        check(&ledger, &[("new", 0), ("old", 1)], 5);
        ledger.release(false);
        ledger.add("new", NanoDollars(2));
        check(&ledger, &[("new", 0), ("old", 1)], 7);
        ledger.release(true);
        check(&ledger, &[("new", 7), ("old", 1)], 0);
        ledger.add("new", NanoDollars(1));
        check(&ledger, &[("new", 8), ("old", 1)], 0);
    }

    #[test]
    fn nobody_reads_the_page_for_long() {
        let mut ledger = Ledger::with([]);
        ledger.add("new", NanoDollars(5));
        (0..=MAX_HELD_TICKS).for_each(|_| ledger.release(false));
        check(&ledger, &[("new", 5)], 0);
    }
}
