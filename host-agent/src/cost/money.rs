//! Money as integers. Sums of floats drift; a bill must not.

use std::fmt;
use std::time::Duration;

use super::amount::currency;

const NANOS_PER_DOLLAR: u64 = 1_000_000_000;
const NANOS_PER_HOUR: u128 = 3_600_000_000_000;

/// The highest price per hour that is accepted, in dollars. It keeps every intermediate result of
/// the arithmetic in range.
pub const MAX_DOLLARS_PER_HOUR: f64 = 1e6;

/// An amount in nano-dollars. A `u64` holds 18 billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoDollars(pub u64);

impl NanoDollars {
    /// In dollars, for people and for metrics: exact below 2^53 nano-dollars, 9 million dollars.
    #[expect(clippy::cast_precision_loss, reason = "documented above")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANOS_PER_DOLLAR as f64
    }
}

currency!(NanoDollars);

/// A price per hour, in nano-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourlyPrice(u64);

impl HourlyPrice {
    /// From dollars per hour, rounded to the nano-dollar; `None` unless above 0 and at most
    /// [`MAX_DOLLARS_PER_HOUR`].
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the range was checked"
    )]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let in_range = dollars > 0.0 && dollars <= MAX_DOLLARS_PER_HOUR;
        in_range.then(|| Self((dollars * NANOS_PER_DOLLAR as f64).round() as u64))
    }

    /// In dollars per hour.
    pub fn dollars(self) -> f64 {
        NanoDollars(self.0).dollars()
    }
}

/// One component of the bill as it accrues. What a tick's division leaves over is carried into the
/// next one, so any number of ticks bills the same as one long tick.
#[derive(Clone, Debug, Default)]
pub(super) struct Accrual {
    /// In nano-dollars times nanoseconds per hour; below one nano-dollar.
    carry: u128,
    pub(super) total: NanoDollars,
}

impl Accrual {
    /// Bills `elapsed` at a price and returns what that came to.
    pub(super) fn bill(&mut self, price: HourlyPrice, elapsed: Duration) -> NanoDollars {
        // Below 2^50 nano-dollars times at most 2^70 nanoseconds, which are 37,000 years.
        let owed = u128::from(price.0) * elapsed.as_nanos().min(1 << 70) + self.carry;
        self.carry = owed % NANOS_PER_HOUR;
        let amount = NanoDollars(u64::try_from(owed / NANOS_PER_HOUR).unwrap_or(u64::MAX));
        self.total += amount;
        amount
    }
}

impl fmt::Display for NanoDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:09}", self.0 / NANOS_PER_DOLLAR, self.0 % NANOS_PER_DOLLAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_costs_the_price_however_it_is_cut() {
        let price = HourlyPrice::from_dollars(98.32).unwrap();
        for ticks in [1_u32, 7, 720, 3_601] {
            let mut accrual = Accrual::default();
            let tick = Duration::from_nanos(3_600_000_000_000 / u64::from(ticks));
            let billed: NanoDollars = (0..ticks).map(|_| accrual.bill(price, tick)).sum();
            let rest = accrual.bill(price, Duration::from_hours(1) - tick * ticks);
            assert_eq!(billed.0 + rest.0, 98_320_000_000, "{ticks} ticks");
            assert_eq!(accrual.total.0, 98_320_000_000);
        }
    }

    #[test]
    fn prices_out_of_range_do_not_exist() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7] {
            assert_eq!(HourlyPrice::from_dollars(bad), None, "{bad}");
        }
        assert_eq!(HourlyPrice::from_dollars(6.88).map(HourlyPrice::dollars), Some(6.88));
    }

    #[test]
    fn reads_as_dollars() {
        assert_eq!(NanoDollars(1_000_000_001).to_string(), "$1.000000001");
    }
}
