//! One GPU at one moment. What the device or driver does not support is absent. Units are NVML's.

use std::time::Duration;

/// One GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuSample {
    /// What does not change while the driver is loaded.
    pub identity: GpuIdentity,
    /// Shares of the sample period. The driver does not tell them of a GPU in MIG mode.
    pub utilization: Option<Utilization>,
    /// Percent of the sample period in which the video encoder worked.
    pub encoder_percent: Option<u32>,
    /// Percent of the sample period in which the video decoder worked.
    pub decoder_percent: Option<u32>,
    /// Frame buffer memory.
    pub memory: Option<Memory>,
    /// Board power draw; a 1-second average on Ampere and newer.
    pub power_milliwatts: Option<u32>,
    /// The power limit in force.
    pub power_limit_milliwatts: Option<u32>,
    /// Energy used.
    pub energy: Option<Energy>,
    /// The driver's own energy counter, since the driver was loaded.
    pub energy_counter_millijoules: Option<u64>,
    /// What the energy counter said over the last full comparison, divided by what the power samples
    /// came to. 1 where they agree.
    pub energy_disagreement: Option<f64>,
    /// Core temperature.
    pub temperature_celsius: Option<u32>,
    /// Temperature of the memory.
    pub memory_temperature_celsius: Option<u64>,
    /// Clock of the streaming multiprocessors.
    pub sm_clock_megahertz: Option<u32>,
    /// Clock of the memory.
    pub memory_clock_megahertz: Option<u32>,
    /// Clock of the graphics domain.
    pub graphics_clock_megahertz: Option<u32>,
    /// What holds the clocks down: whether it does now, and for how long it has. Empty where the
    /// driver does not tell.
    pub clock_events: Vec<(ClockEvent, ClockEventState)>,
    /// Errors and repairs.
    pub health: GpuHealth,
    /// Bytes over PCIe, NVLink.
    pub links: Vec<(GpuLink, Traffic)>,
    /// How busy its parts were since the sample before; Hopper and newer.
    pub activity: Option<Activity>,
    /// MIG instances; `None` unless MIG is on.
    pub mig: Option<Vec<MigInstance>>,
    /// Processes that compute on the GPU, those in MIG instances included; empty where the driver
    /// does not tell.
    pub processes: Vec<GpuProcess>,
}

impl GpuSample {
    /// The share of the sample period in which a kernel ran, 0 to 1.
    pub fn utilization_ratio(&self) -> Option<f64> {
        self.utilization.map(|share| f64::from(share.gpu_percent) / 100.0)
    }

    /// The share of the memory that is allocated, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for reading")]
    pub fn memory_used_ratio(&self) -> Option<f64> {
        let memory = self.memory.filter(|memory| memory.total > 0)?;
        Some(memory.used as f64 / memory.total as f64)
    }
}

/// Who a GPU is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuIdentity {
    /// NVML's index; may change at a reboot.
    pub index: u32,
    /// The UUID, which stays.
    pub uuid: String,
    /// Product name.
    pub name: Option<String>,
    /// PCI address.
    pub pci_bus_id: Option<String>,
    /// Architecture name.
    pub architecture: Option<String>,
    /// Version of the driver.
    pub driver_version: Option<String>,
    /// CUDA version of the driver.
    pub cuda_version: Option<String>,
}

/// A process that computes on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuProcess {
    /// Its PID, in the agent's PID namespace.
    pub pid: u32,
    /// GPU memory that it holds; some drivers do not tell.
    pub memory_bytes: Option<u64>,
}

/// Energy that a GPU used since the agent first saw it. Never falls while the source stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Energy {
    /// Where the figure comes from.
    pub source: EnergySource,
    /// How much.
    pub millijoules: u64,
}

/// Where an energy figure comes from: the `source` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EnergySource {
    /// The GPU's own counter, Volta and newer.
    Counter,
    /// Power samples, integrated over time.
    Integrated,
}

impl EnergySource {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Integrated => "integrated",
        }
    }
}

/// Percent of the sample period in which a kernel ran, and in which memory was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utilization {
    /// Kernel activity, 0 to 100.
    pub gpu_percent: u32,
    /// Memory activity, 0 to 100.
    pub memory_percent: u32,
}

/// Frame buffer memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Installed.
    pub total: u64,
    /// Allocated, without the reserved part.
    pub used: u64,
    /// Unallocated.
    pub free: u64,
    /// Kept by the driver; drivers before R510 count it as used.
    pub reserved: Option<u64>,
}

/// What can hold a GPU's clocks down: the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockEvent {
    /// Nothing runs.
    GpuIdle,
    /// Somebody set the clocks.
    ApplicationsClocks,
    /// The power limit.
    SwPowerCap,
    /// Heat or power brake, by the hardware.
    HwSlowdown,
    /// Kept in step with another GPU.
    SyncBoost,
    /// Heat, by the driver.
    SwThermalSlowdown,
    /// Heat, by the hardware.
    HwThermalSlowdown,
    /// The power supply asked for it.
    HwPowerBrake,
    /// A display.
    DisplayClocks,
}

impl ClockEvent {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GpuIdle => "gpu_idle",
            Self::ApplicationsClocks => "applications_clocks",
            Self::SwPowerCap => "sw_power_cap",
            Self::HwSlowdown => "hw_slowdown",
            Self::SyncBoost => "sync_boost",
            Self::SwThermalSlowdown => "sw_thermal_slowdown",
            Self::HwThermalSlowdown => "hw_thermal_slowdown",
            Self::HwPowerBrake => "hw_power_brake",
            Self::DisplayClocks => "display_clocks",
        }
    }
}

/// A clock event's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockEventState {
    /// Whether it holds the clocks down now.
    pub active: Option<bool>,
    /// For how long it has, since the agent first saw the GPU.
    pub total: Option<Duration>,
}

/// Errors and repairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuHealth {
    /// Memory errors since the last reset of the GPU.
    pub ecc_volatile: EccErrors,
    /// Memory errors of the GPU's life.
    pub ecc_aggregate: EccErrors,
    /// Repairs of the memory.
    pub remapped_rows: RemappedRows,
    /// What the driver wants done about the GPU: 0 nothing, 1 reset, 2 reboot, 3 drain peer to peer,
    /// 4 drain and reset.
    pub recovery_action: Option<u64>,
    /// PCIe packets sent again, since the agent first saw the GPU.
    pub pcie_replays: Option<u64>,
}

/// Memory errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EccErrors {
    /// Repaired on the fly.
    pub corrected: Option<u64>,
    /// Not repaired: data was lost.
    pub uncorrected: Option<u64>,
}

/// Rows of memory that spare ones stand in for; Ampere and newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemappedRows {
    /// Because of corrected errors.
    pub corrected: Option<u64>,
    /// Because of uncorrected errors.
    pub uncorrected: Option<u64>,
    /// Whether a repair waits for the next reset.
    pub pending: Option<bool>,
    /// Whether a repair failed: the GPU is to be replaced.
    pub failure: Option<bool>,
}

/// What connects a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GpuLink {
    /// To the host.
    Pcie,
    /// To other GPUs, over all links.
    NvLink,
}

/// Bytes since the agent first saw the GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent by the GPU.
    pub sent: Option<u64>,
    /// Received by the GPU.
    pub received: Option<u64>,
}

/// How busy the parts of a GPU or MIG instance were, in percent, from GPM.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// Time in which anything ran.
    pub graphics: Option<f64>,
    /// Multiprocessors with work.
    pub sm: Option<f64>,
    /// Warps in flight, of what would fit.
    pub sm_occupancy: Option<f64>,
    /// Time in which tensor cores worked.
    pub tensor: Option<f64>,
    /// Memory bandwidth, of what is possible.
    pub dram_bandwidth: Option<f64>,
}

/// A MIG instance: a part of a GPU that looks like one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MigInstance {
    /// Its UUID.
    pub uuid: String,
    /// Which GPU instance; unknown to old drivers.
    pub gpu_instance: Option<u32>,
    /// Which compute instance within it.
    pub compute_instance: Option<u32>,
    /// Size as NVIDIA names it, such as `1g.10gb`.
    pub profile: Option<String>,
    /// Its part of the parent's memory, in bytes: what its share of the GPU goes by.
    pub size_bytes: Option<u64>,
    /// Memory.
    pub memory: Option<Memory>,
    /// How busy it was; Hopper and newer.
    pub activity: Option<Activity>,
    /// Processes that compute in it.
    pub processes: Vec<GpuProcess>,
}
