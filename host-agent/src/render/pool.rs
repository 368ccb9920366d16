//! Which GPUs serve which upstreams.

use std::collections::BTreeSet;

use super::page::Page;
use crate::cost::GpuName;
use crate::gpu::GpuSample;
use crate::snapshot::Snapshot;

/// A pool that has the whole host, or serves whatever comes, has no label for what it does not name.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let gpus = snapshot.nvml.as_ref().and_then(|nvml| nvml.gpus.outcome.as_deref().ok());
    let gpus = gpus.map(|reading| reading.gpus.as_slice()).unwrap_or_default();
    for pool in &snapshot.pools {
        let uuids = or_none(pool.gpus.iter().flatten().map(|name| uuid(name, gpus)));
        let upstreams = or_none(pool.upstreams.iter().cloned());
        let pairs = uuids.iter().flat_map(|uuid| upstreams.iter().map(move |name| (uuid, name)));
        for (uuid, upstream) in pairs {
            let mut labels = vec![("pool", pool.name.as_str())];
            labels.extend(uuid.as_deref().map(|uuid| ("uuid", uuid)));
            labels.extend(upstream.as_deref().map(|upstream| ("upstream", upstream)));
            page.gauge(
                "gaugeway_pool_info",
                "1, labelled with a GPU or MIG instance of the pool and an upstream that leads to it.",
                &labels,
                1.0,
            );
        }
    }
}

/// The label of the GPU: its UUID, also where the pool names it by index. One that does not answer has
/// only the name that it was given.
fn uuid(name: &GpuName, gpus: &[GpuSample]) -> String {
    let known = gpus.iter().find(|gpu| name.names(&gpu.identity));
    known.map_or_else(|| name.to_string(), |gpu| gpu.identity.uuid.clone())
}

/// Each once: a series that stands twice spoils the page.
fn or_none(names: impl Iterator<Item = String>) -> BTreeSet<Option<String>> {
    let names: BTreeSet<_> = names.map(Some).collect();
    if names.is_empty() { [None].into() } else { names }
}
