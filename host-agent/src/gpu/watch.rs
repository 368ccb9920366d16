//! The thread that talks to the GPU driver. A driver call can block in the kernel for ever and
//! cannot be cancelled, so samples are left where anybody can pick up the last one and its age.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{GpuError, GpuLog, GpuReading, GpuSource};

/// A sample older than this many periods is no sample.
const MAX_AGE_PERIODS: u32 = 3;
/// The first use of a GPU without persistence mode takes seconds.
const MIN_MAX_AGE: Duration = Duration::from_secs(10);

/// Samples a source on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct GpuWatch {
    shared: Arc<Mutex<Shared>>,
    max_age: Duration,
    started: Instant,
    /// Dropping it ends the thread, unless that is blocked; then it ends with the process.
    _stop: Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    last: Option<Last>,
    log: GpuLog,
}

#[derive(Clone, Debug)]
struct Last {
    at: Instant,
    took: Duration,
    result: Result<GpuReading, GpuError>,
}

/// Why the watch has no reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The source answered with an error.
    #[error(transparent)]
    Failed(#[from] GpuError),
    /// The last answer is too old: the driver blocks.
    #[error("no answer from the driver for {} s", .0.as_secs())]
    Blocked(Duration),
    /// The first sample is still being taken.
    #[error("first sample is still being taken")]
    Starting,
}

impl GpuWatch {
    /// Starts the thread, which samples once per period.
    pub fn start(source: impl GpuSource + 'static, period: Duration) -> io::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (stop, stopped) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("gpu".to_owned()).spawn(move || {
            let mut asked = Instant::now();
            source.run(&mut |report| {
                let at = Instant::now();
                {
                    let mut shared = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                    let took = at.duration_since(asked);
                    shared.last = Some(Last { at, took, result: report.reading });
                    shared.log = report.log;
                }
                let waited = stopped.recv_timeout(period);
                asked = Instant::now();
                match waited {
                    Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => ControlFlow::Break(()),
                }
            });
        })?;
        let max_age = MIN_MAX_AGE.max(period * MAX_AGE_PERIODS);
        Ok(Self { shared, max_age, started: Instant::now(), _stop: stop })
    }

    /// The last reading and how long it took, unless it failed or is too old at `now`.
    pub fn latest(&self, now: Instant) -> Result<(GpuReading, Duration), Stale> {
        let last = self.shared.lock().unwrap_or_else(PoisonError::into_inner).last.clone();
        let age = now.saturating_duration_since(last.as_ref().map_or(self.started, |last| last.at));
        match last {
            _ if age > self.max_age => Err(Stale::Blocked(age)),
            None => Err(Stale::Starting),
            Some(Last { took, result, .. }) => Ok((result?, took)),
        }
    }

    /// What went wrong so far.
    pub fn log(&self) -> GpuLog {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).log.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;
    use crate::gpu::{GpuReport, InitFailure};

    /// Answers what the test sends, and blocks until it does.
    struct Scripted {
        called: SyncSender<()>,
        answers: Receiver<Result<GpuReading, GpuError>>,
    }

    impl GpuSource for Scripted {
        fn run(self, publish: &mut dyn FnMut(GpuReport) -> ControlFlow<()>) {
            loop {
                let _ = self.called.send(());
                let reading = self.answers.recv().unwrap_or_else(|_| Err(failure()));
                if publish(GpuReport { reading, log: log() }).is_break() {
                    return;
                }
            }
        }
    }

    fn log() -> GpuLog {
        let init_failures = [(InitFailure::DriverNotLoaded, 2)].into();
        GpuLog { init_failures, ..GpuLog::default() }
    }

    fn failure() -> GpuError {
        GpuError::Init { reason: InitFailure::DriverNotLoaded, message: "no driver".to_owned() }
    }

    fn watch() -> (GpuWatch, Receiver<()>, Sender<Result<GpuReading, GpuError>>) {
        let (called, calls) = sync_channel(0);
        let (send, answers) = mpsc::channel();
        let watch =
            GpuWatch::start(Scripted { called, answers }, Duration::from_millis(1)).unwrap();
        calls.recv().unwrap();
        (watch, calls, send)
    }

    #[test]
    fn the_last_answer_is_there_until_it_is_too_old() {
        let (watch, calls, send) = watch();
        assert_eq!(watch.latest(Instant::now()).unwrap_err(), Stale::Starting);

        send.send(Ok(GpuReading { lost: 1, ..GpuReading::default() })).unwrap();
        // The next call shows that the answer has been taken in; it then blocks.
        calls.recv().unwrap();
        assert_eq!(watch.latest(Instant::now()).unwrap().0.lost, 1);
        assert_eq!(watch.log(), log());

        let late = Instant::now() + MIN_MAX_AGE * 2;
        assert!(matches!(watch.latest(late), Err(Stale::Blocked(_))));
    }

    #[test]
    fn a_failure_leaves_no_old_numbers() {
        let (watch, calls, send) = watch();
        send.send(Ok(GpuReading::default())).unwrap();
        calls.recv().unwrap();
        send.send(Err(failure())).unwrap();
        calls.recv().unwrap();
        assert_eq!(watch.latest(Instant::now()).unwrap_err(), Stale::Failed(failure()));
    }

    #[test]
    fn a_first_call_that_never_returns_is_seen() {
        let (watch, _calls, _send) = watch();
        let late = Instant::now() + MIN_MAX_AGE * 2;
        assert!(matches!(watch.latest(late), Err(Stale::Blocked(_))));
    }
}
