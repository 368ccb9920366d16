//! One frame: what came in since the frame before, and what gauges say at its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::spend::{self, Spend};
use super::traffic::Traffic;
use crate::engines::Figure;
use crate::envoy::EnvoyStats;
use crate::gpu::GpuSample;
use crate::snapshot::{Engine, Snapshot};

/// Most GPUs and engines of a frame.
const MAX_GAUGES: usize = 64;

/// What the next frame's increments are counted from: the last page of the gateway and the last
/// report of money that there was, however long ago.
#[derive(Debug)]
pub(super) struct Before {
    at: SystemTime,
    gateway: Option<(SystemTime, Arc<EnvoyStats>)>,
    cost: Option<(SystemTime, Arc<Snapshot>)>,
}

impl Before {
    pub(super) fn new(snapshot: &Arc<Snapshot>, at: SystemTime) -> Self {
        let mut before = Self { at, gateway: None, cost: None };
        before.advance(snapshot, at);
        before
    }

    pub(super) fn at(&self) -> SystemTime {
        self.at
    }

    /// Counts from here on. What this snapshot lacks is still counted from where it was last seen.
    pub(super) fn advance(&mut self, snapshot: &Arc<Snapshot>, at: SystemTime) {
        self.at = at;
        if let Ok(stats) = &snapshot.envoy.outcome {
            self.gateway = Some((at, Arc::clone(stats)));
        }
        if snapshot.cost.is_some() {
            self.cost = Some((at, Arc::clone(snapshot)));
        }
    }
}

/// A frame. What a source did not give is null or not there.
#[derive(Serialize)]
pub(super) struct Frame<'a> {
    /// Unix seconds of its end.
    at: f64,
    /// Since the frame before.
    seconds: f64,
    traffic: Option<Traffic<'a>>,
    /// Dollars.
    usd: Option<Spend<'a>>,
    /// Joules of the GPUs.
    joules: Option<Spend<'a>>,
    /// By UUID.
    gpus: BTreeMap<&'a str, GpuGauges>,
    /// By name.
    engines: BTreeMap<&'a str, EngineGauges>,
}

#[derive(Serialize)]
struct GpuGauges {
    utilization_ratio: Option<f64>,
    memory_used_ratio: Option<f64>,
    power_watts: Option<f64>,
    temperature_celsius: Option<u32>,
}

#[derive(Serialize)]
struct EngineGauges {
    requests_running: Option<f64>,
    requests_waiting: Option<f64>,
    kv_cache_usage: Option<f64>,
}

impl<'a> Frame<'a> {
    pub(super) fn between(
        before: &Before,
        now: &'a Snapshot,
        at: SystemTime,
        since: Duration,
    ) -> Self {
        let seconds = |earlier| at.duration_since(earlier).unwrap_or(since).as_secs_f64();
        let gateway = before.gateway.as_ref().zip(now.envoy.outcome.as_deref().ok());
        let cost = before.cost.as_ref().and_then(|(earlier, before)| {
            Some((seconds(*earlier), before.cost.as_ref()?, now.cost.as_ref()?))
        });
        let gpus = now.nvml.as_ref().and_then(|nvml| nvml.gpus.outcome.as_deref().ok());
        let gpus = gpus.map(|reading| reading.gpus.as_slice()).unwrap_or_default();
        Self {
            at: at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
            seconds: since.as_secs_f64(),
            traffic: gateway
                .map(|((earlier, before), now)| Traffic::between(before, now, seconds(*earlier))),
            usd: cost.map(|(seconds, before, now)| spend::dollars(before, now, seconds)),
            joules: cost.and_then(|(seconds, before, now)| spend::joules(before, now, seconds)),
            gpus: gpus.iter().take(MAX_GAUGES).map(GpuGauges::of).collect(),
            engines: now.engines.iter().take(MAX_GAUGES).filter_map(EngineGauges::of).collect(),
        }
    }

    pub(super) fn json(&self) -> String {
        // No map here has keys that are not text, so there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl GpuGauges {
    fn of(gpu: &GpuSample) -> (&str, Self) {
        let gauges = Self {
            utilization_ratio: gpu.utilization_ratio(),
            memory_used_ratio: gpu.memory_used_ratio(),
            power_watts: gpu.power_milliwatts.map(|power| f64::from(power) / 1e3),
            temperature_celsius: gpu.temperature_celsius,
        };
        (&gpu.identity.uuid, gauges)
    }
}

impl EngineGauges {
    fn of(engine: &Engine) -> Option<(&str, Self)> {
        let stats = engine.stats.outcome.as_ref().ok()?;
        let gauges = Self {
            requests_running: stats.get(Figure::RequestsRunning),
            requests_waiting: stats.get(Figure::RequestsWaiting),
            kv_cache_usage: stats.get(Figure::KvCacheUsage),
        };
        Some((&engine.name, gauges))
    }
}
