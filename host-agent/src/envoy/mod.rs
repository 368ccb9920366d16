//! The Envoy source: the filter's stats, and the few of Envoy's own that give them context.

mod client;
mod histogram;
mod stats;

pub use client::{AdminAddress, FetchError};
pub use histogram::Histogram;
pub use stats::{EnvoyStats, Labels, Series, Skipped, Value};

use client::get;

/// One request for all that is read. The regex is matched against Envoy's own stat names, where
/// `wasmcustom.` marks what a wasm filter wrote. Beside that: finished downstream requests, to see
/// a worker whose filter has gone blind; requests in flight per cluster, to see a pool busy; the
/// uptime, to see a restart.
const STATS_PATH: &str = concat!(
    "/stats/prometheus?usedonly&filter=",
    "%5E%28wasmcustom%5C.",
    "%7Chttp%5C..%2A%5C.downstream_rq_completed%24",
    "%7Ccluster%5C..%2A%5C.upstream_rq_active%24",
    "%7Cserver%5C.uptime%24%29"
);

/// Reads Envoy's admin page once.
pub async fn collect(admin: &AdminAddress) -> Result<EnvoyStats, FetchError> {
    get(admin, STATS_PATH).await.map(|page| EnvoyStats::read(&page))
}
