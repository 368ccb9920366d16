//! MIG: the instances of a GPU and how to reach them.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlDeviceAttributes_t, nvmlReturn_t};

use super::{narrow, put};
use crate::call::{NOT_FOUND, NOT_SUPPORTED, Target, about};

const MIB: u64 = 1 << 20;
/// As many as there are memory slices.
const MOST_INSTANCES: c_uint = 7;

/// Whether MIG is on: it is where the script has instances, even none.
///
/// # Safety
/// As in NVML: both pointers lead to an unsigned int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetMigMode", device, |moment, target| {
        let on = moment.gpu(target)?.mig.as_ref().map(|_| 1).ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller's contract.
        unsafe { put(current, on) }?;
        // SAFETY: the caller's contract.
        unsafe { put(pending, on) }
    })
}

/// The most instances there can be.
///
/// # Safety
/// As in NVML: `count` leads to an unsigned int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(
    device: nvmlDevice_t,
    count: *mut c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetMaxMigDeviceCount", device, |moment, target| {
        let most = moment.gpu(target)?.mig.as_ref().map_or(0, |_| MOST_INSTANCES);
        // SAFETY: the caller's contract.
        unsafe { put(count, most) }
    })
}

/// An instance by its place in the script.
///
/// # Safety
/// As in NVML: `instance` leads to a handle.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    index: c_uint,
    instance: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetMigDeviceHandleByIndex", device, |moment, target| {
        let instances = moment.gpu(target)?.mig.as_deref().unwrap_or_default();
        instances.get(index as usize).ok_or(NOT_FOUND)?;
        // SAFETY: the caller's contract.
        unsafe { put(instance, Target::Mig(target.gpu(), index as usize).handle()) }
    })
}

/// The size of an instance.
///
/// # Safety
/// As in NVML: `attributes` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetAttributes_v2(
    device: nvmlDevice_t,
    attributes: *mut nvmlDeviceAttributes_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetAttributes_v2", device, |moment, target| {
        let instance = moment.mig(target)?.ok_or(NOT_SUPPORTED)?;
        let memory = instance.memory.as_ref().ok_or(NOT_SUPPORTED)?;
        // SAFETY: the struct is numbers, for which all zeros are a value.
        let mut size: nvmlDeviceAttributes_t = unsafe { std::mem::zeroed() };
        size.memorySizeMB = memory.total.count(moment.second) / MIB;
        // SAFETY: the caller's contract.
        unsafe { put(attributes, size) }
    })
}

/// The id of the GPU instance that an instance is part of.
///
/// # Safety
/// As in NVML: `id` leads to an unsigned int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGpuInstanceId(
    device: nvmlDevice_t,
    id: *mut c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetGpuInstanceId", device, |moment, target| {
        let instance = moment.mig(target)?.ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller's contract.
        unsafe { put(id, narrow(instance.gpu_instance.into())) }
    })
}

/// The id of an instance within its GPU instance.
///
/// # Safety
/// As in NVML: `id` leads to an unsigned int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeInstanceId(
    device: nvmlDevice_t,
    id: *mut c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetComputeInstanceId", device, |moment, target| {
        let instance = moment.mig(target)?.ok_or(NOT_SUPPORTED)?;
        // SAFETY: the caller's contract.
        unsafe { put(id, narrow(instance.compute_instance.into())) }
    })
}
