//! Energy per token: what the GPUs measured, taken apart like the bill.
//!
//! Pools get what their own GPUs used, so nothing is divided by head count unless pools name no
//! GPUs. A GPU that holds a model draws power without work, and that is what idle energy is:
//! idle power * idle time. Idle power is measured, in ticks in which the pool was idle throughout;
//! until there was one, idle energy is the idle share of the tick.

use std::collections::BTreeMap;
use std::time::Duration;

use super::account::Account;
use super::amount::{Amount, currency};
use super::hardware::{Hardware, WHOLE};
use super::split::split;
use super::{CostKey, NO_POOL, PoolSpec, Tick, UnattributedReason};
use crate::gpu::{EnergySource, GpuIdentity, GpuReading};

const MILLIJOULES_PER_JOULE: f64 = 1e3;
/// Over how much idle time idle power is averaged. Older measurements fade.
const IDLE_MEMORY: Duration = Duration::from_mins(10);

/// An amount of energy in millijoules, NVML's unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millijoules(pub u64);

currency!(Millijoules);

impl Millijoules {
    /// In joules: exact below 2^53 millijoules.
    #[expect(clippy::cast_precision_loss, reason = "documented above")]
    pub fn joules(self) -> f64 {
        self.0 as f64 / MILLIJOULES_PER_JOULE
    }
}

/// All energy figures after a tick. Counters start at 0 with the agent.
#[derive(Clone, Debug)]
pub struct EnergyReport {
    /// What all GPUs used while the agent could read them.
    pub measured: Millijoules,
    /// Energy with tokens to show for it.
    pub attributed: Vec<(CostKey, Millijoules)>,
    /// Energy of idle GPUs, by pool.
    pub idle: Vec<(String, Millijoules)>,
    /// Energy that nobody can be named for.
    pub unattributed: Vec<(UnattributedReason, Millijoules)>,
    /// First increments that are held back, as [`held`](super::CostReport::held) money is.
    pub held: Vec<(CostKey, Millijoules)>,
    /// Used energy that waits for tokens, and what is held.
    pub pending: Millijoules,
}

impl EnergyReport {
    /// What was measured above the sum of the parts, in millijoules. Always 0.
    pub fn conservation_error(&self) -> i128 {
        let parts = (self.attributed.iter().map(|(_, sum)| sum))
            .chain(self.idle.iter().map(|(_, sum)| sum))
            .chain(self.unattributed.iter().map(|(_, sum)| sum))
            .chain([&self.pending]);
        i128::from(self.measured.0) - parts.map(|sum| i128::from(sum.0)).sum::<i128>()
    }
}

/// The energy side of the cost engine.
#[derive(Debug)]
pub(super) struct EnergyEngine {
    meter: GpuMeter,
    measured: Option<Millijoules>,
    account: Account<Millijoules>,
    /// Each pool's part of this tick; `None` where nothing was measured.
    shares: Vec<Option<Millijoules>>,
    idle_power: Vec<IdlePower>,
}

impl EnergyEngine {
    pub(super) fn new(pools: usize) -> Self {
        Self {
            meter: GpuMeter::default(),
            measured: None,
            account: Account::new(pools),
            shares: vec![None; pools],
            idle_power: vec![IdlePower::default(); pools],
        }
    }

    /// Makes room for so many pools.
    pub(super) fn grow(&mut self, pools: usize) {
        self.account.grow(pools);
        self.shares.resize(pools.max(self.shares.len()), None);
        self.idle_power.resize(pools.max(self.idle_power.len()), IdlePower::default());
    }

    /// Starts a tick: takes in what the GPUs used since the last one and divides it among the pools.
    /// Returns what they used.
    pub(super) fn advance(
        &mut self,
        tick: &Tick<'_>,
        pools: &[PoolSpec],
        hardware: &Hardware,
    ) -> Millijoules {
        self.account.release(tick.page_read);
        self.shares.fill(None);
        let mut total = Millijoules::ZERO;
        for (gpu, used) in self.meter.advance(tick.gpus) {
            let measured = self.measured.get_or_insert_default();
            let Some(used) = used else { continue };
            *measured += used;
            total += used;
            let (parts, rest) = divide(used, gpu, pools, hardware);
            self.account.spare += rest;
            for (share, part) in self.shares.iter_mut().zip(parts) {
                if let Some(part) = part {
                    *share.get_or_insert_default() += part;
                }
            }
        }
        total
    }

    /// Books a pool's part of the tick: what it drew idle, and what it used.
    pub(super) fn book(&mut self, place: usize, busy: Duration, elapsed: Duration) {
        let Some(Some(share)) = self.shares.get(place).copied() else { return };
        let Some(idle_power) = self.idle_power.get_mut(place) else { return };
        let idle_time = elapsed.saturating_sub(busy);
        let idle = if busy.is_zero() {
            idle_power.learn(share, elapsed);
            share
        } else {
            idle_power.over(idle_time).unwrap_or_else(|| share.share(idle_time, elapsed))
        };
        self.account.book(place, share, idle);
    }

    /// Without the gateway nobody knows what the GPUs did.
    pub(super) fn write_off(&mut self) {
        self.account.gateway_down += self.shares.iter().flatten().copied().sum();
    }

    pub(super) fn share_out(&mut self, place: usize, lines: &[(CostKey, u128)]) {
        self.account.share_out(place, lines);
    }

    pub(super) fn expire(&mut self, elapsed: Duration, limit: Duration) {
        self.account.expire(elapsed, limit);
    }

    /// `None` while no GPU has measured any energy.
    pub(super) fn report(&self, pools: &[PoolSpec]) -> Option<EnergyReport> {
        let spare =
            PoolSpec::can_leave_gpus(pools).then(|| (NO_POOL.to_owned(), self.account.spare));
        let idle =
            pools.iter().zip(self.account.idle()).map(|(pool, sum)| (pool.name.clone(), sum));
        Some(EnergyReport {
            measured: self.measured?,
            attributed: self.account.attributed().map(|(key, sum)| (key.clone(), sum)).collect(),
            held: self.account.held().map(|(key, sum)| (key.clone(), sum)).collect(),
            idle: idle.chain(spare).collect(),
            unattributed: vec![
                (UnattributedReason::GatewayDown, self.account.gateway_down),
                (UnattributedReason::NoTokens, self.account.no_tokens),
            ],
            pending: self.account.pending(),
        })
    }
}

/// Divides what a GPU used among the pools that have a part of it; the rest is nobody's. Only the
/// whole GPU has a meter, so MIG instances are taken to draw power like their part of it.
fn divide(
    used: Millijoules,
    gpu: &GpuIdentity,
    pools: &[PoolSpec],
    hardware: &Hardware,
) -> (Vec<Option<Millijoules>>, Millijoules) {
    let mut parts: Vec<_> = if PoolSpec::can_leave_gpus(pools) {
        pools.iter().map(|pool| hardware.of_gpu(pool, gpu)).collect()
    } else {
        vec![WHOLE; pools.len()]
    };
    parts.push(WHOLE.saturating_sub(parts.iter().copied().fold(0, u64::saturating_add)));
    let weights: Vec<_> = parts.into_iter().map(u128::from).collect();
    let mut shares = split(used.0, &weights).unwrap_or_default();
    let rest = Millijoules(shares.pop().unwrap_or(used.0));
    let owned = |(share, weight): (u64, u128)| (weight > 0).then_some(Millijoules(share));
    (shares.into_iter().zip(weights).map(owned).collect(), rest)
}

/// Remembers what each GPU's meter showed.
#[derive(Debug, Default)]
struct GpuMeter {
    last: BTreeMap<(String, EnergySource), u64>,
}

impl GpuMeter {
    /// What each GPU that has a meter used since the last tick. A meter that was not there at the
    /// last tick starts here, and one that fell used nothing: what they missed was not measured, and
    /// is not made up.
    fn advance<'a>(
        &mut self,
        reading: Option<&'a GpuReading>,
    ) -> Vec<(&'a GpuIdentity, Option<Millijoules>)> {
        let gpus = reading.map(|reading| reading.gpus.as_slice()).unwrap_or_default();
        let mut now = BTreeMap::new();
        let mut used = Vec::new();
        for gpu in gpus {
            let Some(energy) = gpu.energy else { continue };
            let key = (gpu.identity.uuid.clone(), energy.source);
            let before = self.last.get(&key);
            let growth = before.map(|before| energy.millijoules.saturating_sub(*before));
            used.push((&gpu.identity, growth.map(Millijoules)));
            now.insert(key, energy.millijoules);
        }
        self.last = now;
        used
    }
}

/// A pool's power while it serves nothing, as an energy over a time.
#[derive(Clone, Copy, Debug, Default)]
struct IdlePower {
    energy: Millijoules,
    time: Duration,
}

impl IdlePower {
    /// Takes in a tick that was idle throughout.
    fn learn(&mut self, energy: Millijoules, time: Duration) {
        self.energy += energy;
        self.time += time;
        if self.time > IDLE_MEMORY {
            *self = Self { energy: Millijoules(self.energy.0 / 2), time: self.time / 2 };
        }
    }

    /// What it comes to over a time; `None` where it was never measured.
    fn over(self, time: Duration) -> Option<Millijoules> {
        let energy = u128::from(self.energy.0) * time.as_micros();
        let energy = energy.checked_div(self.time.as_micros())?;
        Some(Millijoules(u64::try_from(energy).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests;
