//! Ctrl-C and SIGTERM, as something that waiting code looks at: what was started is then ended in order.

use anyhow::{Context as _, Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How often waiting code looks.
const LOOK: Duration = Duration::from_millis(50);

/// Takes over both signals for the rest of the program.
pub(crate) fn install() -> Result<()> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).context("cannot catch Ctrl-C")
}

/// Asks `probe` until it answers. Its own error is why it cannot answer yet; the outer one ends the wait.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Result<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match probe()? {
            Ok(value) => return Ok(value),
            Err(reason) if Instant::now() >= deadline => {
                return Err(
                    reason.context(format!("{what} took longer than {} s", limit.as_secs()))
                );
            }
            Err(_) => pause()?,
        }
    }
}

/// Waits until the user has had enough.
pub(crate) fn wait() {
    while pause().is_ok() {}
}

/// Lets time pass; an error once the user has interrupted.
pub(crate) fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        pause()?;
    }
    Ok(())
}

/// An error once the user has interrupted.
pub(crate) fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

fn pause() -> Result<()> {
    thread::sleep(LOOK);
    check()
}
