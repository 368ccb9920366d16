//! MIG instances: a family of their own, so that no sum counts a GPU and its parts.

use super::super::page::Page;
use super::{Writer, load};
use crate::gpu::{GpuSample, MigInstance};

pub(super) fn add(page: &mut Page, gpu: &GpuSample) {
    let parent = gpu.identity.uuid.as_str();
    let mut shown = Vec::new();
    for instance in gpu.mig.iter().flatten() {
        add_info(page, parent, instance);
        // Compute instances of one GPU instance share its memory and multiprocessors.
        let Some(id) = instance.gpu_instance.filter(|id| !shown.contains(id)) else { continue };
        shown.push(id);
        let id = id.to_string();
        let mut writer = Writer { page, who: vec![("uuid", parent), ("gpu_instance_id", &id)] };
        writer.memory("gaugeway_mig", instance.memory);
        load::activity(&mut writer, "gaugeway_mig", instance.activity);
    }
}

fn add_info(page: &mut Page, parent: &str, instance: &MigInstance) {
    let id = |id: Option<u32>| id.map(|id| id.to_string());
    let known = [
        ("gpu_instance_id", id(instance.gpu_instance)),
        ("compute_instance_id", id(instance.compute_instance)),
        ("profile", instance.profile.clone()),
    ];
    let known = known.iter().filter_map(|(label, value)| Some((*label, value.as_deref()?)));
    let labels: Vec<_> =
        [("uuid", parent), ("mig_uuid", &instance.uuid)].into_iter().chain(known).collect();
    page.gauge("gaugeway_mig_info", "1, labelled with what does not change.", &labels, 1.0);
}
