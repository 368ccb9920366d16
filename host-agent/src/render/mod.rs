//! The metrics page: a pure function of the snapshot.

mod agent;
mod cost;
mod gateway;
mod gpu;
mod page;

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
    if let Some(cost) = &snapshot.cost {
        cost::add(&mut page, cost);
    }
    page.write()
}

#[cfg(test)]
mod tests;
