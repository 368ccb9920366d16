//! Cost per token that adds up.
//!
//! Each tick the host's price accrues as a bill and is taken apart:
//!
//! ```text
//! bill ─► pools, by GPUs ─┬─► idle                  no request in flight, or a GPU in no pool
//!                         └─► used ─► attributed    by weighted tokens, to model, tenant, kind, outcome
//!                                 └─► pending ─► unattributed    no tokens came
//! gateway down: the whole bill ─► unattributed
//! ```
//!
//! All amounts are integers, so at every tick, to the nano-dollar:
//! bill = attributed + idle + unattributed + pending. Tokens of aborted and failed requests keep
//! their cost; estimated tokens count like reported ones, for the work was done.

mod key;
mod ledger;
mod meter;
mod money;
mod pool;
mod report;
mod split;
mod weights;
mod window;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

pub use key::{CostKey, CostOutcome, TokenType};
pub use money::{HourlyPrice, MAX_DOLLARS_PER_HOUR, NanoDollars};
pub use pool::PoolSpec;
pub use report::{BillComponent, CostReport, IdleReason, NO_POOL, UnattributedReason};
pub use weights::{MAX_WEIGHT, WeightTable, Weights};
pub use window::{ModelUnitCosts, UnitCost};

use crate::envoy::EnvoyStats;
use ledger::Ledger;
use meter::Meter;
use money::Accrual;
use pool::Pool;
use split::split;
use window::Window;
use work::Work;

/// Most lines of attribution. The filter caps models and tenants, but names can change for as long
/// as the agent runs; what comes later goes to one model and no tenant.
const MAX_LINES: usize = 20_000;
const OTHER: &str = "__other__";

/// All that cost is worked out from, besides the gateway.
#[derive(Clone, Debug)]
pub struct CostConfig {
    /// What the host costs.
    pub price: HourlyPrice,
    /// What comes on top: shared machines, licences, people.
    pub overhead: Option<HourlyPrice>,
    /// The pools; never empty.
    pub pools: Vec<PoolSpec>,
    /// Token weights.
    pub weights: WeightTable,
    /// How long used money waits for tokens before it is given up as unattributed.
    pub max_request_duration: Duration,
    /// Over how long dollars per million tokens are worked out.
    pub window: Duration,
    /// Below this many tokens in the window nothing is said.
    pub min_tokens: u64,
}

/// What a tick knows.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// Time since the last tick, by the monotonic clock.
    pub elapsed: Duration,
    /// The gateway's page; `None` when it could not be read.
    pub gateway: Option<&'a EnvoyStats>,
    /// How many GPUs the host has; `None` when that is not known now.
    pub gpus: Option<u32>,
    /// Whether the page that showed the last tick was read.
    pub page_read: bool,
}

/// The running cost model. Pure: time and pages go in, a report comes out.
#[derive(Debug)]
pub struct CostEngine {
    config: CostConfig,
    age: Duration,
    instance: Accrual,
    overhead: Option<Accrual>,
    meter: Meter,
    pools: Vec<Pool>,
    /// As last known; the count does not change because NVML is away.
    gpus: Option<u32>,
    attributed: Ledger<CostKey>,
    /// Billed for GPUs in no pool.
    spare: NanoDollars,
    gateway_down: NanoDollars,
    no_tokens: NanoDollars,
    /// Tokens of models that no pool serves.
    unpriced: BTreeMap<String, u64>,
    window: Window,
}

impl CostEngine {
    /// An engine that has billed nothing yet.
    pub fn new(config: CostConfig) -> Self {
        Self {
            age: Duration::ZERO,
            instance: Accrual::new(config.price),
            overhead: config.overhead.map(Accrual::new),
            meter: Meter::default(),
            pools: config.pools.iter().cloned().map(Pool::new).collect(),
            gpus: None,
            attributed: Ledger::with([]),
            spare: NanoDollars::ZERO,
            gateway_down: NanoDollars::ZERO,
            no_tokens: NanoDollars::ZERO,
            unpriced: BTreeMap::new(),
            window: Window::new(config.window, config.min_tokens),
            config,
        }
    }

    /// Bills one tick and takes the bill apart.
    pub fn tick(&mut self, tick: &Tick<'_>) {
        self.attributed.release(tick.page_read);
        self.age += tick.elapsed;
        self.gpus = tick.gpus.or(self.gpus);
        let mut bill = self.instance.bill(tick.elapsed);
        bill += self.overhead.as_mut().map_or(NanoDollars::ZERO, |o| o.bill(tick.elapsed));
        self.window.advance(tick.elapsed, bill);

        let shares = self.shares(bill);
        match tick.gateway {
            Some(page) => self.attribute(&shares, page, tick.elapsed),
            None => self.write_off(&shares),
        }
        for pool in &mut self.pools {
            self.no_tokens += pool.expire(tick.elapsed, self.config.max_request_duration);
        }
    }

    /// Divides the bill among the pools by their GPUs, and books the share of GPUs in no pool.
    fn shares(&mut self, bill: NanoDollars) -> Vec<NanoDollars> {
        let pooled: u32 = self.pools.iter().filter_map(|pool| pool.spec.gpus).sum();
        let spare = match self.gpus {
            Some(gpus) if pooled > 0 => gpus.saturating_sub(pooled),
            Some(_) | None => 0,
        };
        let weights = self.pools.iter().map(|pool| pool.spec.gpus.unwrap_or(1)).chain([spare]);
        let weights: Vec<_> = weights.map(u128::from).collect();
        let mut shares = split(bill.0, &weights).unwrap_or_default();
        self.spare += NanoDollars(shares.pop().unwrap_or(bill.0));
        shares.into_iter().map(NanoDollars).collect()
    }

    /// Without the gateway nobody knows what the GPUs did.
    fn write_off(&mut self, shares: &[NanoDollars]) {
        self.gateway_down += shares.iter().copied().sum();
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
            let used = pool.use_up(*share, elapsed, in_flight, work.request_time(place));
            pool.keep(used);
            self.share_out(place, work.take_tokens(place));
        }
    }

    /// Shares a pool's pending money out by the weighted tokens of this tick.
    fn share_out(&mut self, place: usize, tokens: BTreeMap<CostKey, u64>) {
        let Some(pool) = self.pools.get_mut(place) else { return };
        let weigh = |(key, tokens): (&CostKey, &u64)| {
            let weight = self.config.weights.of(&key.model).millionths(key.token_type);
            u128::from(*tokens) * u128::from(weight)
        };
        let weights: Vec<_> = tokens.iter().map(weigh).collect();
        let Some(parts) = split(pool.pending.0, &weights) else { return };
        pool.take_pending();
        for ((key, tokens), part) in tokens.into_iter().zip(parts) {
            let (key, part) = (self.bounded(key), NanoDollars(part));
            self.window.add(&key.model, key.token_type, part, tokens);
            self.attributed.add(key, part);
        }
    }

    fn bounded(&self, key: CostKey) -> CostKey {
        if self.attributed.len() < MAX_LINES || self.attributed.contains(&key) {
            return key;
        }
        CostKey { model: OTHER.to_owned(), tenant: None, ..key }
    }
}

#[cfg(test)]
mod tests;
