//! The cost model's state as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{CostEngine, CostKey, HourlyPrice, ModelUnitCosts, NanoDollars, TokenType};

/// The `pool` of money that belongs to none.
pub const NO_POOL: &str = "none";

/// All cost figures after a tick. Counters start at 0 with the agent.
#[derive(Clone, Debug)]
pub struct CostReport {
    /// What the host costs.
    pub price: HourlyPrice,
    /// The bill by component.
    pub bill: Vec<(BillComponent, NanoDollars)>,
    /// Money with tokens to show for it.
    pub attributed: Vec<(CostKey, NanoDollars)>,
    /// Money for idle GPUs, by pool.
    pub idle: Vec<(String, IdleReason, NanoDollars)>,
    /// Money that nobody can be named for.
    pub unattributed: Vec<(UnattributedReason, NanoDollars)>,
    /// Used money that waits for tokens, and first increments that are held back.
    pub pending: NanoDollars,
    /// Busy time by pool.
    pub busy: Vec<(String, Duration)>,
    /// The weights in use, by model.
    pub weights: Vec<(String, TokenType, f64)>,
    /// Tokens of models that no pool serves.
    pub unpriced_tokens: BTreeMap<String, u64>,
    /// Dollars per million tokens, by model.
    pub unit_costs: BTreeMap<String, ModelUnitCosts>,
}

/// What a bill is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillComponent {
    /// The host.
    Instance,
    /// The configured surcharge.
    Overhead,
}

impl BillComponent {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Overhead => "overhead",
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
    /// The gateway could not be read.
    GatewayDown,
    /// Requests were in flight, but no tokens were ever reported.
    NoTokens,
}

impl UnattributedReason {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
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
        let overhead = self.overhead.iter().map(|part| (BillComponent::Overhead, part.total));
        let bill = [(BillComponent::Instance, self.instance.total)].into_iter().chain(overhead);
        let idle = self
            .pools
            .iter()
            .map(|pool| (pool.spec.name.clone(), IdleReason::NoTraffic, pool.idle))
            .chain(self.spare_idle());
        let pending: NanoDollars = self.pools.iter().map(|pool| pool.pending).sum();
        CostReport {
            price: self.config.price,
            bill: bill.collect(),
            attributed: self.attributed.shown().map(|(key, sum)| (key.clone(), sum)).collect(),
            idle: idle.collect(),
            unattributed: vec![
                (UnattributedReason::GatewayDown, self.gateway_down),
                (UnattributedReason::NoTokens, self.no_tokens),
            ],
            pending: [pending, self.attributed.held()].into_iter().sum(),
            busy: self.pools.iter().map(|pool| (pool.spec.name.clone(), pool.busy)).collect(),
            weights: self.weights_in_use(),
            unpriced_tokens: self.unpriced.clone(),
            unit_costs: self.window.unit_costs(),
        }
    }

    /// Spare GPUs can exist only where pools name theirs.
    fn spare_idle(&self) -> Option<(String, IdleReason, NanoDollars)> {
        let named = self.pools.iter().any(|pool| pool.spec.gpus.is_some());
        named.then(|| (NO_POOL.to_owned(), IdleReason::NoModel, self.spare))
    }

    fn weights_in_use(&self) -> Vec<(String, TokenType, f64)> {
        let models: BTreeSet<_> = self.attributed.shown().map(|(key, _)| &key.model).collect();
        let of = |model: &String, kind| self.config.weights.of(model).weight(kind);
        models
            .into_iter()
            .flat_map(|model| TokenType::ALL.map(|kind| (model.clone(), kind, of(model, kind))))
            .collect()
    }
}
