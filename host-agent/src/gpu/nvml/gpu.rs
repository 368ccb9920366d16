//! One GPU: everything that it can be asked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::calls::Calls;
use super::fields::{Field, FieldValues, Fields};
use super::gpm::Gpm;
use super::mig::Mig;
use super::raw;
use crate::gpu::energy::EnergyMeter;
use crate::gpu::tally::Tally;
use crate::gpu::{
    ClockEvent, ClockEventState, EccErrors, GpuHealth, GpuIdentity, GpuLink, GpuProcess, GpuSample,
    Memory, MigInstance, RemappedRows, Traffic, Utilization,
};

/// NVLink bytes over all links, in `nvml.h`'s numbers.
const NVLINK_SENT: u32 = 138;
const NVLINK_RECEIVED: u32 = 139;

/// What is known of a GPU while NVML stays initialised.
#[derive(Debug)]
pub(super) struct Gpu<'nvml> {
    pub(super) identity: GpuIdentity,
    calls: Calls,
    fields: Fields,
    gpm: Gpm<'nvml>,
    mig: Mig<'nvml>,
}

/// A GPU's counters, which outlive that.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies {
    energy: EnergyMeter,
    pcie_replays: Tally,
    traffic: BTreeMap<(GpuLink, Direction), Tally>,
    clock_events: BTreeMap<ClockEvent, Tally>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    Sent,
    Received,
}

impl<'nvml> Gpu<'nvml> {
    pub(super) fn new(identity: GpuIdentity) -> Self {
        Self {
            identity,
            calls: Calls::default(),
            fields: Fields::new(),
            gpm: Gpm::default(),
            mig: Mig::default(),
        }
    }

    /// Reads everything. An error means that the GPU is gone; failed calls are added to `errors`.
    pub(super) fn sample(
        &mut self,
        nvml: &'nvml Nvml,
        device: &Device<'nvml>,
        tallies: &mut Tallies,
        errors: &mut BTreeMap<(&'static str, &'static str), u64>,
    ) -> Result<GpuSample, NvmlError> {
        let calls = &mut self.calls;
        let fields = self.fields.read(calls, device);
        let power = calls.ask("power_usage", || device.power_usage());
        let counter = calls.ask("total_energy", || device.total_energy_consumption());
        let mig = self.mig.read(nvml, calls, device);
        let sample = GpuSample {
            identity: self.identity.clone(),
            utilization: calls
                .ask("utilization_rates", || device.utilization_rates())
                .map(|share| Utilization { gpu_percent: share.gpu, memory_percent: share.memory }),
            encoder_percent: calls
                .ask("encoder_utilization", || device.encoder_utilization())
                .map(|encoder| encoder.utilization),
            decoder_percent: calls
                .ask("decoder_utilization", || device.decoder_utilization())
                .map(|decoder| decoder.utilization),
            memory: memory(nvml, calls, device),
            power_milliwatts: power,
            power_limit_milliwatts: calls.ask("power_limit", || device.enforced_power_limit()),
            energy: tallies.energy.advance(Instant::now(), counter, power),
            energy_counter_millijoules: counter,
            energy_disagreement: tallies.energy.disagreement,
            temperature_celsius: calls
                .ask("temperature", || device.temperature(TemperatureSensor::Gpu)),
            memory_temperature_celsius: fields.of(Field::MemoryTemperature),
            sm_clock_megahertz: calls.ask("clock_sm", || device.clock_info(Clock::SM)),
            memory_clock_megahertz: calls.ask("clock_memory", || device.clock_info(Clock::Memory)),
            graphics_clock_megahertz: calls
                .ask("clock_graphics", || device.clock_info(Clock::Graphics)),
            clock_events: clock_events(calls, device, &fields, tallies),
            health: health(calls, device, &fields, tallies),
            links: links(nvml, calls, device, &fields, tallies),
            activity: self.gpm.read(nvml, calls, || match device.gpm_support()? {
                true => device.gpm_sample(),
                false => Err(NvmlError::NotSupported),
            }),
            processes: match &mig {
                Some(instances) => {
                    instances.iter().flat_map(|i: &MigInstance| &i.processes).copied().collect()
                }
                None => processes(calls, device),
            },
            mig,
        };
        calls.settle(errors)?;
        Ok(sample)
    }
}

/// Memory of a GPU or MIG instance.
pub(super) fn memory(nvml: &Nvml, calls: &mut Calls, device: &Device<'_>) -> Option<Memory> {
    const NEW: &str = "memory_info";
    let memory = calls.ask(NEW, || device.memory_info()).map(|memory| Memory {
        total: memory.total,
        used: memory.used,
        free: memory.free,
        reserved: Some(memory.reserved),
    });
    if !calls.lacks(NEW) {
        return memory;
    }
    calls.ask("memory_info_v1", || raw::memory_v1(nvml, device))
}

/// Processes of a GPU or MIG instance: those with a context of their own, and clients of an MPS
/// server, each once.
pub(super) fn processes(calls: &mut Calls, device: &Device<'_>) -> Vec<GpuProcess> {
    let own = calls.ask("compute_processes", || device.running_compute_processes());
    let mps = calls.ask("mps_processes", || device.mps_running_compute_processes());
    let mut found = BTreeMap::new();
    for process in own.into_iter().chain(mps).flatten() {
        found.entry(process.pid).or_insert(match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        });
    }
    found.into_iter().map(|(pid, memory_bytes)| GpuProcess { pid, memory_bytes }).collect()
}

fn clock_events(
    calls: &mut Calls,
    device: &Device<'_>,
    fields: &FieldValues,
    tallies: &mut Tallies,
) -> Vec<(ClockEvent, ClockEventState)> {
    const BITS: [(ThrottleReasons, ClockEvent); 9] = [
        (ThrottleReasons::GPU_IDLE, ClockEvent::GpuIdle),
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, ClockEvent::ApplicationsClocks),
        (ThrottleReasons::SW_POWER_CAP, ClockEvent::SwPowerCap),
        (ThrottleReasons::HW_SLOWDOWN, ClockEvent::HwSlowdown),
        (ThrottleReasons::SYNC_BOOST, ClockEvent::SyncBoost),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, ClockEvent::SwThermalSlowdown),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, ClockEvent::HwThermalSlowdown),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, ClockEvent::HwPowerBrake),
        (ThrottleReasons::DISPLAY_CLOCK_SETTING, ClockEvent::DisplayClocks),
    ];
    let mut events = BTreeMap::<ClockEvent, ClockEventState>::new();
    if let Some(now) = calls.ask("clock_event_reasons", || device.current_throttle_reasons()) {
        for (bit, event) in BITS {
            events.entry(event).or_default().active = Some(now.contains(bit));
        }
    }
    for (field, event) in Field::CLOCK_EVENTS {
        let Some(nanos) = fields.of(field) else { continue };
        let total = tallies.clock_events.entry(event).or_default().advance(nanos);
        events.entry(event).or_default().total = Some(Duration::from_nanos(total));
    }
    events.into_iter().collect()
}

fn health(
    calls: &mut Calls,
    device: &Device<'_>,
    fields: &FieldValues,
    tallies: &mut Tallies,
) -> GpuHealth {
    let mut ecc =
        |call, error, counter| calls.ask(call, || device.total_ecc_errors(error, counter));
    GpuHealth {
        ecc_volatile: EccErrors {
            corrected: ecc("ecc_corrected", MemoryError::Corrected, EccCounter::Volatile),
            uncorrected: ecc("ecc_uncorrected", MemoryError::Uncorrected, EccCounter::Volatile),
        },
        ecc_aggregate: EccErrors {
            corrected: ecc("ecc_corrected_ever", MemoryError::Corrected, EccCounter::Aggregate),
            uncorrected: ecc(
                "ecc_uncorrected_ever",
                MemoryError::Uncorrected,
                EccCounter::Aggregate,
            ),
        },
        remapped_rows: RemappedRows {
            corrected: fields.of(Field::RemappedCorrected),
            uncorrected: fields.of(Field::RemappedUncorrected),
            pending: fields.flag(Field::RemapPending),
            failure: fields.flag(Field::RemapFailure),
        },
        recovery_action: fields.of(Field::RecoveryAction),
        pcie_replays: calls
            .ask("pcie_replays", || device.pcie_replay_counter())
            .map(|replays| tallies.pcie_replays.advance(u64::from(replays))),
    }
}

/// From counters. Asking for the PCIe throughput instead takes 40 ms per GPU.
fn links(
    nvml: &Nvml,
    calls: &mut Calls,
    device: &Device<'_>,
    fields: &FieldValues,
    tallies: &mut Tallies,
) -> Vec<(GpuLink, Traffic)> {
    let mut nvlink = |call, field| calls.ask(call, || raw::nvlink_bytes(nvml, device, field));
    let nvlink = (nvlink("nvlink_sent", NVLINK_SENT), nvlink("nvlink_received", NVLINK_RECEIVED));
    let pcie = (fields.of(Field::PcieSent), fields.of(Field::PcieReceived));
    let mut tally = |link, direction, bytes: Option<u64>| {
        bytes.map(|bytes| tallies.traffic.entry((link, direction)).or_default().advance(bytes))
    };
    [(GpuLink::Pcie, pcie), (GpuLink::NvLink, nvlink)]
        .into_iter()
        .map(|(link, (sent, received))| {
            let sent = tally(link, Direction::Sent, sent);
            (link, Traffic { sent, received: tally(link, Direction::Received, received) })
        })
        .collect()
}
