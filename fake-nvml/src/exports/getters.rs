//! Calls that give one number of a GPU.

use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_t};

use super::{narrow, put, scripted};
use crate::call::{NOT_SUPPORTED, Target, about};

/// Defines calls `name(device, out)`. Of MIG instances none of them is supported.
macro_rules! getters {
    ($($name:ident: $type:ty = $field:ident, $convert:expr;)*) => {$(
        #[doc = concat!("`", stringify!($field), "` of the script.")]
        ///
        /// # Safety
        /// As in NVML: `out` leads to the number's type.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(device: nvmlDevice_t, out: *mut $type) -> nvmlReturn_t {
            about(stringify!($name), device, |moment, target| {
                let Target::Gpu(_) = target else { return Err(NOT_SUPPORTED) };
                let value = scripted(moment.gpu(target)?.$field.as_ref(), moment.second)?;
                // SAFETY: the caller's contract.
                unsafe { put(out, $convert(value)) }
            })
        }
    )*};
}

getters! {
    nvmlDeviceGetPowerUsage: c_uint = power_milliwatts, narrow;
    nvmlDeviceGetEnforcedPowerLimit: c_uint = power_limit_milliwatts, narrow;
    nvmlDeviceGetTotalEnergyConsumption: c_ulonglong = energy_millijoules, u64::from;
    nvmlDeviceGetCurrentClocksThrottleReasons: c_ulonglong = clock_event_reasons, u64::from;
    nvmlDeviceGetPcieReplayCounter: c_uint = pcie_replays, narrow;
    nvmlDeviceGetArchitecture: c_uint = architecture, narrow;
}

/// Defines calls `name(device, percent, period)`.
macro_rules! shares {
    ($($name:ident = $field:ident;)*) => {$(
        #[doc = concat!("`", stringify!($field), "` of the script.")]
        ///
        /// # Safety
        /// As in NVML: `percent` and `period` lead to an unsigned int each.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            device: nvmlDevice_t,
            percent: *mut c_uint,
            period: *mut c_uint,
        ) -> nvmlReturn_t {
            about(stringify!($name), device, |moment, target| {
                let value = scripted(moment.gpu(target)?.$field.as_ref(), moment.second)?;
                // SAFETY: the caller's contract.
                unsafe { put(percent, narrow(value)) }?;
                // SAFETY: the caller's contract.
                unsafe { put(period, 167_000) }
            })
        }
    )*};
}

shares! {
    nvmlDeviceGetEncoderUtilization = encoder_utilization;
    nvmlDeviceGetDecoderUtilization = decoder_utilization;
}
