//! GPU telemetry: what a sample is, and the thread that takes it.

mod energy;
mod nvml;
mod sample;
mod tally;
mod watch;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::SystemTime;

pub use nvml::NvmlSource;
pub use sample::{
    Activity, ClockEvent, ClockEventState, EccErrors, Energy, EnergySource, GpuHealth, GpuIdentity,
    GpuLink, GpuProcess, GpuSample, Memory, MigInstance, RemappedRows, Traffic, Utilization,
};
pub use watch::{GpuWatch, Stale};

/// Something that can be asked for the state of the host's GPUs. A call may block for as long as
/// the driver does; [`GpuWatch`] sees to it that nobody waits for it.
pub trait GpuSource: Send {
    /// Takes one sample after the other. `publish` takes each one in, waits until the next is due,
    /// and says whether there is to be one.
    fn run(self, publish: &mut dyn FnMut(GpuReport) -> ControlFlow<()>);
}

/// One attempt to read all GPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuReport {
    /// What was read.
    pub reading: Result<GpuReading, GpuError>,
    /// What is known all the same.
    pub log: GpuLog,
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

/// What went wrong since the agent started. It outlives the GPUs: a GPU that fell off the bus is
/// best explained by its last XID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuLog {
    /// Failed initialisations.
    pub init_failures: BTreeMap<InitFailure, u64>,
    /// Failed calls by name and error. What a device does not support is no failure.
    pub call_errors: BTreeMap<(&'static str, &'static str), u64>,
    /// Errors that the driver reported, by GPU UUID and XID.
    pub xids: BTreeMap<(String, u64), Xid>,
}

/// How often the driver reported an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xid {
    /// How often, since the agent started.
    pub count: u64,
    /// When the agent saw the last one; the driver gives no time.
    pub last: SystemTime,
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
