//! GPU telemetry in base units. What the device does not support is not on the page.

mod dcgm;
mod health;
mod load;
mod mig;

use super::page::Page;
use crate::gpu::{GpuSample, Memory};
use crate::snapshot::Nvml;

const MILLI: f64 = 1e-3;
const MEGA: f64 = 1e6;
const PERCENT: f64 = 1e-2;

pub(super) fn add(page: &mut Page, nvml: &Nvml) {
    health::add_collector(page, nvml);
    let Ok(reading) = &nvml.gpus.outcome else { return };
    for gpu in &reading.gpus {
        let index = gpu.identity.index.to_string();
        let mut writer = Writer { page, who: vec![("gpu", &index), ("uuid", &gpu.identity.uuid)] };
        add_info(&mut writer, gpu);
        load::add(&mut writer, gpu);
        health::add(&mut writer, gpu);
        mig::add(page, gpu);
        if nvml.dcgm_names {
            dcgm::add(page, gpu, &nvml.log);
        }
    }
}

/// Adds samples that carry the labels of one GPU, where there is a value.
struct Writer<'a> {
    page: &'a mut Page,
    who: Vec<(&'a str, &'a str)>,
}

impl Writer<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        self.gauge_of(name, help, &[], value);
    }

    /// With more labels.
    fn gauge_of(&mut self, name: &str, help: &str, more: &[(&str, &str)], value: Option<f64>) {
        if let Some(value) = value {
            self.page.gauge(name, help, &[&self.who[..], more].concat(), value);
        }
    }

    fn counter_of(&mut self, name: &str, help: &str, more: &[(&str, &str)], value: Option<f64>) {
        if let Some(value) = value {
            self.page.counter(name, help, &[&self.who[..], more].concat(), value);
        }
    }

    /// Memory, under the names of a GPU or a MIG instance.
    fn memory(&mut self, family: &str, memory: Option<Memory>) {
        let parts = [
            ("total", "Memory installed.", memory.map(|m| m.total)),
            ("used", "Memory allocated.", memory.map(|m| m.used)),
            ("free", "Memory unallocated.", memory.map(|m| m.free)),
            ("reserved", "Memory kept by the driver.", memory.and_then(|m| m.reserved)),
        ];
        for (part, help, bytes) in parts {
            self.gauge(&format!("{family}_memory_{part}_bytes"), help, bytes.map(float));
        }
    }
}

fn add_info(writer: &mut Writer<'_>, gpu: &GpuSample) {
    let known = [
        ("name", &gpu.identity.name),
        ("pci_bus_id", &gpu.identity.pci_bus_id),
        ("driver_version", &gpu.identity.driver_version),
        ("cuda_version", &gpu.identity.cuda_version),
        ("architecture", &gpu.identity.architecture),
    ];
    let known = known.iter().filter_map(|(label, value)| Some((*label, value.as_deref()?)));
    let known: Vec<_> = known.collect();
    writer.gauge_of(
        "gaugeway_gpu_info",
        "1, labelled with what does not change.",
        &known,
        Some(1.0),
    );
}

#[expect(clippy::cast_precision_loss, reason = "bytes, joules and counts below 2^53")]
fn float(whole: u64) -> f64 {
    whole as f64
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}
