//! The real Envoy, run with the example that users are given: `envoy/envoy.yaml`.

use crate::http;
use crate::page::Page;
use crate::process::Process;
use crate::{build, wait_for, workspace};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The example configuration, with what differs in a test put in its place.
#[derive(Clone, Debug)]
pub struct Config {
    yaml: String,
    workers: u32,
}

impl Config {
    /// `envoy/envoy.yaml` as it is, but for the place of the filter.
    pub fn as_shipped() -> Self {
        let path = workspace().join("envoy/envoy.yaml");
        let yaml =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { yaml, workers: 1 }
            .replace("/etc/envoy/gaugeway.wasm", &build::filter().display().to_string())
    }

    /// `envoy/envoy.yaml` with free ports and the requests going to `upstream`. One worker.
    ///
    /// Access-log lines also carry `sim_id`, the request's `x-sim-id`, by which a line is joined with what
    /// the simulator and its client saw. Histograms are merged each second, not every five.
    pub fn example(upstream: SocketAddr) -> Self {
        Self::as_shipped()
            .replace("\nadmin:", "\nstats_flush_interval: 1s\n\nadmin:")
            .replace("port_value: 9901", "port_value: 0")
            .replace("port_value: 10000", "port_value: 0")
            .replace(
                "address: 127.0.0.1, port_value: 8000",
                &format!("address: {}, port_value: {}", upstream.ip(), upstream.port()),
            )
            .replace(
                r#"request_id: "%REQ(X-REQUEST-ID)%""#,
                "request_id: \"%REQ(X-REQUEST-ID)%\"\n                  sim_id: \"%REQ(X-SIM-ID)%\"",
            )
    }

    /// A bootstrap of the test's own, as JSON. One worker.
    pub fn of(bootstrap: &Value) -> Self {
        Self { yaml: bootstrap.to_string(), workers: 1 }
    }

    /// Uses this filter configuration, a JSON text without single quotes.
    pub fn filter(self, json: &str) -> Self {
        self.replace("value: '{}'", &format!("value: '{json}'"))
    }

    /// Runs this many workers, each with a VM of its own.
    pub fn workers(self, workers: u32) -> Self {
        Self { workers, ..self }
    }

    /// Replaces the one place where `from` stands. Panics when the example no longer has exactly one, so
    /// that a test never runs a configuration other than the one it means.
    pub fn replace(self, from: &str, to: &str) -> Self {
        assert_eq!(self.yaml.matches(from).count(), 1, "envoy/envoy.yaml must hold once: {from}");
        Self { yaml: self.yaml.replace(from, to), ..self }
    }
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    listener: SocketAddr,
    access_log: PathBuf,
}

impl Envoy {
    /// Starts Envoy in `dir` and waits until it is live. The error is its log, when it refuses to start.
    pub fn start(binary: &Path, dir: &Path, config: Config) -> Result<Self, String> {
        let access_log = dir.join("access.jsonl");
        let admin_address = dir.join("envoy-admin");
        let file = dir.join("envoy.yaml");
        let workers = config.workers.to_string();
        let log_path = format!("path: {}", access_log.display());
        fs::write(&file, config.yaml.replace("path: /dev/stdout", &log_path))
            .expect("the scratch folder can be written");

        let mut command = Command::new(binary);
        command
            .args(["--disable-hot-restart", "--log-level", "info", "--concurrency", &workers])
            .args(["--file-flush-interval-msec", "50", "--config-path"])
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&admin_address);
        let mut process = Process::start(&mut command, &dir.join("envoy.log"));

        let started = wait_for("Envoy", Duration::from_secs(60), || {
            if process.exited().is_some() {
                return Ok(None);
            }
            let admin = fs::read_to_string(&admin_address).map_err(|error| error.to_string())?;
            let admin: SocketAddr =
                admin.trim().parse().map_err(|_| format!("no address: {admin}"))?;
            http::get_ok(&format!("http://{admin}/ready"))?;
            let listeners = http::get_ok(&format!("http://{admin}/listeners?format=json"))?;
            Ok(Some((admin, first_listener(&listeners).ok_or(listeners)?)))
        });
        match started {
            Some((admin, listener)) => Ok(Self { process, admin, listener, access_log }),
            None => Err(process.log()),
        }
    }

    /// Where clients connect.
    pub fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// The admin endpoint.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The filter's stats, as Prometheus sees them.
    pub fn stats(&self) -> Page {
        let url = format!("http://{}/stats/prometheus?usedonly&filter=^wasmcustom", self.admin);
        http::get_ok(&url).and_then(|text| Page::parse(&text)).expect("Envoy has a stats page")
    }

    /// The access log, once it has `lines` lines.
    pub fn access_log(&self, lines: usize) -> Vec<Value> {
        wait_for("the access log", Duration::from_secs(20), || {
            let text = fs::read_to_string(&self.access_log).map_err(|error| error.to_string())?;
            let complete = text.matches('\n').count();
            if complete < lines {
                return Err(format!("{complete} of {lines} lines"));
            }
            text.lines()
                .map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}")))
                .collect()
        })
    }

    /// Sends Envoy a signal by its name: `STOP` lets it stand still, `CONT` go on.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Sends a request that the filter cannot read.
    pub fn send_unreadable(&self) {
        let sent = ureq::post(format!("http://{}/v1/chat/completions", self.listener))
            .config()
            .http_status_as_error(false)
            .build()
            .header("content-encoding", "snappy")
            .header("content-type", "application/json")
            .send("not to be read");
        assert!(sent.is_ok(), "{sent:?}");
    }

    /// Envoy's own log.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Runs `envoy --mode validate`. The error is Envoy's log.
pub fn validate(binary: &Path, dir: &Path, config: &Config) -> Result<(), String> {
    let file = dir.join("validate.yaml");
    fs::write(&file, &config.yaml).expect("the scratch folder can be written");
    let output = Command::new(binary)
        .args(["--mode", "validate", "--config-path"])
        .arg(&file)
        .output()
        .expect("Envoy runs");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn first_listener(json: &str) -> Option<SocketAddr> {
    let listeners: Value = serde_json::from_str(json).ok()?;
    let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
    format!("{}:{}", address["address"].as_str()?, address["port_value"]).parse().ok()
}
