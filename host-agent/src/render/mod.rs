//! The metrics page: a pure function of the snapshot.

mod agent;
mod budget;
mod cost;
mod energy;
mod engine;
mod gateway;
mod gpu;
mod host;
mod page;
mod pool;
mod process;

use crate::snapshot::Snapshot;
use page::Page;

/// The page's media type.
pub use prometheus::TEXT_FORMAT as CONTENT_TYPE;

/// Writes the page: each family once, sorted by name. What a source did not give is not on it.
pub fn page(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    agent::add(&mut page, snapshot);
    if let Ok(stats) = &snapshot.envoy.outcome {
        gateway::add(&mut page, stats);
    }
    if let Some(nvml) = &snapshot.nvml {
        gpu::add(&mut page, nvml);
    }
    if let Some(host) = snapshot.host.as_ref().and_then(|host| host.outcome.as_deref().ok()) {
        host::add(&mut page, host);
    }
    engine::add(&mut page, &snapshot.engines, &snapshot.differences);
    pool::add(&mut page, snapshot);
    process::add(&mut page, snapshot);
    budget::add(&mut page, &snapshot.budgets);
    if let Ok(price) = &snapshot.price {
        cost::add_price(&mut page, price);
    }
    if let Some(cost) = &snapshot.cost {
        cost::add(&mut page, cost);
        if let Some(energy) = &cost.energy {
            energy::add(&mut page, energy);
        }
    }
    page.write()
}

/// The gateway's families alone.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn gateway_page(stats: &crate::envoy::EnvoyStats) -> String {
    let mut page = Page::default();
    gateway::add(&mut page, stats);
    page.write()
}

#[cfg(test)]
pub(crate) mod tests;
