//! GPM: figures of the time between two samples.

use std::ffi::c_uint;
use std::ptr::without_provenance_mut;

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlGpmMetricsGet_t, nvmlGpmSample_t, nvmlGpmSupport_t, nvmlReturn_t,
};

use super::put;
use crate::call::{INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS, UNKNOWN, about, answer};
use crate::state::{self, Sample};

/// Whether a GPU has it: where the script has figures for it, or for one of its instances.
///
/// # Safety
/// As in NVML: `support` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmQueryDeviceSupport(
    device: nvmlDevice_t,
    support: *mut nvmlGpmSupport_t,
) -> nvmlReturn_t {
    about("nvmlGpmQueryDeviceSupport", device, |moment, target| {
        let gpu = moment.gpu(target)?;
        let instances = gpu.mig.iter().flatten().any(|mig| !mig.gpm.is_empty());
        let supported = !gpu.gpm.is_empty() || instances;
        let answer = nvmlGpmSupport_t { version: 1, isSupportedDevice: supported.into() };
        // SAFETY: the caller's contract.
        unsafe { put(support, answer) }
    })
}

/// A sample of nothing.
///
/// # Safety
/// As in NVML: `sample` leads to a handle.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmSampleAlloc(sample: *mut nvmlGpmSample_t) -> nvmlReturn_t {
    answer("nvmlGpmSampleAlloc", None, |_| {
        let mut state = state::lock();
        let state = state.as_mut().ok_or(UNKNOWN)?;
        let id = state.new_id();
        state.samples.insert(id, None);
        // SAFETY: the caller's contract.
        unsafe { put(sample, without_provenance_mut(id)) }
    })
}

/// Ends a sample.
#[unsafe(no_mangle)]
extern "C" fn nvmlGpmSampleFree(sample: nvmlGpmSample_t) -> nvmlReturn_t {
    let mut state = state::lock();
    let removed = state.as_mut().and_then(|state| state.samples.remove(&sample.addr()));
    removed.map_or(INVALID_ARGUMENT, |_| SUCCESS)
}

/// Samples a GPU.
#[unsafe(no_mangle)]
extern "C" fn nvmlGpmSampleGet(device: nvmlDevice_t, sample: nvmlGpmSample_t) -> nvmlReturn_t {
    take("nvmlGpmSampleGet", device, None, sample)
}

/// Samples a GPU instance.
#[unsafe(no_mangle)]
extern "C" fn nvmlGpmMigSampleGet(
    device: nvmlDevice_t,
    gpu_instance: c_uint,
    sample: nvmlGpmSample_t,
) -> nvmlReturn_t {
    take("nvmlGpmMigSampleGet", device, Some(gpu_instance), sample)
}

fn take(
    call: &str,
    device: nvmlDevice_t,
    gpu_instance: Option<u32>,
    sample: nvmlGpmSample_t,
) -> nvmlReturn_t {
    about(call, device, |moment, target| {
        let gpu = moment.gpu(target)?;
        let figures = match gpu_instance {
            Some(id) => {
                gpu.mig.iter().flatten().find(|mig| mig.gpu_instance == id).map(|mig| &mig.gpm)
            }
            None => Some(&gpu.gpm),
        };
        if figures.is_none_or(|figures| figures.is_empty()) {
            return Err(NOT_SUPPORTED);
        }
        let taken = Sample { gpu: target.gpu(), gpu_instance, second: moment.second };
        let mut state = state::lock();
        let samples = state.as_mut().map(|state| &mut state.samples).ok_or(UNKNOWN)?;
        *samples.get_mut(&sample.addr()).ok_or(INVALID_ARGUMENT)? = Some(taken);
        Ok(())
    })
}

/// The figures between two samples of one device: the script's at the second one.
///
/// # Safety
/// As in NVML: `request` leads to the struct.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlGpmMetricsGet(request: *mut nvmlGpmMetricsGet_t) -> nvmlReturn_t {
    answer("nvmlGpmMetricsGet", None, |moment| {
        // SAFETY: the caller's contract.
        let request = unsafe { request.as_mut() }.ok_or(INVALID_ARGUMENT)?;
        let (before, after) = {
            let state = state::lock();
            let samples = state.as_ref().map(|state| &state.samples).ok_or(UNKNOWN)?;
            let of = |handle: nvmlGpmSample_t| samples.get(&handle.addr()).copied().flatten();
            (of(request.sample1), of(request.sample2))
        };
        let (Some(before), Some(after)) = (before, after) else { return Err(INVALID_ARGUMENT) };
        let same = (before.gpu, before.gpu_instance) == (after.gpu, after.gpu_instance);
        if !same || before.second > after.second {
            return Err(INVALID_ARGUMENT);
        }
        let gpu = moment.script.gpus.get(after.gpu).ok_or(INVALID_ARGUMENT)?;
        let instance = gpu.mig.iter().flatten();
        let instance = instance.clone().find(|mig| Some(mig.gpu_instance) == after.gpu_instance);
        let figures = instance.map_or(&gpu.gpm, |mig| &mig.gpm);
        let asked = usize::try_from(request.numMetrics).unwrap_or(usize::MAX);
        for metric in request.metrics.iter_mut().take(asked) {
            let figure = figures.get(&metric.metricId.to_string());
            metric.nvmlReturn = figure.map_or(NOT_SUPPORTED, |_| SUCCESS);
            metric.value = figure.map_or(0.0, |figure| figure.at(after.second));
        }
        Ok(())
    })
}
