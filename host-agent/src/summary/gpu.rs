//! The GPUs in the summary.

use serde::Serialize;

use crate::gpu::GpuSample;
use crate::snapshot::Nvml;

/// The GPUs that answered, and how many did not.
#[derive(Serialize)]
pub(super) struct Gpus<'a> {
    answering: Vec<Gpu<'a>>,
    /// There, but only with an error: fallen off the bus.
    lost: u32,
    /// Not ours to open.
    no_permission: u32,
}

/// A GPU. Null is what the device does not say.
#[derive(Serialize)]
struct Gpu<'a> {
    index: u32,
    uuid: &'a str,
    name: Option<&'a str>,
    utilization_ratio: Option<f64>,
    memory_used_bytes: Option<u64>,
    memory_total_bytes: Option<u64>,
    power_watts: Option<f64>,
    power_limit_watts: Option<f64>,
    temperature_celsius: Option<u32>,
    /// What holds the clocks down now.
    clock_events: Vec<&'static str>,
    /// Errors that the driver reported since the agent started, by XID.
    xids: Vec<Xid>,
}

#[derive(Serialize)]
struct Xid {
    xid: u64,
    count: u64,
}

impl<'a> Gpus<'a> {
    /// `None` where GPUs are not read or cannot be.
    pub(super) fn of(nvml: &'a Nvml) -> Option<Self> {
        let reading = nvml.gpus.outcome.as_deref().ok()?;
        Some(Self {
            answering: reading.gpus.iter().map(|gpu| Gpu::of(gpu, nvml)).collect(),
            lost: reading.lost,
            no_permission: reading.no_permission,
        })
    }
}

impl<'a> Gpu<'a> {
    fn of(gpu: &'a GpuSample, nvml: &Nvml) -> Self {
        let watts = |milliwatts: Option<u32>| milliwatts.map(|power| f64::from(power) / 1e3);
        let own = |uuid: &str| uuid == gpu.identity.uuid;
        let xids = nvml.log.xids.iter().filter(|((uuid, _), _)| own(uuid));
        let active = gpu.clock_events.iter().filter(|(_, state)| state.active == Some(true));
        Self {
            index: gpu.identity.index,
            uuid: &gpu.identity.uuid,
            name: gpu.identity.name.as_deref(),
            utilization_ratio: gpu.utilization_ratio(),
            memory_used_bytes: gpu.memory.map(|memory| memory.used),
            memory_total_bytes: gpu.memory.map(|memory| memory.total),
            power_watts: watts(gpu.power_milliwatts),
            power_limit_watts: watts(gpu.power_limit_milliwatts),
            temperature_celsius: gpu.temperature_celsius,
            clock_events: active.map(|(event, _)| event.as_str()).collect(),
            xids: xids.map(|((_, xid), seen)| Xid { xid: *xid, count: seen.count }).collect(),
        }
    }
}
