//! Processes that are measured from outside: CPU time and memory as the kernel counts them.

use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program with its output in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::create(log)?;
        let err = out.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        Ok(Self { child: child.with_context(|| format!("cannot start {command:?}"))? })
    }

    /// The external processor, and its port.
    pub(crate) fn ext_proc(scratch: &Path) -> Result<(Self, u16)> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["ext-proc", "--port", &port.to_string()]);
        let process = Self::start(&mut command, &scratch.join("ext_proc.log"))?;
        wait(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok((process, port))
    }

    /// CPU time of all threads so far, as the scheduler counted it, in nanoseconds.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut total = 0;
        for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok());
            total += nanos.with_context(|| format!("schedstat says {text}"))?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Resident memory, megabytes.
    pub(crate) fn rss_mb(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        Ok(kilobytes.context("no VmRSS")? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Envoy with one worker, on a core of its own where there are several.
pub(crate) struct Envoy {
    pub(crate) process: Process,
    /// Where clients connect.
    pub(crate) port: u16,
}

impl Envoy {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(binary: &Path, yaml: &str, scratch: &Path) -> Result<Self> {
        let file = scratch.join("envoy.yaml");
        let admin_file = scratch.join("envoy-admin");
        let log = scratch.join("envoy.log");
        let _ = fs::remove_file(&admin_file);
        fs::write(&file, yaml)?;
        let mut command = Command::new(binary);
        command
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"])
            .arg("--config-path")
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&admin_file);
        let mut process = Process::start(&mut command, &log)?;
        let ready = wait(|| {
            let admin = fs::read_to_string(&admin_file).ok()?;
            let get = |path: &str| {
                let url = format!("http://{}{path}", admin.trim());
                ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()
            };
            get("/ready").filter(|text| text.contains("LIVE"))?;
            let listeners: serde_json::Value =
                serde_json::from_str(&get("/listeners?format=json")?).ok()?;
            let port = listeners
                .pointer("/listener_statuses/0/local_address/socket_address/port_value")?;
            u16::try_from(port.as_u64()?).ok()
        });
        match (ready, process.child.try_wait()?) {
            (Ok(port), None) => Ok(Self { process, port }),
            _ => bail!("Envoy does not start:\n{}", fs::read_to_string(log)?),
        }
    }
}

/// Asks until there is an answer, for half a minute.
pub(crate) fn wait<T>(mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        ensure!(Instant::now() < until, "no answer within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nothing listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
