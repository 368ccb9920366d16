//! Asking a device only for what it supports.

use std::collections::{BTreeMap, BTreeSet};

use nvml_wrapper::error::NvmlError;

/// What has become of the calls to one device. A call can be unsupported by the device or missing
/// from the driver. The first such answer holds until NVML is initialised anew.
#[derive(Debug, Default)]
pub(super) struct Calls {
    unsupported: BTreeSet<&'static str>,
    errors: BTreeMap<(&'static str, &'static str), u64>,
    lost: Option<NvmlError>,
}

impl Calls {
    /// Makes a call unless it is known to be unsupported. `name` tells it from all others.
    pub(super) fn ask<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce() -> Result<T, NvmlError>,
    ) -> Option<T> {
        if self.lost.is_some() || self.unsupported.contains(name) {
            return None;
        }
        match call() {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.failed(name, error);
                None
            }
        }
    }

    /// Whether a call has been found to be unsupported.
    pub(super) fn lacks(&self, name: &'static str) -> bool {
        self.unsupported.contains(name)
    }

    /// Takes in an error.
    pub(super) fn failed(&mut self, name: &'static str, error: NvmlError) {
        if is_unsupported(&error) {
            self.unsupported.insert(name);
            return;
        }
        *self.errors.entry((name, label(&error))).or_default() += 1;
        if is_lost(&error) {
            self.lost = Some(error);
        }
    }

    /// Takes over the errors of a part of the device.
    pub(super) fn absorb(&mut self, part: &mut Self) {
        for (call, count) in std::mem::take(&mut part.errors) {
            *self.errors.entry(call).or_default() += count;
        }
        self.lost = self.lost.take().or_else(|| part.lost.take());
    }

    /// The errors since this was last asked, added to `log`, and what says that the device is gone.
    pub(super) fn settle(
        &mut self,
        log: &mut BTreeMap<(&'static str, &'static str), u64>,
    ) -> Result<(), NvmlError> {
        for (call, count) in std::mem::take(&mut self.errors) {
            *log.entry(call).or_default() += count;
        }
        self.lost.take().map_or(Ok(()), Err)
    }
}

/// Whether the answer will be the same for as long as the driver is.
pub(super) fn is_unsupported(error: &NvmlError) -> bool {
    /// The driver knows no such version of the call's arguments; nvml-wrapper has no name for it.
    const ARGUMENT_VERSION_MISMATCH: u32 = 25;
    matches!(
        error,
        NvmlError::NotSupported
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_)
            | NvmlError::UnexpectedVariant(ARGUMENT_VERSION_MISMATCH)
    )
}

fn is_lost(error: &NvmlError) -> bool {
    /// As `GpuLost`, of a device that cannot be found any more.
    const GPU_NOT_FOUND: u32 = 28;
    matches!(
        error,
        NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::UnexpectedVariant(GPU_NOT_FOUND)
            | NvmlError::Uninitialized
    )
}

/// The `error` label: a closed set.
pub(super) fn label(error: &NvmlError) -> &'static str {
    match error {
        NvmlError::Uninitialized => "uninitialized",
        NvmlError::InvalidArg => "invalid_argument",
        NvmlError::NotSupported => "not_supported",
        NvmlError::NoPermission => "no_permission",
        NvmlError::NotFound => "not_found",
        NvmlError::InsufficientSize(_) => "insufficient_size",
        NvmlError::DriverNotLoaded => "driver_not_loaded",
        NvmlError::Timeout => "timeout",
        NvmlError::IrqIssue => "irq_issue",
        NvmlError::GpuLost => "gpu_lost",
        NvmlError::ResetRequired => "reset_required",
        NvmlError::OperatingSystem => "operating_system",
        NvmlError::LibRmVersionMismatch => "version_mismatch",
        NvmlError::InsufficientMemory => "insufficient_memory",
        NvmlError::NoData => "no_data",
        NvmlError::Unknown => "unknown",
        NvmlError::UnexpectedVariant(_) => "unexpected_code",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsupported_call_is_made_once_and_is_no_error() {
        let mut calls = Calls::default();
        for error in [NvmlError::NotSupported, NvmlError::UnexpectedVariant(25)] {
            let name = label(&error);
            assert_eq!(calls.ask::<u32>(name, || Err(error)), None);
            assert_eq!(calls.ask(name, || Ok(1)), None);
        }
        let mut log = BTreeMap::new();
        assert!(calls.settle(&mut log).is_ok());
        assert!(log.is_empty());
    }

    #[test]
    fn a_failed_call_is_counted_and_made_again() {
        let mut calls = Calls::default();
        assert_eq!(calls.ask::<u32>("power", || Err(NvmlError::Unknown)), None);
        assert_eq!(calls.ask("power", || Ok(1)), Some(1));
        let mut log = [(("power", "unknown"), 1)].into();
        assert!(calls.settle(&mut log).is_ok());
        assert_eq!(log, [(("power", "unknown"), 2)].into());
    }

    #[test]
    fn a_lost_gpu_is_not_asked_further() {
        let mut calls = Calls::default();
        assert_eq!(calls.ask::<u32>("power", || Err(NvmlError::GpuLost)), None);
        assert_eq!(calls.ask("memory", || Ok(1)), None);
        assert!(calls.settle(&mut BTreeMap::new()).is_err());
        assert_eq!(calls.ask("power", || Ok(1)), Some(1), "it may be back");
    }
}
