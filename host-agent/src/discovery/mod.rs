//! Which GPU serves what, found without being told:
//!
//! ```text
//! NVML: process on GPU ─► /proc: ports it listens on ─► Envoy: cluster with that host ─► pool
//! ```
//!
//! A GPU whose process leads to no cluster is in no pool, and its cost is idle without a model.
//! PIDs are those of the agent's own namespace: in a container this needs the host's.

mod clusters;
mod matching;
mod proc;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::cost::PoolSpec;
use crate::gpu::{GpuProcess, GpuReading, GpuSample};
use crate::http::Address;

pub use clusters::{Clusters, ClustersError};
pub use matching::{Holder, Upstreams, pools, upstreams};
pub use proc::listeners;

/// Servers start and stop rarely; their processes are looked at this often.
const PERIOD: Duration = Duration::from_secs(30);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The pools; empty where no process on a GPU serves an upstream.
    pub pools: Vec<PoolSpec>,
    /// The upstreams of each process on a GPU.
    pub upstreams: Upstreams,
}

/// Looks again every `PERIOD`.
#[derive(Debug)]
pub struct Discovery {
    admin: Address,
    proc: PathBuf,
    next: Instant,
    holders: BTreeSet<Holder>,
}

impl Discovery {
    /// Will ask this Envoy, and the kernel under `proc`.
    pub fn new(admin: Address, proc: PathBuf) -> Self {
        Self { admin, proc, next: Instant::now(), holders: BTreeSet::new() }
    }

    /// Looks, when it is time or when other processes hold GPUs than before. `None` when there is
    /// nothing new to say; an error when Envoy does not tell its clusters.
    pub async fn look(&mut self, gpus: &GpuReading) -> Option<Result<Found, String>> {
        let holders = holders(gpus);
        let now = Instant::now();
        if now < self.next && holders == self.holders {
            return None;
        }
        self.next = now + PERIOD;
        self.holders = holders.clone();
        let clusters = match clusters::collect(&self.admin).await {
            Ok(clusters) => clusters,
            Err(error) => return Some(Err(format!("{}: {error}", self.admin))),
        };
        let proc = self.proc.clone();
        // Thousands of descriptors may have to be read; that must not keep a page waiting.
        let found = tokio::task::spawn_blocking(move || find(&proc, &holders, &clusters)).await;
        Some(found.map_err(|error| error.to_string()))
    }
}

fn holders(gpus: &GpuReading) -> BTreeSet<Holder> {
    let hold = |uuid: &str, processes: &[GpuProcess]| {
        let holder = |process: &GpuProcess| Holder { gpu: uuid.to_owned(), pid: process.pid };
        processes.iter().map(holder).collect::<Vec<_>>()
    };
    let of_gpu = |gpu: &GpuSample| match &gpu.mig {
        Some(instances) => instances.iter().flat_map(|i| hold(&i.uuid, &i.processes)).collect(),
        None => hold(&gpu.identity.uuid, &gpu.processes),
    };
    gpus.gpus.iter().flat_map(of_gpu).collect()
}

fn find(proc: &Path, holders: &BTreeSet<Holder>, clusters: &Clusters) -> Found {
    let pids = holders.iter().map(|holder| holder.pid).collect();
    let upstreams = upstreams(&listeners(proc, &pids), clusters);
    Found { pools: pools(holders, &upstreams), upstreams }
}
