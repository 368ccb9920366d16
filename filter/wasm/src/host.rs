//! What the filter needs of its host, in its own terms. A call that fails is an absent value.

use crate::sys::{self, Bytes};
use gaugeway_core::stat::Kind;
use gaugeway_core::{HostTime, Observer, Stats};
use std::cell::Cell;

/// The clock of this VM. Chosen once, because readings of two clocks must never be compared.
#[derive(Clone, Copy, Debug)]
enum Clock {
    Monotonic,
    /// Wall time, on hosts without the monotonic clock (Envoy answers ENOTSUP there).
    Wall,
}

thread_local! {
    static CLOCK: Cell<Option<Clock>> = const { Cell::new(None) };
}

/// What the clock says now.
pub(crate) fn now() -> Option<HostTime> {
    let nanos = match CLOCK.get() {
        Some(Clock::Monotonic) => sys::monotonic_time(),
        Some(Clock::Wall) => sys::wall_time(),
        None => {
            let monotonic = sys::monotonic_time();
            CLOCK.set(Some(monotonic.map_or(Clock::Wall, |_| Clock::Monotonic)));
            monotonic.or_else(sys::wall_time)
        }
    };
    nanos.map(HostTime::from_nanos)
}

/// Envoy's stats.
#[derive(Debug)]
pub(crate) struct EnvoyStats;

impl Stats for EnvoyStats {
    fn define(&mut self, kind: Kind, name: &str) -> Option<u32> {
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 2,
        };
        sys::define_metric(kind, name)
    }

    fn record(&mut self, id: u32, value: u64) {
        sys::record_metric(id, value);
    }

    fn shift(&mut self, id: u32, by: i64) {
        sys::increment_metric(id, by);
    }
}

/// What Envoy says of how a stream ends.
#[derive(Debug, Default)]
pub(crate) struct EndingProperties {
    flags: u64,
    details: Bytes,
    reached_upstream: bool,
}

impl EndingProperties {
    /// Of the end of a stream that was watched so far. Each is a call into the host.
    pub(crate) fn read(observer: &Observer) -> Self {
        // Numbers are 8 bytes, little-endian; another length is no number that we know.
        let flags =
            sys::property("response\0flags").and_then(|bytes| <[u8; 8]>::try_from(&*bytes).ok());
        let flags = flags.map_or(0, u64::from_le_bytes);
        if flags == 0 && observer.is_complete() {
            return Self { flags, details: Bytes::default(), reached_upstream: true };
        }
        Self {
            flags,
            details: sys::property("response\0code_details").unwrap_or_default(),
            reached_upstream: sys::property("upstream\0address").is_some(),
        }
    }

    pub(crate) fn ending(&self) -> gaugeway_core::Ending<'_> {
        gaugeway_core::Ending {
            flags: self.flags,
            details: &self.details,
            reached_upstream: self.reached_upstream,
        }
    }
}

/// The name of the cluster that the route has chosen.
pub(crate) fn upstream() -> Option<Box<[u8]>> {
    sys::property("xds\0cluster_name").map(|name| (*name).into())
}
