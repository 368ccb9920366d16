//! Initialisation and the host as a whole.

use std::ffi::{c_char, c_int, c_uint};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_t};

use super::{narrow, put, put_text};
use crate::call::{INVALID_ARGUMENT, SUCCESS, Target, UNINITIALIZED, UNKNOWN, answer};
use crate::state;

/// Reads the script. A rule that fits is still the answer.
#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    if state::init().is_none() {
        return UNKNOWN;
    }
    let code = answer("nvmlInit_v2", None, |_| Ok(()));
    if code != SUCCESS {
        nvmlShutdown();
    }
    code
}

/// As [`nvmlInit_v2`].
#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> nvmlReturn_t {
    nvmlInit_v2()
}

/// Ends one initialisation; what was registered is gone with the last.
#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    match state::lock().as_mut() {
        Some(state) if state.users > 0 => {
            state.users -= 1;
            if state.users == 0 {
                state.event_sets.clear();
                state.samples.clear();
            }
            SUCCESS
        }
        Some(_) | None => UNINITIALIZED,
    }
}

/// The driver's version.
///
/// # Safety
/// As in NVML: `version` leads to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(
    version: *mut c_char,
    length: c_uint,
) -> nvmlReturn_t {
    answer("nvmlSystemGetDriverVersion", None, |moment| {
        // SAFETY: the caller's contract.
        unsafe { put_text(version, length, &moment.script.driver_version) }
    })
}

/// The library's version: CUDA's and the driver's.
///
/// # Safety
/// As in NVML: `version` leads to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetNVMLVersion(
    version: *mut c_char,
    length: c_uint,
) -> nvmlReturn_t {
    answer("nvmlSystemGetNVMLVersion", None, |moment| {
        let script = &moment.script;
        let text = format!("{}.{}", script.cuda_version / 1000, script.driver_version);
        // SAFETY: the caller's contract.
        unsafe { put_text(version, length, &text) }
    })
}

/// The driver's CUDA version.
///
/// # Safety
/// As in NVML: `version` leads to an int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> nvmlReturn_t {
    answer("nvmlSystemGetCudaDriverVersion_v2", None, |moment| {
        // SAFETY: the caller's contract.
        unsafe { put(version, moment.script.cuda_version) }
    })
}

/// How many GPUs there are, those that may not be opened included. A step of the clock.
///
/// # Safety
/// As in NVML: `count` leads to an unsigned int.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> nvmlReturn_t {
    if let Some(state) = state::lock().as_mut() {
        state.step();
    }
    answer("nvmlDeviceGetCount_v2", None, |moment| {
        // SAFETY: the caller's contract.
        unsafe { put(count, narrow(moment.script.gpus.len() as u64)) }
    })
}

/// A GPU by its place in the script.
///
/// # Safety
/// As in NVML: `device` leads to a handle.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(
    index: c_uint,
    device: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    let gpu = index as usize;
    answer("nvmlDeviceGetHandleByIndex_v2", Some(gpu), |moment| {
        if gpu >= moment.script.gpus.len() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: the caller's contract.
        unsafe { put(device, Target::Gpu(gpu).handle()) }
    })
}
