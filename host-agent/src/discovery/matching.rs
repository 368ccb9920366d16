//! From processes on GPUs and the ports they listen on to the pools that serve Envoy's upstreams.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Clusters;
use crate::cost::{GpuName, PoolSpec};

/// A process that holds memory on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The UUID of the GPU, or of the MIG instance.
    pub gpu: String,
    /// The process, in the agent's PID namespace.
    pub pid: u32,
}

/// Which upstreams a process serves.
pub type Upstreams = BTreeMap<u32, BTreeSet<String>>;

/// The upstreams of each process: those whose hosts it listens on. A process without one is left
/// out; nothing is guessed.
pub fn upstreams(
    listeners: &BTreeMap<u32, BTreeSet<SocketAddr>>,
    clusters: &Clusters,
) -> Upstreams {
    let found = listeners.iter().map(|(pid, addresses)| {
        let own = addresses.iter().filter_map(|address| clusters.0.get(address));
        (*pid, own.cloned().collect::<BTreeSet<_>>())
    });
    found.filter(|(_, upstreams)| !upstreams.is_empty()).collect()
}

/// The pools: GPUs and upstreams that share a process, directly or by way of others, are one, for
/// they are busy together. Sorted by name, which is that of its upstreams.
pub fn pools(holders: &BTreeSet<Holder>, upstreams: &Upstreams) -> Vec<PoolSpec> {
    let mut groups: Vec<(BTreeSet<String>, BTreeSet<String>)> = Vec::new();
    for holder in holders {
        let Some(served) = upstreams.get(&holder.pid) else { continue };
        let mut gpus = BTreeSet::from([holder.gpu.clone()]);
        let mut names = served.clone();
        groups.retain(|(group_gpus, group_names)| {
            let apart = group_gpus.is_disjoint(&gpus) && group_names.is_disjoint(&names);
            if !apart {
                gpus.extend(group_gpus.iter().cloned());
                names.extend(group_names.iter().cloned());
            }
            apart
        });
        groups.push((gpus, names));
    }
    let mut pools: Vec<_> = groups
        .into_iter()
        .map(|(gpus, names)| PoolSpec {
            name: names.iter().map(String::as_str).collect::<Vec<_>>().join("+"),
            upstreams: names.into_iter().collect(),
            models: Vec::new(),
            gpus: Some(gpus.into_iter().map(GpuName::of_uuid).collect()),
        })
        .collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(list: &[(u32, &str)]) -> BTreeMap<u32, BTreeSet<SocketAddr>> {
        let mut listeners = BTreeMap::<u32, BTreeSet<SocketAddr>>::new();
        for (pid, address) in list {
            listeners.entry(*pid).or_default().insert(address.parse().unwrap());
        }
        listeners
    }

    fn clusters(list: &[(&str, &str)]) -> Clusters {
        let hosts = list.iter().map(|(at, name)| (at.parse().unwrap(), (*name).to_owned()));
        Clusters(hosts.collect())
    }

    #[track_caller]
    fn check(holders: &[(&str, u32)], served: &[(u32, &str)], expected: &[(&str, &[&str])]) {
        let holders =
            holders.iter().map(|(gpu, pid)| Holder { gpu: (*gpu).to_owned(), pid: *pid }).collect();
        let mut upstreams = Upstreams::new();
        for (pid, name) in served {
            upstreams.entry(*pid).or_default().insert((*name).to_owned());
        }
        let pools = pools(&holders, &upstreams);
        let found: Vec<_> = pools
            .iter()
            .map(|pool| {
                let gpus = pool.gpus.iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
                (pool.name.as_str(), gpus)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, gpus)| (*name, gpus.iter().map(|gpu| (*gpu).to_owned()).collect()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_server_on_one_gpu_and_one_on_two() {
        check(
            &[("g0", 10), ("g1", 20), ("g2", 20)],
            &[(10, "small"), (20, "large")],
            &[("large", &["g1", "g2"]), ("small", &["g0"])],
        );
    }

    #[test]
    fn what_shares_a_gpu_or_an_upstream_is_one_pool() {
        check(&[("g0", 10), ("g0", 20)], &[(10, "a"), (20, "b")], &[("a+b", &["g0"])]);
        check(&[("g0", 10), ("g1", 20)], &[(10, "a"), (20, "a")], &[("a", &["g0", "g1"])]);
        check(
            &[("g0", 10), ("g1", 20), ("g1", 30), ("g0", 30)],
            &[(10, "a"), (20, "b"), (30, "c")],
            &[("a+b+c", &["g0", "g1"])],
        );
    }

    #[test]
    fn who_serves_no_upstream_has_no_pool() {
        check(&[("g0", 10), ("g1", 20)], &[(10, "a")], &[("a", &["g0"])]);
        check(&[("g0", 10)], &[], &[]);
    }

    #[test]
    fn two_processes_behind_one_envoy() {
        let listeners =
            listening(&[(10, "127.0.0.1:8001"), (20, "10.0.0.5:8002"), (30, "10.0.0.5:22")]);
        let clusters =
            clusters(&[("127.0.0.1:8001", "a"), ("10.0.0.5:8002", "b"), ("127.0.0.1:9", "c")]);
        let found = upstreams(&listeners, &clusters);
        let expected: Upstreams =
            [(10, BTreeSet::from(["a".to_owned()])), (20, BTreeSet::from(["b".to_owned()]))].into();
        assert_eq!(found, expected);
    }
}
