//! NVML behind [`GpuSource`], through nvml-wrapper.
//!
//! Each call can be unsupported by the device or missing from the driver. The first such answer is
//! remembered until NVML is initialised anew, and the call is not made again. NVML is initialised
//! anew, with growing pauses, when no GPU answers: a running process loses its GPUs for good when
//! the driver is reloaded or its device permissions are.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, cuda_driver_version_major, cuda_driver_version_minor};

use super::{
    GpuError, GpuIdentity, GpuReading, GpuSample, GpuSource, InitFailure, Memory, Utilization,
};
use crate::config::NvmlConfig;

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The host's NVIDIA GPUs.
#[derive(Debug)]
pub struct NvmlSource {
    library: Option<OsString>,
    state: State,
    init_failures: BTreeMap<InitFailure, u64>,
}

#[derive(Debug)]
enum State {
    Ready(Box<Session>),
    Failed { error: GpuError, retry_at: Instant, pause: Duration },
}

/// One initialisation of NVML.
#[derive(Debug)]
struct Session {
    nvml: Nvml,
    driver_version: Option<String>,
    cuda_version: Option<String>,
    /// By index.
    known: BTreeMap<u32, Known>,
}

/// What is remembered of a GPU.
#[derive(Debug)]
struct Known {
    identity: GpuIdentity,
    supports: Supports,
}

/// Calls that have not been answered with "not supported".
#[derive(Debug)]
struct Supports {
    utilization: Cell<bool>,
    memory: Cell<bool>,
    power: Cell<bool>,
    power_limit: Cell<bool>,
    energy: Cell<bool>,
    temperature: Cell<bool>,
    sm_clock: Cell<bool>,
    memory_clock: Cell<bool>,
    graphics_clock: Cell<bool>,
}

impl NvmlSource {
    /// Nothing is loaded before the first sample.
    pub fn new(config: NvmlConfig) -> Self {
        let error =
            GpuError::Init { reason: InitFailure::Unknown, message: "not tried".to_owned() };
        Self {
            library: config.library.map(Into::into),
            state: State::Failed { error, retry_at: Instant::now(), pause: Duration::ZERO },
            init_failures: BTreeMap::new(),
        }
    }

    /// The running session, or one more try at it when its time has come.
    fn session(&mut self) -> Result<&mut Session, GpuError> {
        if let State::Failed { error, retry_at, pause } = &self.state {
            if Instant::now() < *retry_at {
                return Err(error.clone());
            }
            let next_pause = (*pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.state = match Session::start(self.library.as_deref()) {
                Ok(session) => State::Ready(Box::new(session)),
                Err(error) => {
                    let reason = init_failure(&error);
                    *self.init_failures.entry(reason).or_default() += 1;
                    let error = GpuError::Init { reason, message: error.to_string() };
                    State::Failed {
                        error,
                        retry_at: Instant::now() + next_pause,
                        pause: next_pause,
                    }
                }
            };
        }
        match &mut self.state {
            State::Ready(session) => Ok(session),
            State::Failed { error, .. } => Err(error.clone()),
        }
    }
}

impl GpuSource for NvmlSource {
    fn sample(&mut self) -> Result<GpuReading, GpuError> {
        let sample = self.session()?.sample();
        if let Err(error) = &sample {
            // Shut down now, so that the next try finds a driver that has come back.
            let retry_at = Instant::now() + FIRST_PAUSE;
            self.state = State::Failed { error: error.clone(), retry_at, pause: FIRST_PAUSE };
        }
        sample
    }

    fn init_failures(&self) -> BTreeMap<InitFailure, u64> {
        self.init_failures.clone()
    }
}

impl Session {
    fn start(library: Option<&std::ffi::OsStr>) -> Result<Self, NvmlError> {
        let mut builder = Nvml::builder();
        if let Some(library) = library {
            builder.lib_path(library);
        }
        let nvml = builder.init()?;
        let cuda = nvml.sys_cuda_driver_version().ok();
        Ok(Self {
            driver_version: nvml.sys_driver_version().ok(),
            cuda_version: cuda.map(|version| {
                let major = cuda_driver_version_major(version);
                format!("{major}.{}", cuda_driver_version_minor(version))
            }),
            nvml,
            known: BTreeMap::new(),
        })
    }

    fn sample(&mut self) -> Result<GpuReading, GpuError> {
        let no_gpus = |count, message: String| GpuError::NoGpus { count, message };
        let count = self.nvml.device_count().map_err(|error| no_gpus(0, error.to_string()))?;
        let mut reading = GpuReading::default();
        let mut last_error = "there is none".to_owned();
        for index in 0..count {
            match self.sample_one(index) {
                Ok(sample) => reading.gpus.push(sample),
                Err(error) => {
                    match error {
                        NvmlError::NoPermission => reading.no_permission += 1,
                        _ => reading.lost += 1,
                    }
                    last_error = error.to_string();
                }
            }
        }
        if reading.gpus.is_empty() { Err(no_gpus(count, last_error)) } else { Ok(reading) }
    }

    fn sample_one(&mut self, index: u32) -> Result<GpuSample, NvmlError> {
        let device = self.nvml.device_by_index(index)?;
        // Asked for each time: it is cheap, and a lost GPU shows in it.
        let uuid = device.uuid()?;
        let known = match self.known.get(&index) {
            Some(known) if known.identity.uuid == uuid => known,
            Some(_) | None => {
                let identity = GpuIdentity {
                    index,
                    uuid,
                    name: device.name().ok(),
                    pci_bus_id: device.pci_info().ok().map(|pci| pci.bus_id),
                    architecture: device.architecture().ok().map(|name| name.to_string()),
                    driver_version: self.driver_version.clone(),
                    cuda_version: self.cuda_version.clone(),
                };
                let known = Known { identity, supports: Supports::default() };
                self.known.entry(index).insert_entry(known).into_mut()
            }
        };
        Ok(known.sample(&device))
    }
}

impl Known {
    fn sample(&self, device: &Device<'_>) -> GpuSample {
        let can = &self.supports;
        GpuSample {
            identity: self.identity.clone(),
            utilization: ask(&can.utilization, || device.utilization_rates())
                .map(|share| Utilization { gpu_percent: share.gpu, memory_percent: share.memory }),
            memory: ask(&can.memory, || device.memory_info()).map(|memory| Memory {
                total: memory.total,
                used: memory.used,
                free: memory.free,
                reserved: memory.reserved,
            }),
            power_milliwatts: ask(&can.power, || device.power_usage()),
            power_limit_milliwatts: ask(&can.power_limit, || device.enforced_power_limit()),
            energy_millijoules: ask(&can.energy, || device.total_energy_consumption()),
            temperature_celsius: ask(&can.temperature, || {
                device.temperature(TemperatureSensor::Gpu)
            }),
            sm_clock_megahertz: ask(&can.sm_clock, || device.clock_info(Clock::SM)),
            memory_clock_megahertz: ask(&can.memory_clock, || device.clock_info(Clock::Memory)),
            graphics_clock_megahertz: ask(&can.graphics_clock, || {
                device.clock_info(Clock::Graphics)
            }),
        }
    }
}

impl Default for Supports {
    fn default() -> Self {
        let untried = || Cell::new(true);
        Self {
            utilization: untried(),
            memory: untried(),
            power: untried(),
            power_limit: untried(),
            energy: untried(),
            temperature: untried(),
            sm_clock: untried(),
            memory_clock: untried(),
            graphics_clock: untried(),
        }
    }
}

/// Makes a call unless it is known to be unsupported.
fn ask<T>(supported: &Cell<bool>, call: impl FnOnce() -> Result<T, NvmlError>) -> Option<T> {
    if !supported.get() {
        return None;
    }
    let answer = call();
    if let Err(
        NvmlError::NotSupported | NvmlError::FunctionNotFound | NvmlError::FailedToLoadSymbol(_),
    ) = answer
    {
        supported.set(false);
    }
    answer.ok()
}

fn init_failure(error: &NvmlError) -> InitFailure {
    match error {
        // A file of that name that is not NVML lacks even the first symbol.
        NvmlError::LibloadingError(_)
        | NvmlError::LibraryNotFound
        | NvmlError::FailedToLoadSymbol(_) => InitFailure::LibraryMissing,
        NvmlError::DriverNotLoaded => InitFailure::DriverNotLoaded,
        NvmlError::NoPermission => InitFailure::NoPermission,
        NvmlError::LibRmVersionMismatch => InitFailure::VersionMismatch,
        _ => InitFailure::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_the_library_says_so_and_is_not_asked_again_at_once() {
        let library = Some("/nonexistent/libnvidia-ml.so.1".into());
        let mut source = NvmlSource::new(NvmlConfig { library });
        for _ in 0..3 {
            let error = source.sample().unwrap_err();
            assert!(matches!(error, GpuError::Init { reason: InitFailure::LibraryMissing, .. }));
        }
        assert_eq!(source.init_failures(), [(InitFailure::LibraryMissing, 1)].into());
    }

    #[test]
    fn an_unsupported_call_is_made_once() {
        let supported = Cell::new(true);
        assert_eq!(ask::<u32>(&supported, || Err(NvmlError::NotSupported)), None);
        assert_eq!(ask(&supported, || Ok(1)), None);
    }

    #[test]
    fn a_failing_call_is_made_again() {
        let supported = Cell::new(true);
        assert_eq!(ask::<u32>(&supported, || Err(NvmlError::Timeout)), None);
        assert_eq!(ask(&supported, || Ok(1)), Some(1));
    }
}
