//! A pool: GPUs that serve some models behind some upstreams, and are busy or idle together.

use std::fmt;
use std::time::Duration;

use crate::gpu::GpuIdentity;

/// What a configuration calls a GPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GpuName {
    /// NVML's index.
    Index(u32),
    /// The UUID of a whole GPU.
    Uuid(String),
    /// The UUID of a MIG instance.
    Mig(String),
}

impl GpuName {
    /// By UUID. NVML's UUIDs of MIG instances begin with `MIG-`.
    pub fn of_uuid(uuid: String) -> Self {
        if uuid.starts_with("MIG-") { Self::Mig(uuid) } else { Self::Uuid(uuid) }
    }

    /// Whether this GPU is meant as a whole.
    pub fn names(&self, gpu: &GpuIdentity) -> bool {
        match self {
            Self::Index(index) => *index == gpu.index,
            Self::Uuid(uuid) => *uuid == gpu.uuid,
            Self::Mig(_) => false,
        }
    }
}

impl fmt::Display for GpuName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Uuid(uuid) | Self::Mig(uuid) => f.write_str(uuid),
        }
    }
}

/// A pool as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Its name, the `pool` label.
    pub name: String,
    /// Envoy clusters that lead to it; empty means all.
    pub upstreams: Vec<String>,
    /// Models that it serves; empty means all.
    pub models: Vec<String>,
    /// Which of the host's GPUs and MIG instances it has. Either every pool says so or none does.
    pub gpus: Option<Vec<GpuName>>,
}

impl PoolSpec {
    /// The pool that has the whole host and serves whatever comes.
    pub fn whole_host() -> Self {
        Self { name: "default".to_owned(), upstreams: Vec::new(), models: Vec::new(), gpus: None }
    }

    /// Whether GPUs can be in no pool: where pools name theirs, or none was found.
    pub(super) fn can_leave_gpus(pools: &[Self]) -> bool {
        pools.is_empty() || pools.iter().any(|pool| pool.gpus.is_some())
    }

    /// Whether requests of this model over this upstream end here.
    pub(super) fn serves(&self, upstream: &str, model: &str) -> bool {
        self.leads_from(upstream)
            && (self.models.is_empty() || self.models.iter().any(|m| m == model))
    }

    /// Whether this upstream leads here. To a pool whose GPUs are gone nothing does.
    pub(super) fn leads_from(&self, upstream: &str) -> bool {
        if self.gpus.as_ref().is_some_and(Vec::is_empty) {
            return false;
        }
        self.upstreams.is_empty() || self.upstreams.iter().any(|u| u == upstream)
    }
}

/// A pool's running state.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) spec: PoolSpec,
    /// Time with a request in flight.
    pub(super) busy: Duration,
    /// Whether a request was in flight when the last tick ended; `None` when that is not known.
    in_flight: Option<bool>,
}

impl Pool {
    pub(super) fn new(spec: PoolSpec) -> Self {
        Self { spec, busy: Duration::ZERO, in_flight: None }
    }

    /// How much of the tick a request was in flight, estimated from two figures:
    /// - The samples at both ends of the tick. Busy at both counts as busy throughout, busy at one
    ///   end as half.
    /// - `request_time`, the summed durations of the requests that ended within the tick. When both
    ///   samples are idle, all of it lies within the tick, so it is the busy time itself where
    ///   requests did not overlap, and an upper bound where they did. This is what sees requests
    ///   shorter than a tick.
    ///
    /// The larger one is taken, the tick at most. The error is below one tick per busy period.
    pub(super) fn observe(
        &mut self,
        elapsed: Duration,
        in_flight: bool,
        request_time: Duration,
    ) -> Duration {
        let before = self.in_flight.replace(in_flight).unwrap_or(in_flight);
        let sampled = match (before, in_flight) {
            (true, true) => elapsed,
            (false, false) => Duration::ZERO,
            (true, false) | (false, true) => elapsed / 2,
        };
        let busy = sampled.max(request_time.min(elapsed));
        self.busy += busy;
        busy
    }

    /// The gateway could not be read: what was in flight is not known.
    pub(super) fn lose_sight(&mut self) {
        self.in_flight = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(10);

    #[track_caller]
    fn check(before: bool, now: bool, request_time_ms: u64, busy_ms: u64) {
        let mut pool = Pool::new(PoolSpec::whole_host());
        pool.observe(TICK, before, Duration::ZERO);
        pool.busy = Duration::ZERO;
        let busy = pool.observe(TICK, now, Duration::from_millis(request_time_ms));
        let expected = Duration::from_millis(busy_ms);
        assert_eq!((busy, pool.busy), (expected, expected));
    }

    #[test]
    fn busy_time() {
        check(false, false, 0, 0);
        check(true, true, 0, 10_000);
        check(false, true, 0, 5_000);
        check(true, false, 0, 5_000);
        // Requests shorter than a tick, between two idle samples.
        check(false, false, 2_500, 2_500);
        check(false, true, 9_000, 9_000);
        // Overlapping requests are busy once.
        check(false, false, 60_000, 10_000);
    }

    #[test]
    fn a_pool_serves_what_it_names() {
        let pool = PoolSpec {
            upstreams: vec!["llama".to_owned()],
            models: vec!["8b".to_owned()],
            ..PoolSpec::whole_host()
        };
        assert!(pool.serves("llama", "8b"));
        assert!(!pool.serves("llama", "70b"));
        assert!(!pool.serves("other", "8b"));
        assert!(PoolSpec::whole_host().serves("any", "thing"));
    }
}
