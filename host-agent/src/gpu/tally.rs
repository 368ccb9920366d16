//! Counters of the driver, made to count from when the agent first saw the GPU and never to fall,
//! although drivers are reloaded and narrow counters wrap.

/// One counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    last: Option<u64>,
    total: u64,
}

impl Tally {
    /// Takes in what the counter shows and returns what it has grown by in all. A counter that fell
    /// was reset: what it counted up to then is not known, so it starts from there.
    pub(super) fn advance(&mut self, shows: u64) -> u64 {
        let last = self.last.replace(shows).unwrap_or(shows);
        let wrapped = last > u64::from(u32::MAX / 2) && last <= u64::from(u32::MAX);
        let growth = match shows.checked_sub(last) {
            Some(growth) => growth,
            // More than halfway through 32 bits, a counter that starts again near 0 has wrapped.
            None if wrapped && shows < u64::from(u32::MAX / 4) => {
                shows + (u64::from(u32::MAX) - last) + 1
            }
            None => 0,
        };
        self.total = self.total.saturating_add(growth);
        self.total
    }

    /// The last total, where the counter was ever read.
    pub(super) fn total(&self) -> Option<u64> {
        self.last.map(|_| self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shown: &[u64], total: u64) {
        let mut tally = Tally::default();
        let mut last = 0;
        for shows in shown {
            last = tally.advance(*shows);
        }
        assert_eq!((last, tally.total()), (total, Some(total)));
    }

    #[test]
    fn counts_from_the_first_sight_and_never_falls() {
        check(&[700], 0);
        check(&[700, 710, 710, 730], 30);
        // Reset.
        check(&[700, 710, 3, 5], 12);
    }

    #[test]
    fn narrow_counters_wrap() {
        check(&[u64::from(u32::MAX) - 1, 3], 5);
        // A wide one that falls from there was reset.
        check(&[1 << 40, 3, 4], 1);
    }
}
