//! Calls that give more than one number of a GPU, or ask for one of several.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlFieldValue_t, nvmlMemory_t, nvmlMemory_v2_t, nvmlPciInfo_t, nvmlReturn_t,
    nvmlUtilization_t, nvmlValue_t,
};

use super::{narrow, put, put_text, scripted};
use crate::call::{INVALID_ARGUMENT, Moment, NOT_SUPPORTED, SUCCESS, Target, about};

/// `NVML_VALUE_TYPE_UNSIGNED_LONG_LONG`.
const U64: u32 = 3;
/// The scope of all links.
const ALL_LINKS: u32 = u32::MAX;
/// Fields that count NVLink's KiB.
const NVLINK: [u32; 2] = [138, 139];

/// The UUID of a GPU or MIG instance.
///
/// # Safety
/// As in NVML: `uuid` leads to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(
    device: nvmlDevice_t,
    uuid: *mut c_char,
    length: c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetUUID", device, |moment, target| {
        let text = match moment.mig(target)? {
            Some(instance) => &instance.uuid,
            None => &moment.gpu(target)?.uuid,
        };
        // SAFETY: the caller's contract.
        unsafe { put_text(uuid, length, text) }
    })
}

/// The name of a GPU or MIG instance.
///
/// # Safety
/// As in NVML: `name` leads to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(
    device: nvmlDevice_t,
    name: *mut c_char,
    length: c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetName", device, |moment, target| {
        let text = match moment.mig(target)? {
            Some(instance) => &instance.name,
            None => &moment.gpu(target)?.name,
        };
        // SAFETY: the caller's contract.
        unsafe { put_text(name, length, text.as_deref().ok_or(NOT_SUPPORTED)?) }
    })
}

/// The PCI address.
///
/// # Safety
/// As in NVML: `pci` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(
    device: nvmlDevice_t,
    pci: *mut nvmlPciInfo_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetPciInfo_v3", device, |moment, target| {
        let address = moment.gpu(target)?.pci_bus_id.as_deref().ok_or(NOT_SUPPORTED)?;
        // SAFETY: the struct is numbers, for which all zeros are a value.
        let mut info: nvmlPciInfo_t = unsafe { std::mem::zeroed() };
        let length = narrow(info.busId.len() as u64);
        // SAFETY: the pointer and the length are of one array.
        unsafe { put_text(info.busId.as_mut_ptr(), length, address) }?;
        // SAFETY: the caller's contract.
        unsafe { put(pci, info) }
    })
}

/// How busy the GPU and its memory are.
///
/// # Safety
/// As in NVML: `utilization` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: nvmlDevice_t,
    utilization: *mut nvmlUtilization_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetUtilizationRates", device, |moment, target| {
        let script = moment.gpu(target)?;
        let gpu = scripted(script.utilization.as_ref(), moment.second)?;
        let memory = scripted(script.memory_utilization.as_ref(), moment.second).unwrap_or(0);
        let rates = nvmlUtilization_t { gpu: narrow(gpu), memory: narrow(memory) };
        // SAFETY: the caller's contract.
        unsafe { put(utilization, rates) }
    })
}

/// Total, used and reserved bytes of a GPU or MIG instance.
fn memory(moment: &Moment, target: Target) -> Result<[u64; 3], nvmlReturn_t> {
    let memory = match moment.mig(target)? {
        Some(instance) => instance.memory.as_ref(),
        None => moment.gpu(target)?.memory.as_ref(),
    };
    let memory = memory.ok_or(NOT_SUPPORTED)?;
    let at = moment.second;
    Ok([memory.total.count(at), memory.used.count(at), memory.reserved])
}

/// Memory with its reserved part.
///
/// # Safety
/// As in NVML: `out` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    out: *mut nvmlMemory_v2_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetMemoryInfo_v2", device, |moment, target| {
        let [total, used, reserved] = memory(moment, target)?;
        let free = total.saturating_sub(used).saturating_sub(reserved);
        // SAFETY: the caller's contract.
        unsafe { put(out, nvmlMemory_v2_t { version: 0, total, reserved, free, used }) }
    })
}

/// Memory as old drivers tell it: what is reserved counts as used.
///
/// # Safety
/// As in NVML: `out` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo(
    device: nvmlDevice_t,
    out: *mut nvmlMemory_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetMemoryInfo", device, |moment, target| {
        let [total, used, reserved] = memory(moment, target)?;
        let used = used.saturating_add(reserved);
        let free = total.saturating_sub(used);
        // SAFETY: the caller's contract.
        unsafe { put(out, nvmlMemory_t { total, free, used }) }
    })
}

/// The temperature of the core, sensor 0.
///
/// # Safety
/// As in NVML: `celsius` leads to an unsigned int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: nvmlDevice_t,
    sensor: c_uint,
    celsius: *mut c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetTemperature", device, |moment, target| {
        if sensor != 0 {
            return Err(INVALID_ARGUMENT);
        }
        let value = scripted(moment.gpu(target)?.temperature.as_ref(), moment.second)?;
        // SAFETY: the caller's contract.
        unsafe { put(celsius, narrow(value)) }
    })
}

/// A clock: 0 graphics, 1 multiprocessors, 2 memory.
///
/// # Safety
/// As in NVML: `megahertz` leads to an unsigned int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetClockInfo(
    device: nvmlDevice_t,
    clock: c_uint,
    megahertz: *mut c_uint,
) -> nvmlReturn_t {
    about("nvmlDeviceGetClockInfo", device, |moment, target| {
        let gpu = moment.gpu(target)?;
        let value = match clock {
            0 => &gpu.graphics_clock,
            1 => &gpu.sm_clock,
            2 => &gpu.memory_clock,
            _ => return Err(NOT_SUPPORTED),
        };
        let value = scripted(value.as_ref(), moment.second)?;
        // SAFETY: the caller's contract.
        unsafe { put(megahertz, narrow(value)) }
    })
}

/// Memory errors: kind 0 corrected, 1 uncorrected; counter 0 volatile, 1 aggregate.
///
/// # Safety
/// As in NVML: `count` leads to an unsigned long long.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    kind: c_uint,
    counter: c_uint,
    count: *mut c_ulonglong,
) -> nvmlReturn_t {
    about("nvmlDeviceGetTotalEccErrors", device, |moment, target| {
        let ecc = moment.gpu(target)?.ecc.as_ref().ok_or(NOT_SUPPORTED)?;
        let counters = if kind == 0 { &ecc.corrected } else { &ecc.uncorrected };
        let value = counters.get(counter as usize).ok_or(INVALID_ARGUMENT)?;
        // SAFETY: the caller's contract.
        unsafe { put(count, value.count(moment.second)) }
    })
}

/// Values by number; each has a return code of its own.
///
/// # Safety
/// As in NVML: `values` leads to `count` structs.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: nvmlDevice_t,
    count: c_int,
    values: *mut nvmlFieldValue_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetFieldValues", device, |moment, target| {
        let gpu = moment.gpu(target)?;
        let count = usize::try_from(count).map_err(|_| INVALID_ARGUMENT)?;
        if values.is_null() || count == 0 {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: the caller's contract; it is not null.
        for value in unsafe { std::slice::from_raw_parts_mut(values, count) } {
            let scripted = gpu.fields.get(&value.fieldId.to_string());
            value.valueType = U64;
            value.nvmlReturn = scripted.map_or(NOT_SUPPORTED, |_| SUCCESS);
            let number = scripted.map_or(0, |value| value.count(moment.second));
            // One link alone has carried nothing: who forgets the scope sees it.
            let one_link = NVLINK.contains(&value.fieldId) && value.scopeId != ALL_LINKS;
            value.value = nvmlValue_t { ullVal: if one_link { 0 } else { number } };
        }
        Ok(())
    })
}
