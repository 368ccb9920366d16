//! The cost model's state as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{CostEngine, CostKey, EnergyReport, ModelUnitCosts, NanoDollars, PoolSpec, TokenType};

/// The `pool` of money that belongs to none.
pub const NO_POOL: &str = "none";

/// All cost figures after a tick. Counters start at 0 with the agent.
#[derive(Clone, Debug)]
pub struct CostReport {
    /// The bill by component.
    pub bill: Vec<(BillComponent, NanoDollars)>,
    /// The time that the bill is for, the agent's absence included.
    pub billed: Duration,
    /// Money with tokens to show for it.
    pub attributed: Vec<(CostKey, NanoDollars)>,
    /// Money for idle GPUs, by pool.
    pub idle: Vec<(String, IdleReason, NanoDollars)>,
    /// Money that nobody can be named for.
    pub unattributed: Vec<(UnattributedReason, NanoDollars)>,
    /// First increments that are held back until Prometheus has seen their series at 0. Attributed
    /// all the same: whoever has no use for the delay adds them to `attributed`.
    pub held: Vec<(CostKey, NanoDollars)>,
    /// Used money that waits for tokens, and what is held.
    pub pending: NanoDollars,
    /// GPUs by pool, where pools have their own; MIG instances are parts of one.
    pub gpus: Vec<(String, f64)>,
    /// Busy time by pool.
    pub busy: Vec<(String, Duration)>,
    /// The weights in use, by model.
    pub weights: Vec<(String, TokenType, f64)>,
    /// What cached input would have cost more uncached, by model. No part of the bill.
    pub cache_savings: Vec<(String, NanoDollars)>,
    /// Tokens of models that no pool serves.
    pub unpriced_tokens: BTreeMap<String, u64>,
    /// Dollars per million tokens, by model.
    pub unit_costs: BTreeMap<String, ModelUnitCosts>,
    /// The same division in joules; `None` while no GPU has measured any.
    pub energy: Option<EnergyReport>,
}

/// What a bill is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillComponent {
    /// The host.
    Instance,
    /// The configured surcharge.
    Overhead,
    /// What the GPUs used, for hardware whose price does not include it.
    Energy,
}

impl BillComponent {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Overhead => "overhead",
            Self::Energy => "energy",
        }
    }
}

/// Why GPUs were idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleReason {
    /// No request was in flight.
    NoTraffic,
    /// The GPU is in no pool.
    NoModel,
}

impl IdleReason {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoTraffic => "no_traffic",
            Self::NoModel => "no_model",
        }
    }
}

/// Why money cannot be attributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnattributedReason {
    /// The agent did not run.
    AgentDown,
    /// The gateway could not be read.
    GatewayDown,
    /// Requests were in flight, but no tokens were ever reported.
    NoTokens,
}

impl UnattributedReason {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentDown => "agent_down",
            Self::GatewayDown => "gateway_down",
            Self::NoTokens => "no_tokens",
        }
    }
}

impl CostReport {
    /// What the bill is above the sum of its parts, in nano-dollars. Always 0; exported so that
    /// anybody can see that it is.
    pub fn conservation_error(&self) -> i128 {
        fn sum<'a>(amounts: impl Iterator<Item = &'a NanoDollars>) -> i128 {
            amounts.map(|amount| i128::from(amount.0)).sum()
        }
        sum(self.bill.iter().map(|(_, amount)| amount))
            - sum(self.attributed.iter().map(|(_, amount)| amount))
            - sum(self.idle.iter().map(|(_, _, amount)| amount))
            - sum(self.unattributed.iter().map(|(_, amount)| amount))
            - i128::from(self.pending.0)
    }
}

impl CostEngine {
    /// The figures as of the last tick.
    pub fn report(&self) -> CostReport {
        let idle = self.config.pools.iter().zip(self.money.idle());
        let idle = idle
            .map(|(pool, sum)| (pool.name.clone(), IdleReason::NoTraffic, sum))
            .chain(self.spare_idle());
        CostReport {
            bill: self.bill.components(self.rates.as_ref()),
            billed: self.bill.time,
            attributed: self.money.attributed().map(|(key, sum)| (key.clone(), sum)).collect(),
            held: self.money.held().map(|(key, sum)| (key.clone(), sum)).collect(),
            idle: idle.collect(),
            unattributed: vec![
                (UnattributedReason::AgentDown, self.agent_down),
                (UnattributedReason::GatewayDown, self.money.gateway_down),
                (UnattributedReason::NoTokens, self.money.no_tokens),
            ],
            pending: self.money.pending(),
            gpus: self.pool_gpus(),
            busy: self.pools.iter().map(|pool| (pool.spec.name.clone(), pool.busy)).collect(),
            weights: self.weights_in_use(),
            cache_savings: self.cache_savings.shown().map(|(m, sum)| (m.clone(), sum)).collect(),
            unpriced_tokens: self.unpriced.clone(),
            unit_costs: self.window.unit_costs(),
            energy: self.energy.report(&self.config.pools),
        }
    }

    fn pool_gpus(&self) -> Vec<(String, f64)> {
        let pools = self.config.pools.iter();
        pools.filter_map(|pool| Some((pool.name.clone(), self.hardware.gpus(pool)?))).collect()
    }

    /// Spare GPUs can exist only where pools name theirs.
    fn spare_idle(&self) -> Option<(String, IdleReason, NanoDollars)> {
        PoolSpec::can_leave_gpus(&self.config.pools)
            .then(|| (NO_POOL.to_owned(), IdleReason::NoModel, self.money.spare))
    }

    fn weights_in_use(&self) -> Vec<(String, TokenType, f64)> {
        let models: BTreeSet<_> = self.money.attributed().map(|(key, _)| &key.model).collect();
        let of = |model: &String, kind| self.config.weights.of(model).weight(kind);
        models
            .into_iter()
            .flat_map(|model| TokenType::ALL.map(|kind| (model.clone(), kind, of(model, kind))))
            .collect()
    }
}
