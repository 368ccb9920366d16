//! Values that one call fetches together.

use nvml_wrapper::Device;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;

use super::calls::{Calls, is_unsupported};
use crate::gpu::ClockEvent;

/// A value and its number in `nvml.h`, where CUDA 12's numbers stand for all: nvml-wrapper
/// translates those that CUDA 13 moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    MemoryTemperature = 82,
    RemappedCorrected = 142,
    RemappedUncorrected = 143,
    RemapPending = 144,
    RemapFailure = 145,
    PcieSent = 197,
    PcieReceived = 198,
    RecoveryAction = 230,
    PowerCapTime = 74,
    SyncBoostTime = 76,
    SwThermalTime = 251,
    HwThermalTime = 252,
    HwPowerBrakeTime = 253,
}

impl Field {
    const ALL: [Self; 13] = [
        Self::MemoryTemperature,
        Self::RemappedCorrected,
        Self::RemappedUncorrected,
        Self::RemapPending,
        Self::RemapFailure,
        Self::PcieSent,
        Self::PcieReceived,
        Self::RecoveryAction,
        Self::PowerCapTime,
        Self::SyncBoostTime,
        Self::SwThermalTime,
        Self::HwThermalTime,
        Self::HwPowerBrakeTime,
    ];

    /// Nanoseconds that each event has held the clocks down.
    pub(super) const CLOCK_EVENTS: [(Self, ClockEvent); 5] = [
        (Self::PowerCapTime, ClockEvent::SwPowerCap),
        (Self::SyncBoostTime, ClockEvent::SyncBoost),
        (Self::SwThermalTime, ClockEvent::SwThermalSlowdown),
        (Self::HwThermalTime, ClockEvent::HwThermalSlowdown),
        (Self::HwPowerBrakeTime, ClockEvent::HwPowerBrake),
    ];
}

/// The fields that a device has not said it does not support.
#[derive(Debug)]
pub(super) struct Fields {
    supported: Vec<Field>,
}

/// What the fields were.
#[derive(Debug, Default)]
pub(super) struct FieldValues(Vec<(Field, u64)>);

impl Fields {
    pub(super) fn new() -> Self {
        Self { supported: Field::ALL.to_vec() }
    }

    pub(super) fn read(&mut self, calls: &mut Calls, device: &Device<'_>) -> FieldValues {
        const CALL: &str = "field_values";
        if self.supported.is_empty() {
            return FieldValues::default();
        }
        let ids: Vec<_> = self.supported.iter().map(|field| FieldId(*field as u32)).collect();
        let Some(answers) = calls.ask(CALL, || device.field_values_for(&ids)) else {
            return FieldValues::default();
        };
        let mut values = Vec::new();
        let answers = answers.into_iter().map(|answer| answer.and_then(|sample| sample.value));
        let answered: Vec<_> = self.supported.iter().copied().zip(answers).collect();
        for (field, answer) in answered {
            match answer {
                Ok(value) => values.extend(whole(&value).map(|value| (field, value))),
                // A driver that does not know a field calls it an invalid argument.
                Err(error) if is_unsupported(&error) || matches!(error, NvmlError::InvalidArg) => {
                    self.supported.retain(|supported| *supported != field);
                }
                Err(error) => calls.failed(CALL, error),
            }
        }
        FieldValues(values)
    }
}

impl FieldValues {
    pub(super) fn of(&self, field: Field) -> Option<u64> {
        self.0.iter().find(|(other, _)| *other == field).map(|(_, value)| *value)
    }

    pub(super) fn flag(&self, field: Field) -> Option<bool> {
        self.of(field).map(|value| value != 0)
    }
}

fn whole(value: &SampleValue) -> Option<u64> {
    match value {
        SampleValue::U32(value) => Some(u64::from(*value)),
        SampleValue::U64(value) => Some(*value),
        SampleValue::I64(value) => u64::try_from(*value).ok(),
        SampleValue::F64(_) => None,
    }
}
