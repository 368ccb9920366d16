//! The Envoy source: the filter's stats, and the few of Envoy's own that give them context.

mod histogram;
mod read;
mod stats;

pub use histogram::Histogram;
pub use stats::{EnvoyStats, Labels, Series, Skipped, Value};

use crate::http::{Address, Ask, FetchError, Limits, fetch};

/// One request for all that is read. The admin listener can stop Envoy and leaks its configuration,
/// so nothing but fixed paths is ever asked for. The regex is matched against Envoy's own stat names, where
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
pub async fn collect(admin: &Address) -> Result<EnvoyStats, FetchError> {
    let page = fetch(admin, Ask::get(STATS_PATH), Limits::PAGE).await?;
    Ok(EnvoyStats::read(&page))
}
