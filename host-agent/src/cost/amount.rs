//! What the engine takes apart: whole numbers of a unit, so that no sum drifts.

use std::iter::Sum;
use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// A currency: nano-dollars or millijoules. Sums saturate; a `u64` holds 18 billion dollars, and the
/// joules that ten gigawatts burn in two weeks.
pub(super) trait Amount:
    Copy + Default + Ord + AddAssign + Sub<Output = Self> + Sum
{
    /// So many units.
    fn of(units: u64) -> Self;
    /// How many units.
    fn units(self) -> u64;

    /// The share of `part` in `whole`, rounded down; all of it where `whole` is 0.
    fn share(self, part: Duration, whole: Duration) -> Self {
        let (part, whole) = (part.as_micros(), whole.as_micros());
        let units = self.units();
        let share = u128::from(units).saturating_mul(part).checked_div(whole);
        Self::of(share.and_then(|share| u64::try_from(share).ok()).map_or(units, |s| s.min(units)))
    }
}

/// Makes a newtype over `u64` a currency.
macro_rules! currency {
    ($name:ident) => {
        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
        }

        impl $crate::cost::amount::Amount for $name {
            fn of(units: u64) -> Self {
                Self(units)
            }

            fn units(self) -> u64 {
                self.0
            }
        }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 = self.0.saturating_add(other.0);
            }
        }

        impl std::ops::Sub for $name {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
                amounts.fold(Self::ZERO, |mut sum, amount| {
                    sum += amount;
                    sum
                })
            }
        }
    };
}
pub(super) use currency;
