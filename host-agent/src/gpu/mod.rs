//! GPU telemetry: what a sample is, and the thread that takes it.

mod nvml;
mod watch;

use std::collections::BTreeMap;

pub use nvml::NvmlSource;
pub use watch::{GpuWatch, Stale};

/// Something that can be asked for the state of the host's GPUs. A call may block for as long as
/// the driver does; [`GpuWatch`] sees to it that nobody waits for it.
pub trait GpuSource: Send {
    /// Takes a sample of all GPUs.
    fn sample(&mut self) -> Result<GpuReading, GpuError>;
    /// How often initialisation has failed so far, by reason.
    fn init_failures(&self) -> BTreeMap<InitFailure, u64>;
}

/// All GPUs at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuReading {
    /// The GPUs that answered, by index.
    pub gpus: Vec<GpuSample>,
    /// GPUs that are there but gave an error: fallen off the bus.
    pub lost: u32,
    /// GPUs that this process may not open.
    pub no_permission: u32,
}

impl GpuReading {
    /// All GPUs of the host, whether they answered or not.
    pub fn count(&self) -> u32 {
        let answered = u32::try_from(self.gpus.len()).unwrap_or(u32::MAX);
        answered.saturating_add(self.lost).saturating_add(self.no_permission)
    }
}

/// One GPU. What the device or driver does not support is absent. Units are NVML's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuSample {
    /// What does not change while the driver is loaded.
    pub identity: GpuIdentity,
    /// Shares of the sample period.
    pub utilization: Option<Utilization>,
    /// Frame buffer memory.
    pub memory: Option<Memory>,
    /// Board power draw; a 1-second average on Ampere and newer.
    pub power_milliwatts: Option<u32>,
    /// The power limit in force.
    pub power_limit_milliwatts: Option<u32>,
    /// Energy since the driver was loaded.
    pub energy_millijoules: Option<u64>,
    /// Core temperature.
    pub temperature_celsius: Option<u32>,
    /// Clock of the streaming multiprocessors.
    pub sm_clock_megahertz: Option<u32>,
    /// Clock of the memory.
    pub memory_clock_megahertz: Option<u32>,
    /// Clock of the graphics domain.
    pub graphics_clock_megahertz: Option<u32>,
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
    /// Kept by the driver.
    pub reserved: u64,
}

/// Why NVML could not be initialised: the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InitFailure {
    /// No `libnvidia-ml.so.1`, or something else under that name.
    LibraryMissing,
    /// The kernel driver is not loaded.
    DriverNotLoaded,
    /// The devices may not be opened.
    NoPermission,
    /// Library and driver differ, as after an upgrade without reboot.
    VersionMismatch,
    /// Anything else.
    Unknown,
}

impl InitFailure {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LibraryMissing => "library_missing",
            Self::DriverNotLoaded => "driver_not_loaded",
            Self::NoPermission => "no_permission",
            Self::VersionMismatch => "version_mismatch",
            Self::Unknown => "unknown",
        }
    }
}

/// Why there is no sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// NVML did not initialise.
    #[error("{}: {message}", reason.as_str())]
    Init {
        /// The reason as a label.
        reason: InitFailure,
        /// What NVML or the loader said.
        message: String,
    },
    /// NVML works, but not one GPU answers.
    #[error("none of {count} GPUs answers: {message}")]
    NoGpus {
        /// How many NVML says there are.
        count: u32,
        /// What the last one said.
        message: String,
    },
}
