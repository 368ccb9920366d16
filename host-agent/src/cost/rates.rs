//! What a host costs while it runs, and the bill as it accrues.

use std::time::Duration;

use super::money::{Accrual, HourlyPrice};
use super::{BillComponent, Millijoules, NanoDollars};

const MILLIJOULES_PER_KWH: u128 = 3_600_000_000;
const THOUSANDTHS: u128 = 1000;

/// Prices in force. They may change from tick to tick; a change applies to the tick that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The machine.
    pub instance: HourlyPrice,
    /// What comes on top: storage, network, licences.
    pub overhead: Option<HourlyPrice>,
    /// Energy, for hardware whose price does not include it.
    pub electricity: Option<Electricity>,
}

/// What energy costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Electricity {
    /// Per kilowatt hour at the meter of the building.
    per_kwh: NanoDollars,
    /// Power usage effectiveness in thousandths: what the building draws for each watt at the GPU.
    pue_thousandths: u32,
}

impl Electricity {
    /// From dollars per kWh, above 0 and at most 100, and a PUE of 1 to 10.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the ranges were checked"
    )]
    pub fn new(dollars_per_kwh: f64, pue: f64) -> Option<Self> {
        let in_range =
            dollars_per_kwh > 0.0 && dollars_per_kwh <= 100.0 && (1.0..=10.0).contains(&pue);
        in_range.then(|| Self {
            per_kwh: NanoDollars((dollars_per_kwh * 1e9).round() as u64),
            pue_thousandths: (pue * 1e3).round() as u32,
        })
    }
}

/// The bill by component, since the agent started.
#[derive(Clone, Debug, Default)]
pub(super) struct Bill {
    /// What the hourly prices were charged for.
    pub(super) time: Duration,
    instance: Accrual,
    overhead: Accrual,
    energy: EnergyAccrual,
}

impl Bill {
    /// Bills one tick in which the GPUs used `energy`, and returns what it came to.
    pub(super) fn accrue(
        &mut self,
        rates: &Rates,
        elapsed: Duration,
        energy: Millijoules,
    ) -> NanoDollars {
        self.time = self.time.saturating_add(elapsed);
        let mut amount = self.instance.bill(rates.instance, elapsed);
        if let Some(overhead) = rates.overhead {
            amount += self.overhead.bill(overhead, elapsed);
        }
        if let Some(electricity) = rates.electricity {
            amount += self.energy.bill(electricity, energy);
        }
        amount
    }

    /// The components; those that never accrued are left out, but for the instance and what the
    /// rates have.
    pub(super) fn components(&self, rates: Option<&Rates>) -> Vec<(BillComponent, NanoDollars)> {
        let overhead = rates.is_some_and(|rates| rates.overhead.is_some());
        let energy = rates.is_some_and(|rates| rates.electricity.is_some());
        [
            (BillComponent::Instance, self.instance.total, true),
            (BillComponent::Overhead, self.overhead.total, overhead),
            (BillComponent::Energy, self.energy.total, energy),
        ]
        .into_iter()
        .filter(|(_, total, shown)| *shown || *total > NanoDollars::ZERO)
        .map(|(component, total, _)| (component, total))
        .collect()
    }
}

/// The energy component, carried like [`Accrual`]'s.
#[derive(Clone, Debug, Default)]
struct EnergyAccrual {
    /// In nano-dollars times millijoules per kWh times thousandths; below one nano-dollar.
    carry: u128,
    total: NanoDollars,
}

impl EnergyAccrual {
    fn bill(&mut self, electricity: Electricity, energy: Millijoules) -> NanoDollars {
        const NANO_DOLLAR: u128 = MILLIJOULES_PER_KWH * THOUSANDTHS;
        // Below 2^37 nano-dollars times 2^14 thousandths times 2^64 millijoules.
        let owed = u128::from(electricity.per_kwh.0)
            * u128::from(electricity.pue_thousandths)
            * u128::from(energy.0)
            + self.carry;
        self.carry = owed % NANO_DOLLAR;
        let amount = NanoDollars(u64::try_from(owed / NANO_DOLLAR).unwrap_or(u64::MAX));
        self.total += amount;
        amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_costs_what_the_building_draws() {
        let electricity = Electricity::new(0.25, 1.2).unwrap();
        let mut accrual = EnergyAccrual::default();
        for _ in 0..1_000_000 {
            accrual.bill(electricity, Millijoules(3_601));
        }
        // 3,601 MJ at 0.30 $ per 3,600 MJ.
        assert_eq!(accrual.total.0, 300_083_333);
    }

    #[test]
    fn tariffs_out_of_range_do_not_exist() {
        for (dollars, pue) in [(0.0, 1.0), (-1.0, 1.0), (0.1, 0.9), (0.1, f64::NAN), (101.0, 1.0)] {
            assert_eq!(Electricity::new(dollars, pue), None);
        }
    }

    #[test]
    fn a_new_price_applies_from_its_tick_on() {
        let rates = |dollars| Rates {
            instance: HourlyPrice::from_dollars(dollars).unwrap(),
            overhead: None,
            electricity: None,
        };
        let mut bill = Bill::default();
        let hour = Duration::from_hours(1);
        bill.accrue(&rates(2.0), hour, Millijoules(0));
        bill.accrue(&rates(0.5), hour, Millijoules(0));
        assert_eq!(bill.components(None), [(BillComponent::Instance, NanoDollars(2_500_000_000))]);
    }
}
