//! One initialisation of NVML: finding the devices and telling which are gone.

use std::collections::BTreeMap;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Nvml, cuda_driver_version_major, cuda_driver_version_minor};

use super::Memory;
use super::calls::label;
use super::events::Events;
use super::gpu::Gpu;
use crate::gpu::{GpuError, GpuIdentity, GpuReading, GpuSample};

#[derive(Debug)]
pub(super) struct Session<'nvml> {
    nvml: &'nvml Nvml,
    driver_version: Option<String>,
    cuda_version: Option<String>,
    events: Events<'nvml>,
    /// By index.
    gpus: BTreeMap<u32, Gpu<'nvml>>,
}

impl<'nvml> Session<'nvml> {
    pub(super) fn start(nvml: &'nvml Nvml) -> Self {
        let cuda = nvml.sys_cuda_driver_version().ok();
        Self {
            nvml,
            driver_version: nvml.sys_driver_version().ok(),
            cuda_version: cuda.map(|version| {
                let major = cuda_driver_version_major(version);
                format!("{major}.{}", cuda_driver_version_minor(version))
            }),
            events: Events::listen(nvml),
            gpus: BTreeMap::new(),
        }
    }

    /// Reads every device. Not one that answers is a failure: a host that is said to have GPUs and
    /// shows none is not healthy and idle.
    pub(super) fn sample(&mut self, memory: &mut Memory) -> Result<GpuReading, GpuError> {
        let no_gpus = |count, message: String| GpuError::NoGpus { count, message };
        // First, so that a GPU's last words are heard before it is found to be gone.
        self.events.hear(&mut memory.log.xids);
        let count = self.nvml.device_count().map_err(|error| no_gpus(0, error.to_string()))?;
        let mut reading = GpuReading::default();
        let mut last_error = "there is none".to_owned();
        for index in 0..count {
            match self.sample_one(index, memory) {
                Ok(sample) => reading.gpus.push(sample),
                Err(error) => {
                    match error {
                        // The driver counts GPUs that this process may not open.
                        NvmlError::NoPermission => reading.no_permission += 1,
                        _ => reading.lost += 1,
                    }
                    self.gpus.remove(&index);
                    last_error = error.to_string();
                }
            }
        }
        if reading.gpus.is_empty() { Err(no_gpus(count, last_error)) } else { Ok(reading) }
    }

    fn sample_one(&mut self, index: u32, memory: &mut Memory) -> Result<GpuSample, NvmlError> {
        let errors = &mut memory.log.call_errors;
        let mut count = |call, error: &NvmlError| {
            *errors.entry((call, label(error))).or_default() += 1;
        };
        let device = self.nvml.device_by_index(index).inspect_err(|error| {
            count("device_by_index", error);
        })?;
        // Asked for each time: it is cheap, and a lost GPU shows in it.
        let uuid = device.uuid().inspect_err(|error| count("uuid", error))?;
        let gpu = match self.gpus.get_mut(&index) {
            Some(gpu) if gpu.identity.uuid == uuid => gpu,
            Some(_) | None => {
                let identity = GpuIdentity {
                    index,
                    uuid: uuid.clone(),
                    name: device.name().ok(),
                    pci_bus_id: device.pci_info().ok().map(|pci| pci.bus_id),
                    architecture: device.architecture().ok().map(|name| name.to_string()),
                    driver_version: self.driver_version.clone(),
                    cuda_version: self.cuda_version.clone(),
                };
                self.events.register(&device, &uuid);
                self.gpus.entry(index).insert_entry(Gpu::new(identity)).into_mut()
            }
        };
        let tallies = memory.tallies.entry(uuid).or_default();
        gpu.sample(self.nvml, &device, tallies, errors)
    }
}
