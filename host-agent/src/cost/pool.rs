//! A pool: GPUs that serve some models behind some upstreams, and are busy or idle together.

use std::time::Duration;

use super::NanoDollars;

/// A pool as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    /// Its name, the `pool` label.
    pub name: String,
    /// Envoy clusters that lead to it; empty means all.
    pub upstreams: Vec<String>,
    /// Models that it serves; empty means all.
    pub models: Vec<String>,
    /// How many of the host's GPUs it has. Either every pool says so or none does.
    pub gpus: Option<u32>,
}

impl PoolSpec {
    /// The pool that has the whole host and serves whatever comes.
    pub fn whole_host() -> Self {
        Self { name: "default".to_owned(), upstreams: Vec::new(), models: Vec::new(), gpus: None }
    }

    /// Whether requests of this model over this upstream end here.
    pub(super) fn serves(&self, upstream: &str, model: &str) -> bool {
        self.leads_from(upstream)
            && (self.models.is_empty() || self.models.iter().any(|m| m == model))
    }

    /// Whether this upstream leads here.
    pub(super) fn leads_from(&self, upstream: &str) -> bool {
        self.upstreams.is_empty() || self.upstreams.iter().any(|u| u == upstream)
    }
}

/// A pool's running state.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) spec: PoolSpec,
    /// Billed while no request was in flight.
    pub(super) idle: NanoDollars,
    /// Time with a request in flight.
    pub(super) busy: Duration,
    /// Used, but no token has been reported for it yet: many servers say so at the end only.
    pub(super) pending: NanoDollars,
    /// How long the oldest pending money has waited.
    pending_for: Duration,
    /// Whether a request was in flight when the last tick ended; `None` when that is not known.
    in_flight: Option<bool>,
}

impl Pool {
    pub(super) fn new(spec: PoolSpec) -> Self {
        Self {
            spec,
            idle: NanoDollars::ZERO,
            busy: Duration::ZERO,
            pending: NanoDollars::ZERO,
            pending_for: Duration::ZERO,
            in_flight: None,
        }
    }

    /// Divides `bill` into idle and used and returns the used part.
    ///
    /// How much of the tick a request was in flight is estimated, from two figures:
    /// - The samples at both ends of the tick. Busy at both counts as busy throughout, busy at one
    ///   end as half.
    /// - `request_time`, the summed durations of the requests that ended within the tick. When both
    ///   samples are idle, all of it lies within the tick, so it is the busy time itself where
    ///   requests did not overlap, and an upper bound where they did. This is what sees requests
    ///   shorter than a tick.
    ///
    /// The larger one is taken, the tick at most. The error is below one tick per busy period.
    pub(super) fn use_up(
        &mut self,
        bill: NanoDollars,
        elapsed: Duration,
        in_flight: bool,
        request_time: Duration,
    ) -> NanoDollars {
        let before = self.in_flight.replace(in_flight).unwrap_or(in_flight);
        let sampled = match (before, in_flight) {
            (true, true) => elapsed,
            (false, false) => Duration::ZERO,
            (true, false) | (false, true) => elapsed / 2,
        };
        let busy = sampled.max(request_time.min(elapsed));
        self.busy += busy;
        let used = u128::from(bill.0) * busy.as_micros() / elapsed.as_micros().max(1);
        let used = NanoDollars(u64::try_from(used).unwrap_or(bill.0).min(bill.0));
        self.idle += bill - used;
        used
    }

    /// The gateway could not be read: what was in flight is not known.
    pub(super) fn lose_sight(&mut self) {
        self.in_flight = None;
    }

    /// Keeps used money until tokens come.
    pub(super) fn keep(&mut self, used: NanoDollars) {
        self.pending += used;
    }

    /// Hands out all pending money.
    pub(super) fn take_pending(&mut self) -> NanoDollars {
        self.pending_for = Duration::ZERO;
        std::mem::take(&mut self.pending)
    }

    /// Lets pending money age by one tick and hands it out once it has waited too long.
    pub(super) fn expire(&mut self, elapsed: Duration, limit: Duration) -> NanoDollars {
        if self.pending == NanoDollars::ZERO {
            self.pending_for = Duration::ZERO;
            return NanoDollars::ZERO;
        }
        self.pending_for += elapsed;
        if self.pending_for > limit { self.take_pending() } else { NanoDollars::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(10);

    #[track_caller]
    fn check(before: bool, now: bool, request_time_ms: u64, used: u64) {
        let mut pool = Pool::new(PoolSpec::whole_host());
        pool.use_up(NanoDollars(0), TICK, before, Duration::ZERO);
        let billed = NanoDollars(1000);
        let got = pool.use_up(billed, TICK, now, Duration::from_millis(request_time_ms));
        assert_eq!((got.0, pool.idle.0), (used, 1000 - used));
    }

    #[test]
    fn busy_share() {
        check(false, false, 0, 0);
        check(true, true, 0, 1000);
        check(false, true, 0, 500);
        check(true, false, 0, 500);
        // Requests shorter than a tick, between two idle samples.
        check(false, false, 2_500, 250);
        check(false, true, 9_000, 900);
        // Overlapping requests are busy once.
        check(false, false, 60_000, 1000);
    }

    #[test]
    fn pending_money_waits_and_then_leaves() {
        let mut pool = Pool::new(PoolSpec::whole_host());
        let limit = TICK * 2;
        pool.keep(NanoDollars(5));
        assert_eq!(pool.expire(TICK, limit).0, 0);
        pool.keep(NanoDollars(1));
        assert_eq!(pool.expire(TICK, limit).0, 0);
        assert_eq!(pool.expire(TICK, limit).0, 6);
        assert_eq!(pool.expire(TICK, limit).0, 0);
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
