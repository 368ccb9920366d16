//! The few calls that nvml-wrapper does not make, or not in the way that is needed.

use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlFieldValue_t, nvmlMemory_t, nvmlReturn_t};

use crate::gpu::Memory;

/// Bytes of the unit of the NVLink fields.
const KIB: u64 = 1024;

/// The id of a MIG instance's GPU instance.
pub(super) fn gpu_instance_id(nvml: &Nvml, mig: &Device<'_>) -> Result<u32, NvmlError> {
    let call = nvml_sym(nvml.lib().nvmlDeviceGetGpuInstanceId.as_ref())?;
    id(*call, mig)
}

/// The id of a MIG instance's compute instance.
pub(super) fn compute_instance_id(nvml: &Nvml, mig: &Device<'_>) -> Result<u32, NvmlError> {
    let call = nvml_sym(nvml.lib().nvmlDeviceGetComputeInstanceId.as_ref())?;
    id(*call, mig)
}

fn id(
    call: unsafe extern "C" fn(nvmlDevice_t, *mut u32) -> nvmlReturn_t,
    device: &Device<'_>,
) -> Result<u32, NvmlError> {
    let mut id = 0;
    // SAFETY: the handle is used for this call only, while NVML is initialised.
    let handle = unsafe { device.handle() };
    // SAFETY: both calls that come here write one unsigned int where the pointer says.
    nvml_try(unsafe { call(handle, &raw mut id) })?;
    Ok(id)
}

/// Memory as drivers before R510 tell it.
pub(super) fn memory_v1(nvml: &Nvml, device: &Device<'_>) -> Result<Memory, NvmlError> {
    let call = nvml_sym(nvml.lib().nvmlDeviceGetMemoryInfo.as_ref())?;
    let mut memory = nvmlMemory_t { total: 0, free: 0, used: 0 };
    // SAFETY: the handle is used for this call only, while NVML is initialised.
    let handle = unsafe { device.handle() };
    // SAFETY: the call fills the struct that the pointer leads to, which has NVML's layout.
    nvml_try(unsafe { call(handle, &raw mut memory) })?;
    let nvmlMemory_t { total, free, used } = memory;
    Ok(Memory { total, used, free, reserved: None })
}

/// Bytes that went over all NVLinks. nvml-wrapper cannot name the scope, and asks for link 0 alone.
pub(super) fn nvlink_bytes(nvml: &Nvml, device: &Device<'_>, field: u32) -> Result<u64, NvmlError> {
    /// All links together.
    const ALL_LINKS: u32 = u32::MAX;
    let call = nvml_sym(nvml.lib().nvmlDeviceGetFieldValues.as_ref())?;
    // SAFETY: the struct is numbers and a union of numbers, for which all zeros are a value.
    let mut value: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
    (value.fieldId, value.scopeId) = (field, ALL_LINKS);
    // SAFETY: the handle is used for this call only, while NVML is initialised.
    let handle = unsafe { device.handle() };
    // SAFETY: the count is that of the structs that the pointer leads to, which have NVML's layout.
    nvml_try(unsafe { call(handle, 1, &raw mut value) })?;
    nvml_try(value.nvmlReturn)?;
    // SAFETY: the union was zeroed and these fields are 64 bits wide, as the whole union is.
    let kib = unsafe { value.value.ullVal };
    Ok(kib.saturating_mul(KIB))
}
