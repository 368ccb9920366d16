//! NVML behind [`GpuSource`], through nvml-wrapper.
//!
//! ```text
//! NvmlSource::run ─► Session, one initialisation of NVML ─► Gpu::sample, each device in turn
//!   retries            finds devices, hears XIDs             asks what the device supports
//! ```
//!
//! NVML is initialised anew when no GPU answers, and from time to time while one is lost: a running
//! process loses its GPUs for good when the driver is reloaded or its device permissions are.

mod calls;
mod events;
mod fields;
mod gpm;
mod gpu;
mod mig;
#[expect(unsafe_code, reason = "calls that nvml-wrapper does not wrap")]
mod raw;
mod session;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::{GpuError, GpuLog, GpuReading, GpuReport, GpuSource, InitFailure};
use crate::config::NvmlConfig;
use gpu::Tallies;
use session::Session;

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The host's NVIDIA GPUs.
#[derive(Debug)]
pub struct NvmlSource {
    library: Option<OsString>,
    memory: Memory,
}

/// What outlives an initialisation of NVML, so that counters go on where they were.
#[derive(Debug, Default)]
struct Memory {
    log: GpuLog,
    /// By UUID.
    tallies: BTreeMap<String, Tallies>,
}

/// When to try again what failed: after growing pauses.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    due: Instant,
    pause: Duration,
}

impl NvmlSource {
    /// Nothing is loaded before the first sample.
    pub fn new(config: NvmlConfig) -> Self {
        Self { library: config.library.map(Into::into), memory: Memory::default() }
    }

    fn init(&mut self) -> Result<Nvml, GpuError> {
        let mut builder = Nvml::builder();
        if let Some(library) = &self.library {
            builder.lib_path(library);
        }
        builder.init().map_err(|error| {
            let reason = init_failure(&error);
            *self.memory.log.init_failures.entry(reason).or_default() += 1;
            GpuError::Init { reason, message: error.to_string() }
        })
    }
}

impl GpuSource for NvmlSource {
    fn run(mut self, publish: &mut dyn FnMut(GpuReport) -> ControlFlow<()>) {
        let mut backoff = Backoff::now();
        loop {
            let ended = match self.init() {
                Ok(nvml) => self.memory.watch(&nvml, &mut backoff, publish),
                Err(error) => {
                    backoff.grow();
                    self.memory.wait(&backoff, &error, publish)
                }
            };
            if ended.is_break() {
                return;
            }
        }
    }
}

impl Memory {
    /// Samples until NVML has to be initialised anew. A session that worked and lost its GPUs is
    /// followed by the next one at once: a reloaded driver is there again.
    fn watch(
        &mut self,
        nvml: &Nvml,
        backoff: &mut Backoff,
        publish: &mut dyn FnMut(GpuReport) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut session = Session::start(nvml);
        let mut worked = false;
        loop {
            let reading = session.sample(self);
            match &reading {
                Ok(GpuReading { lost: 0, .. }) => *backoff = Backoff::now(),
                Ok(_) if backoff.is_over() && worked => {
                    backoff.grow();
                    return publish(self.report(reading));
                }
                Ok(_) => {}
                Err(_) if worked => return publish(self.report(reading)),
                Err(error) => {
                    backoff.grow();
                    drop(session);
                    return self.wait(backoff, error, publish);
                }
            }
            worked |= reading.is_ok();
            publish(self.report(reading))?;
        }
    }

    /// Shows the error until the next try is due.
    fn wait(
        &self,
        backoff: &Backoff,
        error: &GpuError,
        publish: &mut dyn FnMut(GpuReport) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        loop {
            publish(self.report(Err(error.clone())))?;
            if backoff.is_over() {
                return ControlFlow::Continue(());
            }
        }
    }

    fn report(&self, reading: Result<GpuReading, GpuError>) -> GpuReport {
        GpuReport { reading, log: self.log.clone() }
    }
}

impl Backoff {
    /// Due at once.
    fn now() -> Self {
        Self { due: Instant::now(), pause: Duration::ZERO }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.due
    }

    fn grow(&mut self) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.due = Instant::now() + self.pause;
    }
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
        let mut reports = Vec::new();
        NvmlSource::new(NvmlConfig { library, ..NvmlConfig::default() }).run(&mut |report| {
            reports.push(report);
            if reports.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        for report in reports {
            let error = report.reading.unwrap_err();
            assert!(matches!(error, GpuError::Init { reason: InitFailure::LibraryMissing, .. }));
            assert_eq!(report.log.init_failures, [(InitFailure::LibraryMissing, 1)].into());
        }
    }
}
