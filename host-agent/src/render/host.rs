//! The machine's own figures.

use super::page::Page;
use crate::host::HostStats;

#[expect(clippy::cast_precision_loss, reason = "bytes and counts below 2^53")]
pub(super) fn add(page: &mut Page, host: &HostStats) {
    for (mode, seconds) in &host.cpu_seconds {
        page.counter(
            "gaugeway_host_cpu_seconds_total",
            "Time that all CPUs together spent, by mode, since boot.",
            &[("mode", mode)],
            *seconds,
        );
    }
    let memory = host.memory;
    let gauges = [
        ("gaugeway_host_cpus", "CPUs that are online.", Some(host.cpus as f64)),
        ("gaugeway_host_memory_total_bytes", "Memory installed.", Some(memory.total as f64)),
        (
            "gaugeway_host_memory_available_bytes",
            "Memory that programs could still get without swapping.",
            memory.available.map(|bytes| bytes as f64),
        ),
        ("gaugeway_host_swap_total_bytes", "Swap space.", Some(memory.swap_total as f64)),
        (
            "gaugeway_host_swap_free_bytes",
            "Swap space that is free.",
            Some(memory.swap_free as f64),
        ),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            page.gauge(name, help, &[], value);
        }
    }
    for (device, traffic) in &host.disks {
        let labels = [("device", device.as_str())];
        page.counter(
            "gaugeway_host_disk_read_bytes_total",
            "Bytes read from the disk since boot.",
            &labels,
            traffic.input as f64,
        );
        page.counter(
            "gaugeway_host_disk_written_bytes_total",
            "Bytes written to the disk since boot.",
            &labels,
            traffic.output as f64,
        );
    }
    for (device, traffic) in &host.networks {
        let labels = [("device", device.as_str())];
        page.counter(
            "gaugeway_host_network_receive_bytes_total",
            "Bytes received since boot.",
            &labels,
            traffic.input as f64,
        );
        page.counter(
            "gaugeway_host_network_transmit_bytes_total",
            "Bytes sent since boot.",
            &labels,
            traffic.output as f64,
        );
    }
}
