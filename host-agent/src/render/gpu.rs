//! GPU telemetry in base units. What the device does not support is not on the page.

use super::page::Page;
use crate::gpu::GpuSample;
use crate::snapshot::Nvml;

const MILLI: f64 = 1e-3;
const MEGA: f64 = 1e6;
const PERCENT: f64 = 1e-2;

#[expect(clippy::cast_precision_loss, reason = "bytes, joules and counts below 2^53")]
pub(super) fn add(page: &mut Page, nvml: &Nvml) {
    let up = if nvml.gpus.outcome.is_ok() { 1.0 } else { 0.0 };
    page.gauge("gaugeway_nvml_up", "Whether NVML gave a sample of at least one GPU.", &[], up);
    for (reason, count) in &nvml.init_failures {
        page.counter(
            "gaugeway_nvml_init_failures_total",
            "Failed initialisations of NVML, by reason.",
            &[("reason", reason.as_str())],
            *count as f64,
        );
    }
    let Ok(reading) = &nvml.gpus.outcome else { return };
    let answered = u32::try_from(reading.gpus.len()).unwrap_or(u32::MAX);
    let states =
        [("ok", answered), ("lost", reading.lost), ("no_permission", reading.no_permission)];
    for (state, count) in states {
        page.gauge(
            "gaugeway_nvml_devices",
            "GPUs by what became of the last attempt to read them.",
            &[("state", state)],
            f64::from(count),
        );
    }
    reading.gpus.iter().for_each(|gpu| add_gpu(page, gpu));
}

#[expect(clippy::cast_precision_loss, reason = "bytes and joules below 2^53")]
fn add_gpu(page: &mut Page, gpu: &GpuSample) {
    let index = gpu.identity.index.to_string();
    let who = [("gpu", index.as_str()), ("uuid", gpu.identity.uuid.as_str())];
    let with = |label| [&who[..], &[label]].concat();
    add_info(page, gpu, &who);

    let mut gauge = |name: &str, help: &str, labels: &[(&str, &str)], value: Option<f64>| {
        if let Some(value) = value {
            page.gauge(name, help, labels, value);
        }
    };
    let share = gpu.utilization;
    gauge(
        "gaugeway_gpu_utilization_ratio",
        "Share of the sample period in which a kernel ran: time busy, not how full the GPU was.",
        &with(("task", "general")),
        share.map(|share| f64::from(share.gpu_percent) * PERCENT),
    );
    gauge(
        "gaugeway_gpu_memory_activity_ratio",
        "Share of the sample period in which GPU memory was read or written.",
        &who,
        share.map(|share| f64::from(share.memory_percent) * PERCENT),
    );
    let memory = gpu.memory;
    let parts = [
        ("gaugeway_gpu_memory_total_bytes", "GPU memory installed.", memory.map(|m| m.total)),
        ("gaugeway_gpu_memory_used_bytes", "GPU memory allocated.", memory.map(|m| m.used)),
        ("gaugeway_gpu_memory_free_bytes", "GPU memory unallocated.", memory.map(|m| m.free)),
        (
            "gaugeway_gpu_memory_reserved_bytes",
            "GPU memory kept by the driver.",
            memory.map(|m| m.reserved),
        ),
    ];
    for (name, help, bytes) in parts {
        gauge(name, help, &who, bytes.map(|bytes| bytes as f64));
    }
    gauge(
        "gaugeway_gpu_power_watts",
        "Power draw of the GPU board.",
        &who,
        gpu.power_milliwatts.map(|power| f64::from(power) * MILLI),
    );
    gauge(
        "gaugeway_gpu_power_limit_watts",
        "Power limit in force.",
        &who,
        gpu.power_limit_milliwatts.map(|power| f64::from(power) * MILLI),
    );
    gauge(
        "gaugeway_gpu_temperature_celsius",
        "Temperature by sensor.",
        &with(("sensor", "gpu")),
        gpu.temperature_celsius.map(f64::from),
    );
    let clocks = [
        ("sm", gpu.sm_clock_megahertz),
        ("memory", gpu.memory_clock_megahertz),
        ("graphics", gpu.graphics_clock_megahertz),
    ];
    for (domain, megahertz) in clocks {
        gauge(
            "gaugeway_gpu_clock_hertz",
            "Clock by domain.",
            &with(("domain", domain)),
            megahertz.map(|clock| f64::from(clock) * MEGA),
        );
    }
    if let Some(energy) = gpu.energy_millijoules {
        page.counter(
            "gaugeway_gpu_energy_joules_total",
            "Energy used since the driver was loaded.",
            &with(("source", "counter")),
            energy as f64 * MILLI,
        );
    }
}

fn add_info(page: &mut Page, gpu: &GpuSample, who: &[(&str, &str)]) {
    let known = [
        ("name", &gpu.identity.name),
        ("pci_bus_id", &gpu.identity.pci_bus_id),
        ("driver_version", &gpu.identity.driver_version),
        ("cuda_version", &gpu.identity.cuda_version),
        ("architecture", &gpu.identity.architecture),
    ];
    let known = known.iter().filter_map(|(label, value)| Some((*label, value.as_deref()?)));
    let labels: Vec<_> = who.iter().copied().chain(known).collect();
    page.gauge("gaugeway_gpu_info", "1, labelled with what does not change.", &labels, 1.0);
}
