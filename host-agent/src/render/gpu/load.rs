//! What a GPU does: utilisation, memory, power, clocks, traffic.

use super::{MEGA, MILLI, PERCENT, Writer, float};
use crate::gpu::{Activity, GpuLink, GpuSample};

pub(super) fn add(writer: &mut Writer<'_>, gpu: &GpuSample) {
    add_utilization(writer, gpu);
    writer.memory("gaugeway_gpu", gpu.memory);
    activity(writer, "gaugeway_gpu", gpu.activity);
    add_power(writer, gpu);
    add_traffic(writer, gpu);
}

fn add_utilization(writer: &mut Writer<'_>, gpu: &GpuSample) {
    let tasks = [
        ("general", gpu.utilization.map(|share| share.gpu_percent)),
        ("encoder", gpu.encoder_percent),
        ("decoder", gpu.decoder_percent),
    ];
    for (task, percent) in tasks {
        writer.gauge_of(
            "gaugeway_gpu_utilization_ratio",
            "Share of the sample period in which a kernel ran: time busy, not how full the GPU was.",
            &[("task", task)],
            percent.map(|percent| f64::from(percent) * PERCENT),
        );
    }
    writer.gauge(
        "gaugeway_gpu_memory_activity_ratio",
        "Share of the sample period in which GPU memory was read or written.",
        gpu.utilization.map(|share| f64::from(share.memory_percent) * PERCENT),
    );
}

/// Figures of GPM, under the names of a GPU or a MIG instance.
pub(super) fn activity(writer: &mut Writer<'_>, family: &str, activity: Option<Activity>) {
    let Some(activity) = activity else { return };
    let parts = [
        ("graphics_activity", "Share of time in which anything ran.", activity.graphics),
        ("sm_utilization", "Share of multiprocessors that had work.", activity.sm),
        (
            "sm_occupancy",
            "Warps in flight, of what the multiprocessors can hold.",
            activity.sm_occupancy,
        ),
        ("tensor_activity", "Share of time in which tensor cores worked.", activity.tensor),
        (
            "dram_bandwidth_utilization",
            "Memory bandwidth used, of what is possible.",
            activity.dram_bandwidth,
        ),
    ];
    for (part, help, percent) in parts {
        let ratio = percent.map(|percent| percent * PERCENT);
        writer.gauge(&format!("{family}_{part}_ratio"), help, ratio);
    }
}

fn add_power(writer: &mut Writer<'_>, gpu: &GpuSample) {
    let watts = |milliwatts: Option<u32>| milliwatts.map(|power| f64::from(power) * MILLI);
    writer.gauge(
        "gaugeway_gpu_power_watts",
        "Power draw of the GPU board.",
        watts(gpu.power_milliwatts),
    );
    writer.gauge(
        "gaugeway_gpu_power_limit_watts",
        "Power limit in force.",
        watts(gpu.power_limit_milliwatts),
    );
    if let Some(energy) = gpu.energy {
        writer.counter_of(
            "gaugeway_gpu_energy_joules_total",
            "Energy used since the agent first saw the GPU: by its own counter, or power samples integrated.",
            &[("source", energy.source.as_str())],
            Some(float(energy.millijoules) * MILLI),
        );
    }
    writer.gauge(
        "gaugeway_energy_source_disagreement_ratio",
        "The GPU's energy counter divided by integrated power, over ten minutes: 1 where they agree.",
        gpu.energy_disagreement,
    );
    let sensors = [
        ("gpu", gpu.temperature_celsius.map(f64::from)),
        ("memory", gpu.memory_temperature_celsius.map(float)),
    ];
    for (sensor, celsius) in sensors {
        writer.gauge_of(
            "gaugeway_gpu_temperature_celsius",
            "Temperature by sensor.",
            &[("sensor", sensor)],
            celsius,
        );
    }
    let clocks = [
        ("sm", gpu.sm_clock_megahertz),
        ("memory", gpu.memory_clock_megahertz),
        ("graphics", gpu.graphics_clock_megahertz),
    ];
    for (domain, megahertz) in clocks {
        writer.gauge_of(
            "gaugeway_gpu_clock_hertz",
            "Clock by domain.",
            &[("domain", domain)],
            megahertz.map(|clock| f64::from(clock) * MEGA),
        );
    }
}

fn add_traffic(writer: &mut Writer<'_>, gpu: &GpuSample) {
    for (link, traffic) in &gpu.links {
        let (name, help) = match link {
            GpuLink::Pcie => (
                "gaugeway_gpu_pcie_bytes_total",
                "Bytes over PCIe since the agent first saw the GPU, by direction as the GPU sees it.",
            ),
            GpuLink::NvLink => (
                "gaugeway_gpu_nvlink_bytes_total",
                "Bytes over all NVLinks since the agent first saw the GPU, by direction as the GPU sees it.",
            ),
        };
        for (direction, bytes) in [("sent", traffic.sent), ("received", traffic.received)] {
            writer.counter_of(name, help, &[("direction", direction)], bytes.map(float));
        }
    }
}
