//! What goes into the cost model and what a tick gives back.

use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(doc)]
use super::{Calibration, CostEngine};
use super::{NanoDollars, PoolSpec, Rates, WeightTable};
use crate::envoy::EnvoyStats;
use crate::gpu::GpuReading;

/// All that cost is worked out from, besides the gateway.
#[derive(Clone, Debug)]
pub struct CostConfig {
    /// The pools as configured; those that are found come later, see [`CostEngine::set_pools`].
    pub pools: Vec<PoolSpec>,
    /// Token weights.
    pub weights: WeightTable,
    /// How long used money waits for tokens before it is given up as unattributed.
    pub max_request_duration: Duration,
    /// Over how long dollars per million tokens are worked out.
    pub window: Duration,
    /// Below this many tokens in the window nothing is said.
    pub min_tokens: u64,
    /// Whether weights are learned; see [`Calibration`].
    pub calibrate: bool,
}

/// What a tick knows.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// Time since the last tick, by the monotonic clock.
    pub elapsed: Duration,
    /// The prices in force.
    pub rates: Rates,
    /// The gateway's page; `None` when it could not be read.
    pub gateway: Option<&'a EnvoyStats>,
    /// The host's GPUs; `None` when they could not be read.
    pub gpus: Option<&'a GpuReading>,
    /// Whether the page that showed the last tick was read.
    pub page_read: bool,
}

/// What one tick cost, and who for: the bill, and what was attributed to model and tenant. Money that
/// was pending is attributed later than it was billed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// The whole bill.
    pub bill: NanoDollars,
    /// By model and tenant.
    pub attributed: BTreeMap<(String, Option<String>), NanoDollars>,
}
