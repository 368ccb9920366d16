//! What is wrong: with the collection, and with each GPU.

use super::super::page::{Page, unix_seconds};
use super::{Writer, flag, float};
use crate::gpu::GpuSample;
use crate::snapshot::Nvml;

pub(super) fn add_collector(page: &mut Page, nvml: &Nvml) {
    page.gauge(
        "gaugeway_nvml_up",
        "Whether NVML gave a sample of at least one GPU.",
        &[],
        flag(nvml.gpus.outcome.is_ok()),
    );
    if let Some(took) = nvml.gpus.took {
        page.gauge(
            "gaugeway_nvml_collect_duration_seconds",
            "How long the last sample of all GPUs took.",
            &[],
            took.as_secs_f64(),
        );
    }
    if let Some(at) = nvml.gpus.last_success {
        page.gauge(
            "gaugeway_nvml_last_success_timestamp_seconds",
            "When there last was a sample.",
            &[],
            unix_seconds(at),
        );
    }
    for (reason, count) in &nvml.log.init_failures {
        page.counter(
            "gaugeway_nvml_init_failures_total",
            "Failed initialisations of NVML, by reason.",
            &[("reason", reason.as_str())],
            float(*count),
        );
    }
    for ((call, error), count) in &nvml.log.call_errors {
        page.counter(
            "gaugeway_nvml_call_errors_total",
            "Failed calls; what a device does not support is no failure.",
            &[("call", call), ("error", error)],
            float(*count),
        );
    }
    add_xids(page, nvml);
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
}

/// Of lost GPUs too, and therefore without an index.
fn add_xids(page: &mut Page, nvml: &Nvml) {
    for ((uuid, code), xid) in &nvml.log.xids {
        let code = code.to_string();
        let labels = [("uuid", uuid.as_str()), ("xid", &code)];
        page.counter(
            "gaugeway_gpu_xid_errors_total",
            "Errors that the driver reported since the agent first saw the GPU, by XID.",
            &labels,
            float(xid.count),
        );
        page.gauge(
            "gaugeway_gpu_xid_last_timestamp_seconds",
            "When the XID was last seen.",
            &labels,
            unix_seconds(xid.last),
        );
    }
}

pub(super) fn add(writer: &mut Writer<'_>, gpu: &GpuSample) {
    add_clock_events(writer, gpu);
    let health = &gpu.health;
    for (scope, errors) in [("volatile", health.ecc_volatile), ("aggregate", health.ecc_aggregate)]
    {
        for (kind, count) in [("corrected", errors.corrected), ("uncorrected", errors.uncorrected)]
        {
            writer.gauge_of(
                "gaugeway_gpu_ecc_errors",
                "Memory errors: volatile since the GPU's last reset, aggregate of its life.",
                &[("type", kind), ("scope", scope)],
                count.map(float),
            );
        }
    }
    let rows = health.remapped_rows;
    for (kind, count) in [("corrected", rows.corrected), ("uncorrected", rows.uncorrected)] {
        writer.gauge_of(
            "gaugeway_gpu_remapped_rows",
            "Rows of memory that spare ones stand in for, by the errors that made it so.",
            &[("type", kind)],
            count.map(float),
        );
    }
    writer.gauge(
        "gaugeway_gpu_row_remap_pending",
        "1 when a repair of the memory waits for the GPU's next reset.",
        rows.pending.map(flag),
    );
    writer.gauge(
        "gaugeway_gpu_row_remap_failure",
        "1 when a repair of the memory failed: the GPU is to be replaced.",
        rows.failure.map(flag),
    );
    writer.gauge(
        "gaugeway_gpu_recovery_action",
        "What the driver wants done: 0 nothing, 1 reset, 2 reboot, 3 drain peer to peer, 4 drain and reset.",
        health.recovery_action.map(float),
    );
    writer.counter_of(
        "gaugeway_gpu_pcie_replays_total",
        "PCIe packets sent again since the agent first saw the GPU.",
        &[],
        health.pcie_replays.map(float),
    );
}

fn add_clock_events(writer: &mut Writer<'_>, gpu: &GpuSample) {
    for (event, state) in &gpu.clock_events {
        let reason = [("reason", event.as_str())];
        writer.gauge_of(
            "gaugeway_gpu_clock_event_active",
            "1 while this holds the clocks down.",
            &reason,
            state.active.map(flag),
        );
        writer.counter_of(
            "gaugeway_gpu_clock_event_seconds_total",
            "For how long this has held the clocks down, since the agent first saw the GPU.",
            &reason,
            state.total.map(|total| total.as_secs_f64()),
        );
    }
}
