//! What happens in every call: the rules, then the answer.

use std::ptr::without_provenance_mut;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_t};

use crate::script::{Gpu, Mig, Script};
use crate::state;

pub(crate) const SUCCESS: nvmlReturn_t = 0;
pub(crate) const UNINITIALIZED: nvmlReturn_t = 1;
pub(crate) const INVALID_ARGUMENT: nvmlReturn_t = 2;
pub(crate) const NOT_SUPPORTED: nvmlReturn_t = 3;
pub(crate) const NOT_FOUND: nvmlReturn_t = 6;
pub(crate) const INSUFFICIENT_SIZE: nvmlReturn_t = 7;
pub(crate) const TIMEOUT: nvmlReturn_t = 10;
pub(crate) const UNKNOWN: nvmlReturn_t = 999;

/// How often a blocked call looks whether it still is.
const BLOCKED: Duration = Duration::from_millis(10);

/// What a device handle stands for. Handles are numbers and lead to no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Gpu(usize),
    Mig(usize, usize),
}

impl Target {
    const INSTANCES: usize = 256;

    pub(crate) fn of(handle: nvmlDevice_t) -> Option<Self> {
        let number = handle.addr();
        let gpu = (number / Self::INSTANCES).checked_sub(1)?;
        Some(match (number % Self::INSTANCES).checked_sub(1) {
            Some(instance) => Self::Mig(gpu, instance),
            None => Self::Gpu(gpu),
        })
    }

    pub(crate) fn handle(self) -> nvmlDevice_t {
        without_provenance_mut(match self {
            Self::Gpu(gpu) => (gpu + 1) * Self::INSTANCES,
            Self::Mig(gpu, instance) => (gpu + 1) * Self::INSTANCES + instance + 1,
        })
    }

    pub(crate) fn gpu(self) -> usize {
        match self {
            Self::Gpu(gpu) | Self::Mig(gpu, _) => gpu,
        }
    }
}

/// The script at the moment of a call.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) script: Arc<Script>,
    pub(crate) second: f64,
}

impl Moment {
    pub(crate) fn gpu(&self, target: Target) -> Result<&Gpu, nvmlReturn_t> {
        self.script.gpus.get(target.gpu()).ok_or(INVALID_ARGUMENT)
    }

    /// The instance, of a handle that stands for one.
    pub(crate) fn mig(&self, target: Target) -> Result<Option<&Mig>, nvmlReturn_t> {
        let Target::Mig(_, instance) = target else { return Ok(None) };
        let instances = self.gpu(target)?.mig.as_deref().unwrap_or_default();
        instances.get(instance).map(Some).ok_or(INVALID_ARGUMENT)
    }
}

/// Answers a call: by the first rule that fits, else by `answer`.
pub(crate) fn answer(
    call: &str,
    gpu: Option<usize>,
    answer: impl FnOnce(&Moment) -> Result<(), nvmlReturn_t>,
) -> nvmlReturn_t {
    let moment = match state::lock().as_ref() {
        Some(state) => Moment { script: Arc::clone(&state.script), second: state.second() },
        None => return UNINITIALIZED,
    };
    let Script { rules, folder, .. } = moment.script.as_ref();
    let rule = rules.iter().find(|rule| rule.fits(call, gpu, moment.second, folder));
    if let Some(rule) = rule {
        thread::sleep(Duration::from_millis(rule.delay_ms.unwrap_or(0)));
        if let Some(file) = &rule.while_file {
            while folder.join(file).exists() {
                thread::sleep(BLOCKED);
            }
        }
        if let Some(code) = rule.returns {
            return code;
        }
    }
    // Shut down is checked after the rules, so that they can speak of initialisation.
    if state::lock().as_ref().is_none_or(|state| state.users == 0) {
        return UNINITIALIZED;
    }
    answer(&moment).err().unwrap_or(SUCCESS)
}

/// The same, of a call about a device.
pub(crate) fn about(
    call: &str,
    handle: nvmlDevice_t,
    what: impl FnOnce(&Moment, Target) -> Result<(), nvmlReturn_t>,
) -> nvmlReturn_t {
    match Target::of(handle) {
        Some(target) => answer(call, Some(target.gpu()), |moment| what(moment, target)),
        None => INVALID_ARGUMENT,
    }
}
