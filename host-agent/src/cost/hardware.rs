//! How much of the host each pool has: whole GPUs, and MIG instances by their part of the memory.

use std::collections::BTreeMap;

use super::{GpuName, PoolSpec};
use crate::gpu::{GpuIdentity, GpuReading, GpuSample, MigInstance};

/// One whole GPU. Parts of one are integers, so that they divide money without a remainder.
pub(super) const WHOLE: u64 = 1 << 32;

/// The GPUs as last seen: what a pool has does not change because the driver is away.
#[derive(Debug, Default)]
pub(super) struct Hardware {
    gpus: Option<u32>,
    /// By GPU and then by instance; GPUs that are not in MIG mode have none.
    instances: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Hardware {
    /// Takes in what can be seen now. A GPU that does not answer keeps the instances that it had.
    pub(super) fn see(&mut self, reading: &GpuReading) {
        self.gpus = Some(reading.count());
        for gpu in &reading.gpus {
            match &gpu.mig {
                Some(instances) => {
                    self.instances.insert(gpu.identity.uuid.clone(), parts(gpu, instances));
                }
                None => drop(self.instances.remove(&gpu.identity.uuid)),
            }
        }
    }

    /// What a pool has of the host. One that names no GPUs counts like any other.
    pub(super) fn of(&self, pool: &PoolSpec) -> u64 {
        let Some(gpus) = &pool.gpus else { return WHOLE };
        let part = |name: &GpuName| match name {
            GpuName::Index(_) | GpuName::Uuid(_) => WHOLE,
            GpuName::Mig(uuid) => {
                self.instances.values().find_map(|i| i.get(uuid)).copied().unwrap_or(0)
            }
        };
        gpus.iter().map(part).fold(0, u64::saturating_add)
    }

    /// What a pool has of one GPU.
    pub(super) fn of_gpu(&self, pool: &PoolSpec, gpu: &GpuIdentity) -> u64 {
        let part = |name: &GpuName| match name {
            GpuName::Mig(uuid) => {
                self.instances.get(&gpu.uuid).and_then(|i| i.get(uuid)).copied().unwrap_or(0)
            }
            whole if whole.names(gpu) => WHOLE,
            GpuName::Index(_) | GpuName::Uuid(_) => 0,
        };
        pool.gpus.iter().flatten().map(part).fold(0, u64::saturating_add)
    }

    /// The same in GPUs, of a pool that names its own.
    #[expect(clippy::cast_precision_loss, reason = "a figure for reading")]
    pub(super) fn gpus(&self, pool: &PoolSpec) -> Option<f64> {
        pool.gpus.is_some().then(|| self.of(pool) as f64 / WHOLE as f64)
    }

    /// All of the host; `None` until it was seen.
    pub(super) fn all(&self) -> Option<u64> {
        self.gpus.map(|gpus| u64::from(gpus) * WHOLE)
    }
}

/// Each instance's part of its GPU. Compute instances of one GPU instance share its memory, and so its
/// part. Of a GPU that does not tell its memory the instances are all there is.
fn parts(gpu: &GpuSample, instances: &[MigInstance]) -> BTreeMap<String, u64> {
    let share = |instance: &MigInstance| {
        let siblings = instances.iter().filter(|other| {
            other.uuid == instance.uuid
                || (other.gpu_instance.is_some() && other.gpu_instance == instance.gpu_instance)
        });
        u128::from(instance.size_bytes.unwrap_or(0)) * u128::from(WHOLE)
            / (siblings.count().max(1) as u128)
    };
    let shares: Vec<_> = instances.iter().map(|i| (i.uuid.clone(), share(i))).collect();
    let used: u128 = shares.iter().map(|(_, share)| share).sum();
    let memory = gpu.memory.map_or(0, |memory| u128::from(memory.total) * u128::from(WHOLE));
    let all = memory.max(used);
    let part = |share: u128| {
        (share * u128::from(WHOLE)).checked_div(all).and_then(|part| u64::try_from(part).ok())
    };
    shares.into_iter().map(|(uuid, share)| (uuid, part(share).unwrap_or(0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Memory;

    fn instance(uuid: &str, gpu_instance: u32, size: u64) -> MigInstance {
        MigInstance {
            uuid: uuid.to_owned(),
            gpu_instance: Some(gpu_instance),
            size_bytes: Some(size),
            ..MigInstance::default()
        }
    }

    fn gpu(memory: Option<u64>, instances: &[MigInstance]) -> GpuSample {
        GpuSample {
            identity: GpuIdentity { uuid: "GPU-0".to_owned(), ..GpuIdentity::default() },
            memory: memory.map(|total| Memory { total, used: 0, free: total, reserved: None }),
            mig: Some(instances.to_vec()),
            ..GpuSample::default()
        }
    }

    fn on(gpus: Vec<GpuName>) -> PoolSpec {
        PoolSpec { gpus: Some(gpus), ..PoolSpec::whole_host() }
    }

    fn mig(uuid: &str) -> GpuName {
        GpuName::of_uuid(uuid.to_owned())
    }

    #[track_caller]
    fn check(memory: Option<u64>, instances: &[MigInstance], eighths: &[(&str, u64)]) {
        let mut hardware = Hardware::default();
        let gpus = vec![gpu(memory, instances)];
        hardware.see(&GpuReading { gpus, ..GpuReading::default() });
        for (uuid, part) in eighths {
            let pool = on(vec![mig(uuid)]);
            assert_eq!(hardware.of(&pool), part * WHOLE / 8, "{uuid}");
            let identity = gpu(None, &[]).identity;
            assert_eq!(hardware.of_gpu(&pool, &identity), part * WHOLE / 8, "{uuid}");
        }
    }

    #[test]
    fn instances_count_by_their_part_of_the_memory() {
        let instances = [instance("MIG-a", 1, 20), instance("MIG-b", 2, 10)];
        check(Some(80), &instances, &[("MIG-a", 2), ("MIG-b", 1), ("MIG-gone", 0)]);
    }

    #[test]
    fn compute_instances_share_the_memory_of_their_gpu_instance() {
        let instances =
            [instance("MIG-a", 1, 40), instance("MIG-b", 1, 40), instance("MIG-c", 2, 20)];
        check(Some(80), &instances, &[("MIG-a", 2), ("MIG-b", 2), ("MIG-c", 2)]);
    }

    #[test]
    fn where_the_gpus_memory_is_not_told_the_instances_are_all_of_it() {
        let instances = [instance("MIG-a", 1, 30), instance("MIG-b", 2, 10)];
        check(None, &instances, &[("MIG-a", 6), ("MIG-b", 2)]);
        check(Some(8), &instances, &[("MIG-a", 6), ("MIG-b", 2)]);
    }

    #[test]
    fn a_gpu_that_is_away_keeps_its_instances_and_one_that_leaves_mig_does_not() {
        let mut hardware = Hardware::default();
        let pool = on(vec![mig("MIG-a")]);
        let split = gpu(Some(80), &[instance("MIG-a", 1, 40)]);
        hardware.see(&GpuReading { gpus: vec![split.clone()], ..GpuReading::default() });
        hardware.see(&GpuReading { lost: 1, ..GpuReading::default() });
        assert_eq!((hardware.of(&pool), hardware.all()), (WHOLE / 2, Some(WHOLE)));
        let whole = GpuSample { mig: None, ..split };
        hardware.see(&GpuReading { gpus: vec![whole], ..GpuReading::default() });
        assert_eq!(hardware.of(&pool), 0);
    }

    #[test]
    fn whole_gpus_count_once_each() {
        let hardware = Hardware::default();
        assert_eq!(hardware.of(&PoolSpec::whole_host()), WHOLE);
        assert_eq!(hardware.of(&on(vec![GpuName::Index(0), mig("GPU-1")])), 2 * WHOLE);
        assert_eq!(hardware.all(), None);
    }
}
