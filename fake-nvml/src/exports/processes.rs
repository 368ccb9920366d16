//! Processes of a GPU or MIG instance.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlProcessInfo_t, nvmlReturn_t};

use super::narrow;
use crate::call::{INSUFFICIENT_SIZE, INVALID_ARGUMENT, Moment, Target, about};
use crate::script::Process;

/// Stands for a GPU or compute instance that is none.
const NONE: u32 = u32::MAX;

/// Processes with a context of their own.
///
/// # Safety
/// As in NVML: `count` leads to the number of structs that `infos` leads to.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetComputeRunningProcesses_v3", device, |moment, target| {
        // SAFETY: the caller's contract.
        unsafe { put_processes(&processes(moment, target, false)?, count, infos) }
    })
}

/// Clients of an MPS server.
///
/// # Safety
/// As in NVML: `count` leads to the number of structs that `infos` leads to.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMPSComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> nvmlReturn_t {
    about("nvmlDeviceGetMPSComputeRunningProcesses_v3", device, |moment, target| {
        // SAFETY: the caller's contract.
        unsafe { put_processes(&processes(moment, target, true)?, count, infos) }
    })
}

fn processes(
    moment: &Moment,
    target: Target,
    mps: bool,
) -> Result<Vec<nvmlProcessInfo_t>, nvmlReturn_t> {
    let (processes, gi, ci) = match moment.mig(target)? {
        Some(mig) => (&mig.processes, mig.gpu_instance, mig.compute_instance),
        None => (&moment.gpu(target)?.processes, NONE, NONE),
    };
    let info = |process: &Process| nvmlProcessInfo_t {
        pid: process.pid,
        usedGpuMemory: process.memory.unwrap_or(u64::MAX),
        gpuInstanceId: gi,
        computeInstanceId: ci,
    };
    Ok(processes.iter().filter(|process| process.mps == mps).map(info).collect())
}

/// Writes as many as there is room for, or says how many there are.
///
/// # Safety
/// `count` is null or leads to the number of structs that `infos` leads to, which may be null for 0.
unsafe fn put_processes(
    processes: &[nvmlProcessInfo_t],
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> Result<(), nvmlReturn_t> {
    if count.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: it is not null, so by contract it leads to a number.
    let room = unsafe { count.replace(narrow(processes.len() as u64)) };
    if processes.len() > room as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    if !infos.is_null() {
        // SAFETY: there is room for `room` structs, which are not ours.
        unsafe { infos.copy_from_nonoverlapping(processes.as_ptr(), processes.len()) };
    }
    Ok(())
}
