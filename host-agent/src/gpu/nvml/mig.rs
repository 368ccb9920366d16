//! MIG instances of a GPU.

use std::collections::BTreeMap;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::calls::Calls;
use super::gpm::Gpm;
use super::gpu::{memory, processes};
use super::raw;
use crate::gpu::MigInstance;

const MIB: u64 = 1 << 20;

/// The instances of one GPU; what is known of each, by UUID. Instances come and go, and ids are
/// used again.
#[derive(Debug, Default)]
pub(super) struct Mig<'nvml> {
    known: BTreeMap<String, Known<'nvml>>,
}

#[derive(Debug, Default)]
struct Known<'nvml> {
    gpm: Gpm<'nvml>,
    calls: Calls,
}

impl<'nvml> Mig<'nvml> {
    /// `None` unless MIG is on.
    pub(super) fn read(
        &mut self,
        nvml: &'nvml Nvml,
        calls: &mut Calls,
        parent: &Device<'nvml>,
    ) -> Option<Vec<MigInstance>> {
        const ON: u32 = 1;
        let mode = calls.ask("mig_mode", || parent.mig_mode())?;
        if mode.current != ON {
            self.known.clear();
            return None;
        }
        let most = calls.ask("mig_device_count", || parent.mig_device_count())?;
        let mut known = std::mem::take(&mut self.known);
        let mut instances = Vec::new();
        for place in 0..most {
            let device = match parent.mig_device_by_index(place) {
                Ok(device) => device,
                // Places are not filled from the start.
                Err(NvmlError::NotFound | NvmlError::InvalidArg) => continue,
                Err(error) => {
                    calls.failed("mig_device_by_index", error);
                    continue;
                }
            };
            let Some(uuid) = calls.ask("mig_uuid", || device.uuid()) else { continue };
            let mut own = known.remove(&uuid).unwrap_or_default();
            instances.push(own.read(nvml, calls, parent, &device, uuid.clone()));
            self.known.insert(uuid, own);
        }
        Some(instances)
    }
}

impl<'nvml> Known<'nvml> {
    fn read(
        &mut self,
        nvml: &'nvml Nvml,
        parents: &mut Calls,
        parent: &Device<'nvml>,
        device: &Device<'nvml>,
        uuid: String,
    ) -> MigInstance {
        let calls = &mut self.calls;
        let gpu_instance = calls.ask("gpu_instance_id", || raw::gpu_instance_id(nvml, device));
        let attributes = calls.ask("attributes", || device.attributes());
        let name = calls.ask("name", || device.name());
        let instance = MigInstance {
            uuid,
            gpu_instance,
            compute_instance: calls
                .ask("compute_instance_id", || raw::compute_instance_id(nvml, device)),
            profile: name.and_then(|name| Some(name.split_once(" MIG ")?.1.to_owned())),
            size_bytes: attributes.map(|a| a.memory_size_mb.saturating_mul(MIB)),
            memory: memory(nvml, calls, device),
            activity: gpu_instance
                .and_then(|id| self.gpm.read(nvml, calls, || parent.gpm_mig_sample(id))),
            processes: processes(calls, device),
        };
        parents.absorb(calls);
        instance
    }
}
