//! Cost per token that adds up.
//!
//! Each tick the host's price accrues as a bill and is taken apart:
//!
//! ```text
//! bill ─► pools, by GPUs ─┬─► idle                  no request in flight, or a GPU in no pool
//!                         └─► used ─► attributed    by weighted tokens, to model, tenant, kind, outcome
//!                                 └─► pending ─► unattributed    no tokens came
//! gateway or agent down: the whole bill ─► unattributed
//! ```
//!
//! All amounts are integers, so at every tick, to the nano-dollar:
//! bill = attributed + idle + unattributed + pending. Tokens of aborted and failed requests keep
//! their cost; estimated tokens count like reported ones, for the work was done.
//!
//! The energy that the GPUs measured goes the same way, in millijoules: see [`energy`].

mod account;
mod amount;
mod calibration;
pub mod energy;
mod hardware;
mod key;
mod ledger;
mod meter;
mod money;
mod pool;
mod rates;
mod report;
mod split;
mod tick;
mod weights;
mod window;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

pub use calibration::Calibration;
pub use energy::{EnergyReport, Millijoules};
pub use key::{CostKey, CostOutcome, TokenType};
pub use money::{HourlyPrice, MAX_DOLLARS_PER_HOUR, NanoDollars};
pub use pool::{GpuName, PoolSpec};
pub use rates::{Electricity, Rates};
pub use report::{BillComponent, CostReport, IdleReason, NO_POOL, UnattributedReason};
pub use tick::{CostConfig, Spending, Tick};
pub use weights::{MAX_WEIGHT, WeightTable, Weights};
pub use window::{ModelUnitCosts, UnitCost};

use crate::envoy::EnvoyStats;
use account::{Account, MAX_LINES, OTHER};
use amount::Amount;
use energy::EnergyEngine;
use hardware::Hardware;
use ledger::Ledger;
use meter::Meter;
use pool::Pool;
use rates::Bill;
use split::split;
use window::Window;
use work::Work;

/// Most pools; only their names can make more than there are GPUs.
const MAX_POOLS: usize = 256;
/// Ticks after which the agent's absence is billed although no one has read a page.
const MAX_WAITED_TICKS: u32 = 60;

/// Time in which the agent did not run.
#[derive(Clone, Copy, Debug)]
struct Away {
    time: Duration,
    /// In ticks.
    waited: u32,
}

/// The running cost model. Pure: time and pages go in, a report comes out.
#[derive(Debug)]
pub struct CostEngine {
    config: CostConfig,
    age: Duration,
    rates: Option<Rates>,
    bill: Bill,
    /// How long the agent was away, until that is billed.
    away: Option<Away>,
    agent_down: NanoDollars,
    /// What cached input would have cost more if it had not been cached. No part of the bill.
    cache_savings: Ledger<String, NanoDollars>,
    spending: Spending,
    meter: Meter,
    pools: Vec<Pool>,
    hardware: Hardware,
    money: Account<NanoDollars>,
    energy: EnergyEngine,
    /// Tokens of models that no pool serves.
    unpriced: BTreeMap<String, u64>,
    window: Window,
    calibration: Calibration,
}

impl CostEngine {
    /// An engine that has billed nothing yet.
    pub fn new(config: CostConfig) -> Self {
        Self {
            age: Duration::ZERO,
            rates: None,
            bill: Bill::default(),
            away: None,
            agent_down: NanoDollars::ZERO,
            cache_savings: Ledger::with([]),
            spending: Spending::default(),
            meter: Meter::default(),
            pools: config.pools.iter().cloned().map(Pool::new).collect(),
            hardware: Hardware::default(),
            money: Account::new(config.pools.len()),
            energy: EnergyEngine::new(config.pools.len()),
            unpriced: BTreeMap::new(),
            window: Window::new(config.window, config.min_tokens),
            calibration: Calibration::default(),
            config,
        }
    }

    /// Will bill this time too, in which the agent did not run but the host did. It waits until a
    /// page was read, so that Prometheus has seen the counters at 0 and counts it.
    pub fn charge_absence(&mut self, away: Duration) {
        self.away = (!away.is_zero()).then_some(Away { time: away, waited: 0 });
    }

    /// Replaces the pools by those that are there now. A pool is known by its name; one that is gone
    /// keeps its counters, serves nothing and gets no share.
    pub fn set_pools(&mut self, found: Vec<PoolSpec>) {
        for pool in &mut self.config.pools {
            if !found.iter().any(|spec| spec.name == pool.name) {
                pool.gpus = Some(Vec::new());
            }
        }
        let pools = &mut self.config.pools;
        for spec in found {
            if let Some(pool) = pools.iter_mut().find(|pool| pool.name == spec.name) {
                *pool = spec;
            } else if pools.len() < MAX_POOLS {
                pools.push(spec);
            }
        }
        let known = self.pools.len();
        self.pools.extend(self.config.pools.iter().skip(known).cloned().map(Pool::new));
        for (pool, spec) in self.pools.iter_mut().zip(&self.config.pools) {
            pool.spec.clone_from(spec);
        }
        self.money.grow(self.pools.len());
        self.energy.grow(self.pools.len());
    }

    /// Goes on learning weights where an earlier run stopped, with what it had learned.
    pub fn resume(&mut self, calibration: Calibration) {
        self.config.weights.learned = calibration.weights();
        self.calibration = calibration;
    }

    /// What has been learned, to be saved; `None` when nothing is to be learned.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.config.calibrate.then_some(&self.calibration)
    }

    /// Says when the present billing period began. With a new one learned weights come into force,
    /// so that within a period every token of a kind weighs the same.
    pub fn in_period(&mut self, start: i64) {
        if self.config.calibrate && self.calibration.begin(start, self.config.weights.default) {
            self.config.weights.learned = self.calibration.weights();
        }
    }

    /// Bills one tick, takes the bill apart and returns what was spent.
    pub fn tick(&mut self, tick: &Tick<'_>) -> Spending {
        self.money.release(tick.page_read);
        self.cache_savings.release(tick.page_read);
        self.rates = Some(tick.rates);
        self.age += tick.elapsed;
        if let Some(gpus) = tick.gpus {
            self.hardware.see(gpus);
        }
        let energy = self.energy.advance(tick, &self.config.pools, &self.hardware);
        let bill = self.bill.accrue(&tick.rates, tick.elapsed, energy);
        self.window.advance(tick.elapsed, bill);
        self.spending.bill = bill;
        self.bill_absence(tick);

        let shares = self.shares(bill);
        match tick.gateway {
            Some(page) => self.attribute(&shares, page, tick.elapsed),
            None => self.write_off(&shares),
        }
        self.money.expire(tick.elapsed, self.config.max_request_duration);
        self.energy.expire(tick.elapsed, self.config.max_request_duration);
        std::mem::take(&mut self.spending)
    }

    /// Bills the agent's absence once that can be seen. What the GPUs used meanwhile was not measured.
    fn bill_absence(&mut self, tick: &Tick<'_>) {
        let Some(away) = &mut self.away else { return };
        if !tick.page_read && away.waited < MAX_WAITED_TICKS {
            away.waited += 1;
            return;
        }
        let bill = self.bill.accrue(&tick.rates, away.time, Millijoules::ZERO);
        self.agent_down += bill;
        self.spending.bill += bill;
        self.away = None;
    }

    /// Divides the bill among the pools by their GPUs, and books the share of GPUs in no pool.
    fn shares(&mut self, bill: NanoDollars) -> Vec<NanoDollars> {
        let pools = &self.config.pools;
        let mut parts: Vec<_> = pools.iter().map(|pool| self.hardware.of(pool)).collect();
        let pooled = parts.iter().copied().fold(0, u64::saturating_add);
        let all = self.hardware.all().filter(|_| PoolSpec::can_leave_gpus(pools));
        parts.push(all.map_or(0, |all| all.saturating_sub(pooled)));
        let weights: Vec<_> = parts.into_iter().map(u128::from).collect();
        let mut shares = split(bill.0, &weights).unwrap_or_default();
        self.money.spare += NanoDollars(shares.pop().unwrap_or(bill.0));
        shares.into_iter().map(NanoDollars).collect()
    }

    /// Without the gateway nobody knows what the GPUs did.
    fn write_off(&mut self, shares: &[NanoDollars]) {
        self.money.gateway_down += shares.iter().copied().sum();
        self.energy.write_off();
        self.pools.iter_mut().for_each(Pool::lose_sight);
    }

    fn attribute(&mut self, shares: &[NanoDollars], page: &EnvoyStats, elapsed: Duration) {
        let grown = self.meter.advance(page, self.age);
        let mut work = Work::gather(grown, &self.config.pools);
        for (model, tokens) in work.take_unpriced() {
            let known = self.unpriced.len() < MAX_LINES || self.unpriced.contains_key(&model);
            let model = if known { model } else { OTHER.to_owned() };
            let count = self.unpriced.entry(model).or_default();
            *count = count.saturating_add(tokens);
        }
        for (place, share) in shares.iter().enumerate() {
            let Some(pool) = self.pools.get_mut(place) else { continue };
            let in_flight = work::in_flight(page, &pool.spec);
            let busy = pool.observe(elapsed, in_flight, work.request_time(place));
            self.money.book(place, *share, *share - share.share(busy, elapsed));
            self.energy.book(place, busy, elapsed);
            let tokens = work.take_tokens(place);
            if self.config.calibrate {
                self.calibration.observe(place, elapsed, busy, &tokens);
            }
            self.share_out(place, tokens);
        }
    }

    /// Shares what a pool has pending out by the weighted tokens of this tick.
    fn share_out(&mut self, place: usize, tokens: BTreeMap<CostKey, u64>) {
        let weigh = |(key, tokens): (&CostKey, &u64)| {
            let weight = self.config.weights.of(&key.model).millionths(key.token_type);
            (key.clone(), u128::from(*tokens) * u128::from(weight))
        };
        let lines: Vec<_> = tokens.iter().map(weigh).collect();
        self.energy.share_out(place, &lines);
        let booked = self.money.share_out(place, &lines).unwrap_or_default();
        for ((key, part), tokens) in booked.into_iter().zip(tokens.into_values()) {
            self.window.add(&key.model, key.token_type, part, tokens);
            if let Some(saved) = self.saved_by_cache(&key, part) {
                self.cache_savings.add(key.model.clone(), saved);
            }
            *self.spending.attributed.entry((key.model, key.tenant)).or_default() += part;
        }
    }

    /// What cached tokens that cost `part` would have cost more as uncached ones.
    fn saved_by_cache(&self, key: &CostKey, part: NanoDollars) -> Option<NanoDollars> {
        if key.token_type != TokenType::CachedInput {
            return None;
        }
        let weights = self.config.weights.of(&key.model);
        let cached = u128::from(weights.millionths(TokenType::CachedInput));
        let uncached = u128::from(weights.millionths(TokenType::UncachedInput));
        // Where cached input weighs nothing there is no telling what it would have cost.
        let whole = (u128::from(part.0) * uncached).checked_div(cached)?;
        Some(NanoDollars(u64::try_from(whole).unwrap_or(u64::MAX)) - part)
    }
}

#[cfg(test)]
mod tests;
