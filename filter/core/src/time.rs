//! Moments and spans. The core has no clock: the host's readings come in as values.

use std::num::NonZeroU64;
use std::time::Duration;

/// A reading of the host's clock in nanoseconds. Only differences mean anything, and a clock may
/// step backwards.
///
/// Kept as one more than the reading, so that an absent moment needs no byte of its own: each open stream
/// holds six.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostTime(NonZeroU64);

impl HostTime {
    /// A reading of `nanoseconds`.
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanoseconds))
    }

    /// So long after this.
    pub const fn later(self, by: Duration) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "no span here is of 500 years")]
        let nanos = by.as_nanos() as u64;
        Self(self.0.saturating_add(nanos))
    }

    /// Time since `earlier`; zero when the clock went backwards.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// A span in whole microseconds, the unit of every time stat.
pub fn micros(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000).saturating_add(span.subsec_micros().into())
}
