//! The same figures under the names, labels and units of NVIDIA's DCGM exporter, so that dashboards
//! made for it go on working. Switched on by the configuration.

use super::super::page::Page;
use super::{MILLI, PERCENT, flag, float};
use crate::gpu::{GpuLog, GpuSample};

const MEBI: f64 = 1024.0 * 1024.0;

pub(super) fn add(page: &mut Page, gpu: &GpuSample, log: &GpuLog) {
    let index = gpu.identity.index.to_string();
    let device = format!("nvidia{index}");
    let or_empty = |value: &Option<String>| value.clone().unwrap_or_default();
    let (model, bus, driver) = (
        or_empty(&gpu.identity.name),
        or_empty(&gpu.identity.pci_bus_id),
        or_empty(&gpu.identity.driver_version),
    );
    let labels = [
        ("gpu", index.as_str()),
        ("UUID", &gpu.identity.uuid),
        ("pci_bus_id", &bus),
        ("device", &device),
        ("modelName", &model),
        ("DCGM_FI_DRIVER_VERSION", &driver),
    ];
    for (name, help, value) in gauges(gpu, log) {
        if let Some(value) = value {
            page.gauge(name, help, &labels, value);
        }
    }
    let counters = [
        (
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
            "Energy since the driver was loaded (in mJ).",
            gpu.energy_counter_millijoules,
        ),
        ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "PCIe retries.", gpu.health.pcie_replays),
        (
            "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
            "Rows remapped for uncorrectable errors.",
            gpu.health.remapped_rows.uncorrected,
        ),
        (
            "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
            "Rows remapped for correctable errors.",
            gpu.health.remapped_rows.corrected,
        ),
    ];
    for (name, help, value) in counters {
        if let Some(value) = value {
            page.counter(name, help, &labels, float(value));
        }
    }
}

fn gauges(gpu: &GpuSample, log: &GpuLog) -> [(&'static str, &'static str, Option<f64>); 18] {
    let whole = |value: Option<u32>| value.map(f64::from);
    let mebi = |bytes: Option<u64>| bytes.map(|bytes| (float(bytes) / MEBI).floor());
    let share = |percent: Option<f64>| percent.map(|percent| percent * PERCENT);
    let (memory, activity) = (gpu.memory, gpu.activity);
    [
        ("DCGM_FI_DEV_SM_CLOCK", "SM clock (in MHz).", whole(gpu.sm_clock_megahertz)),
        ("DCGM_FI_DEV_MEM_CLOCK", "Memory clock (in MHz).", whole(gpu.memory_clock_megahertz)),
        ("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C).", whole(gpu.temperature_celsius)),
        (
            "DCGM_FI_DEV_MEMORY_TEMP",
            "Memory temperature (in C).",
            gpu.memory_temperature_celsius.map(float),
        ),
        (
            "DCGM_FI_DEV_POWER_USAGE",
            "Power draw (in W).",
            gpu.power_milliwatts.map(|power| f64::from(power) * MILLI),
        ),
        (
            "DCGM_FI_DEV_GPU_UTIL",
            "GPU utilization (in %).",
            gpu.utilization.map(|share| f64::from(share.gpu_percent)),
        ),
        (
            "DCGM_FI_DEV_MEM_COPY_UTIL",
            "Memory utilization (in %).",
            gpu.utilization.map(|share| f64::from(share.memory_percent)),
        ),
        ("DCGM_FI_DEV_ENC_UTIL", "Encoder utilization (in %).", whole(gpu.encoder_percent)),
        ("DCGM_FI_DEV_DEC_UTIL", "Decoder utilization (in %).", whole(gpu.decoder_percent)),
        ("DCGM_FI_DEV_XID_ERRORS", "The last XID error.", Some(last_xid(gpu, log))),
        ("DCGM_FI_DEV_FB_FREE", "Frame buffer free (in MiB).", mebi(memory.map(|m| m.free))),
        ("DCGM_FI_DEV_FB_USED", "Frame buffer used (in MiB).", mebi(memory.map(|m| m.used))),
        (
            "DCGM_FI_DEV_FB_RESERVED",
            "Frame buffer reserved (in MiB).",
            mebi(memory.and_then(|m| m.reserved)),
        ),
        (
            "DCGM_FI_DEV_ROW_REMAP_FAILURE",
            "Whether remapping of rows has failed.",
            gpu.health.remapped_rows.failure.map(flag),
        ),
        (
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
            "Ratio of time the graphics engine is active.",
            share(activity.and_then(|a| a.graphics)),
        ),
        (
            "DCGM_FI_PROF_SM_ACTIVE",
            "Ratio of time multiprocessors have work.",
            share(activity.and_then(|a| a.sm)),
        ),
        (
            "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
            "Ratio of time tensor cores work.",
            share(activity.and_then(|a| a.tensor)),
        ),
        (
            "DCGM_FI_PROF_DRAM_ACTIVE",
            "Ratio of time the memory interface is active.",
            share(activity.and_then(|a| a.dram_bandwidth)),
        ),
    ]
}

/// 0 where there was none, as DCGM says it.
fn last_xid(gpu: &GpuSample, log: &GpuLog) -> f64 {
    let own = log.xids.iter().filter(|((uuid, _), _)| *uuid == gpu.identity.uuid);
    own.max_by_key(|(_, xid)| xid.last).map_or(0.0, |((_, code), _)| float(*code))
}
