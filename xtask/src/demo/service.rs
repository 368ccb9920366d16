//! A program that runs beside the demo, and ends with it.

use super::interrupt;
use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time to end in good order before the program is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Lines of its log that an error shows.
const TAIL: usize = 20;

/// A running program. Dropping it ends it and everything that it started.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command`; what it prints goes to `NAME.log` in `dir`.
    pub(crate) fn start(name: &'static str, mut command: Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(out.try_clone()?).stderr(out);
        Self::spawn(name, command, log)
    }

    /// As [`Self::start`], but what it prints on stderr is for the user.
    pub(crate) fn start_visibly(
        name: &'static str,
        mut command: Command,
        dir: &Path,
    ) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(out);
        Self::spawn(name, command, log)
    }

    /// A process group of its own keeps the terminal's Ctrl-C away, so that the end comes in order.
    fn spawn(name: &'static str, mut command: Command, log: PathBuf) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until `probe` answers; the error shows the log's end when the program ends before that.
    pub(crate) fn ready<T>(&mut self, probe: impl Fn() -> Result<T>) -> Result<T> {
        let what = format!("the start of {} (its log: {})", self.name, self.log.display());
        interrupt::wait_for(&what, Duration::from_secs(60), || {
            self.alive()?;
            Ok(probe())
        })
    }

    /// Waits until the program has done its work; an error when it fails or takes longer than `limit`.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<()> {
        let what = format!("the work of {}", self.name);
        let status = interrupt::wait_for(&what, limit, || {
            Ok(self.child.try_wait()?.ok_or_else(|| anyhow!("it is still running")))
        })?;
        if status.success() { Ok(()) } else { Err(self.ended(&status.to_string())) }
    }

    /// The memory that it holds now, in bytes, as Linux says.
    pub(crate) fn rss_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// An error when the program has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.ended(&status.to_string())),
        }
    }

    fn ended(&self, status: &str) -> anyhow::Error {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n");
        anyhow!("{} ended with {status}; the end of {}:\n{tail}", self.name, self.log.display())
    }

    fn signal(&self, signal: Signal) {
        // It fails only for a group that is gone, which is what is wanted.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal(Signal::KILL);
        // Nothing is left to do for a child that cannot be waited for.
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    fn scratch() -> PathBuf {
        let dir = env::temp_dir().join(format!("gaugeway-xtask-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn dropping_a_service_ends_what_it_started_as_well() {
        let mut service =
            Service::start("group", shell("sleep 600 & echo $!; wait"), &scratch()).unwrap();
        let log = service.log.clone();
        let pid = service.ready(|| Ok(fs::read_to_string(&log)?.trim().parse::<u32>()?)).unwrap();
        drop(service);
        // A killed grandchild may stay a zombie until init has seen it, and is then without a command line.
        let left = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(left.is_empty(), "{}", String::from_utf8_lossy(&left));
    }

    #[test]
    fn a_service_that_ends_too_early_is_reported_with_its_last_words() {
        let mut service =
            Service::start("early", shell("echo no such file; exit 3"), &scratch()).unwrap();
        let error = service.ready(|| Err::<(), _>(anyhow!("connection refused"))).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("exit status: 3") && text.contains("no such file"), "{text}");
    }
}
