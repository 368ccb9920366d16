//! XIDs, to those who registered before they happened.

use std::ffi::{c_uint, c_ulonglong};
use std::ptr::without_provenance_mut;
use std::thread;
use std::time::Duration;

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t, nvmlReturn_t};

use super::put;
use crate::call::{
    INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS, TIMEOUT, Target, UNKNOWN, about, answer,
};
use crate::state::{self, EventSet};

/// `nvmlEventTypeXidCriticalError`.
const XID: c_ulonglong = 8;
const NONE: u32 = u32::MAX;

/// A set that listens to nothing.
///
/// # Safety
/// As in NVML: `set` leads to a handle.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetCreate(set: *mut nvmlEventSet_t) -> nvmlReturn_t {
    answer("nvmlEventSetCreate", None, |_| {
        let mut state = state::lock();
        let state = state.as_mut().ok_or(UNKNOWN)?;
        let id = state.new_id();
        state.event_sets.insert(id, EventSet::default());
        // SAFETY: the caller's contract.
        unsafe { put(set, without_provenance_mut(id)) }
    })
}

/// Ends a set.
#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetFree(set: nvmlEventSet_t) -> nvmlReturn_t {
    let mut state = state::lock();
    let removed = state.as_mut().and_then(|state| state.event_sets.remove(&set.addr()));
    removed.map_or(INVALID_ARGUMENT, |_| SUCCESS)
}

/// Which events a GPU has.
///
/// # Safety
/// As in NVML: `types` leads to an unsigned long long.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetSupportedEventTypes(
    device: nvmlDevice_t,
    types: *mut c_ulonglong,
) -> nvmlReturn_t {
    about("nvmlDeviceGetSupportedEventTypes", device, |_, _| {
        // SAFETY: the caller's contract.
        unsafe { put(types, XID) }
    })
}

/// Listens to a GPU from now on; not to a MIG instance.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceRegisterEvents(
    device: nvmlDevice_t,
    types: c_ulonglong,
    set: nvmlEventSet_t,
) -> nvmlReturn_t {
    about("nvmlDeviceRegisterEvents", device, |moment, target| {
        let Target::Gpu(gpu) = target else { return Err(NOT_SUPPORTED) };
        if types & !XID != 0 {
            return Err(NOT_SUPPORTED);
        }
        let mut state = state::lock();
        let sets = state.as_mut().map(|state| &mut state.event_sets).ok_or(UNKNOWN)?;
        let set = sets.get_mut(&set.addr()).ok_or(INVALID_ARGUMENT)?;
        set.registered.insert(gpu, moment.second);
        Ok(())
    })
}

/// The next event, or a timeout.
///
/// # Safety
/// As in NVML: `data` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    data: *mut nvmlEventData_t,
    timeout_ms: c_uint,
) -> nvmlReturn_t {
    answer("nvmlEventSetWait_v2", None, |_| {
        let event = match next(set)? {
            Some(event) => event,
            None => {
                thread::sleep(Duration::from_millis(timeout_ms.into()));
                next(set)?.ok_or(TIMEOUT)?
            }
        };
        // SAFETY: the caller's contract.
        unsafe { put(data, event) }
    })
}

fn next(set: nvmlEventSet_t) -> Result<Option<nvmlEventData_t>, nvmlReturn_t> {
    let mut state = state::lock();
    let state = state.as_mut().ok_or(UNKNOWN)?;
    let now = state.second();
    let set = state.event_sets.get_mut(&set.addr()).ok_or(INVALID_ARGUMENT)?;
    for (gpu, since) in &set.registered {
        let xids = state.script.gpus.get(*gpu).map(|gpu| gpu.xids.as_slice()).unwrap_or_default();
        for (place, (at, xid)) in xids.iter().enumerate() {
            if at > since && *at <= now && set.delivered.insert((*gpu, place)) {
                return Ok(Some(nvmlEventData_t {
                    device: Target::Gpu(*gpu).handle(),
                    eventType: XID,
                    eventData: *xid,
                    gpuInstanceId: NONE,
                    computeInstanceId: NONE,
                }));
            }
        }
    }
    Ok(None)
}
