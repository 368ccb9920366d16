//! How much energy a GPU used: its own counter, or power samples integrated over time.
//!
//! The counter sees every peak between two samples, so it goes first. Some lie: an idle GPU's has
//! been seen to miss almost half. Both are therefore compared over ten minutes at a time, and a
//! counter that is off by more than a quarter loses to the samples until it agrees again.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::tally::Tally;
use super::{Energy, EnergySource};

/// Over how long the two are compared.
const COMPARISON: Duration = Duration::from_mins(10);
/// Counter divided by samples: what passes for agreement.
const AGREEMENT: RangeInclusive<f64> = 0.8..=1.25;
/// Power samples further apart than this say nothing about the time between.
const LONGEST_GAP: Duration = Duration::from_secs(90);
/// Below this the comparison says nothing.
const LEAST_MILLIJOULES: u64 = 1000;

/// The energy of one GPU.
#[derive(Clone, Debug, Default)]
pub(super) struct EnergyMeter {
    counter: Tally,
    samples: Integral,
    began: Option<Start>,
    /// Counter divided by samples, over the last full comparison.
    pub(super) disagreement: Option<f64>,
}

/// Where a comparison began.
#[derive(Clone, Copy, Debug)]
struct Start {
    at: Instant,
    counter: u64,
    samples: u64,
}

impl EnergyMeter {
    /// Takes in what the GPU says: energy in millijoules, power in milliwatts.
    pub(super) fn advance(
        &mut self,
        at: Instant,
        counter: Option<u64>,
        power: Option<u32>,
    ) -> Option<Energy> {
        if let Some(counter) = counter {
            self.counter.advance(counter);
        }
        match power {
            Some(power) => self.samples.advance(at, power),
            None => self.samples.pause(),
        }
        // A reading of both is needed at both ends, or a gap would look like a disagreement.
        if counter.is_some() && power.is_some() {
            self.compare(at);
        } else {
            self.began = None;
        }
        let trusted = self.disagreement.is_none_or(|ratio| AGREEMENT.contains(&ratio));
        let counted = self.counter.total();
        let (source, millijoules) = match (counted, self.samples.total()) {
            (Some(counted), None) => (EnergySource::Counter, counted),
            (Some(counted), Some(_)) if trusted => (EnergySource::Counter, counted),
            (_, Some(integrated)) => (EnergySource::Integrated, integrated),
            (None, None) => return None,
        };
        Some(Energy { source, millijoules })
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio of amounts far below 2^53")]
    fn compare(&mut self, at: Instant) {
        let (Some(counter), Some(samples)) = (self.counter.total(), self.samples.total()) else {
            return;
        };
        let now = Start { at, counter, samples };
        let Some(start) = self.began else {
            self.began = Some(now);
            return;
        };
        if at.saturating_duration_since(start.at) < COMPARISON {
            return;
        }
        self.began = Some(now);
        let samples = samples.saturating_sub(start.samples);
        if samples >= LEAST_MILLIJOULES {
            let counter = counter.saturating_sub(start.counter);
            self.disagreement = Some(counter as f64 / samples as f64);
        }
    }
}

/// Power over time, by the trapezoid rule, in whole millijoules.
#[derive(Clone, Copy, Debug, Default)]
struct Integral {
    last: Option<(Instant, u32)>,
    /// Less than a millijoule, in milliwatts times microseconds, twice.
    carry: u128,
    total: Option<u64>,
}

impl Integral {
    fn advance(&mut self, at: Instant, power: u32) {
        let total = self.total.get_or_insert(0);
        let Some((then, before)) = self.last.replace((at, power)) else { return };
        let gap = at.saturating_duration_since(then);
        if gap > LONGEST_GAP {
            return;
        }
        let twice = (u128::from(before) + u128::from(power)) * gap.as_micros() + self.carry;
        self.carry = twice % 2_000_000;
        *total = total.saturating_add(u64::try_from(twice / 2_000_000).unwrap_or(0));
    }

    /// The power is not known.
    fn pause(&mut self) {
        self.last = None;
    }

    fn total(&self) -> Option<u64> {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a meter with a sample a second; `gpu` gives counter and power at each second.
    fn run(seconds: u64, gpu: impl Fn(u64) -> (Option<u64>, Option<u32>)) -> (EnergyMeter, Energy) {
        let start = Instant::now();
        let mut meter = EnergyMeter::default();
        let mut energy = None;
        for second in 0..=seconds {
            let (counter, power) = gpu(second);
            energy = meter.advance(start + Duration::from_secs(second), counter, power);
        }
        (meter, energy.unwrap())
    }

    #[track_caller]
    fn check(
        seconds: u64,
        gpu: impl Fn(u64) -> (Option<u64>, Option<u32>),
        expected: (EnergySource, u64),
    ) {
        let (_, energy) = run(seconds, gpu);
        assert_eq!((energy.source, energy.millijoules), expected);
    }

    #[test]
    fn the_counter_goes_first() {
        check(10, |s| (Some(5000 + s * 90), Some(100)), (EnergySource::Counter, 900));
        check(10, |s| (Some(5000 + s * 90), None), (EnergySource::Counter, 900));
    }

    #[test]
    fn without_a_counter_power_is_integrated() {
        // From 100 to 200 mW over 10 s.
        let rising = |s: u64| (None, Some(100 + u32::try_from(s).unwrap() * 10));
        check(10, rising, (EnergySource::Integrated, 1500));
        // The third second is not known, and neither is the time around it.
        check(4, |s| (None, (s != 3).then_some(100)), (EnergySource::Integrated, 200));
    }

    #[test]
    fn a_driver_reload_costs_a_tick() {
        let reloaded = |s: u64| (Some(if s < 5 { 9000 + s * 100 } else { (s - 5) * 100 }), None);
        check(10, reloaded, (EnergySource::Counter, 900));
    }

    #[test]
    fn a_counter_that_lies_loses_to_the_samples_until_it_agrees() {
        let lying = |s| (Some(s * 57), Some(100));
        check(599, lying, (EnergySource::Counter, 599 * 57));
        check(600, lying, (EnergySource::Integrated, 60_000));
        let (meter, _) = run(600, lying);
        assert_eq!(meter.disagreement, Some(0.57));
        let repents = |s: u64| (Some(s.min(600) * 57 + s.saturating_sub(600) * 100), Some(100));
        check(1200, repents, (EnergySource::Counter, 600 * 157));
    }

    #[test]
    fn a_gap_is_no_disagreement() {
        let away = |s: u64| (Some(s * 100), (!(300..500).contains(&s)).then_some(100));
        let (meter, energy) = run(1100, away);
        assert_eq!((energy.source, meter.disagreement), (EnergySource::Counter, Some(1.0)));
    }
}
