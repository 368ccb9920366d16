//! Everything that the demo runs: the LLM server, Envoy with the filter, the agent, Prometheus.

use super::config;
use super::http;
use super::service::Service;
use super::upstream::Upstream;
use crate::real::envoy;
use crate::shell::step;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs to start.
pub(crate) struct Programs {
    /// The simulated LLM server and its load client.
    pub(crate) sim: PathBuf,
    /// The agent.
    pub(crate) agent: PathBuf,
    /// Envoy.
    pub(crate) envoy: PathBuf,
    /// Prometheus, where it is installed.
    pub(crate) prometheus: Option<PathBuf>,
}

/// What runs. Dropping it ends all of it, those who ask before those who answer.
pub(crate) struct Stack {
    /// Prometheus and where it listens.
    pub(crate) prometheus: Option<(Service, SocketAddr)>,
    /// The agent.
    pub(crate) agent: Service,
    /// Where it listens.
    pub(crate) agent_address: SocketAddr,
    /// Envoy.
    pub(crate) envoy: Envoy,
    _sim: Option<Service>,
}

/// A running Envoy.
pub(crate) struct Envoy {
    _service: Service,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Where clients connect.
    pub(crate) listener: SocketAddr,
    /// Its admin endpoint.
    pub(crate) admin: SocketAddr,
    /// One JSON line per request.
    pub(crate) access_log: PathBuf,
}

impl Stack {
    /// Starts everything, and waits for each until it answers. Without an upstream, the simulated one.
    pub(crate) fn start(
        workspace: &Workspace,
        programs: &Programs,
        upstream: Option<&Upstream>,
    ) -> Result<Self> {
        let dir = workspace.demo();
        let (sim, upstream) = match upstream {
            Some(upstream) => (None, upstream.clone()),
            None => start_sim(programs, &dir).map(|(sim, upstream)| (Some(sim), upstream))?,
        };
        let envoy = Envoy::start(workspace, &programs.envoy, &upstream)?;
        let (agent, agent_address) = start_agent(programs, &dir, envoy.admin)?;
        let prometheus = programs
            .prometheus
            .as_deref()
            .map(|program| start_prometheus(program, &dir, agent_address, envoy.admin))
            .transpose()?;
        Ok(Self { prometheus, agent, agent_address, envoy, _sim: sim })
    }
}

impl Envoy {
    fn start(workspace: &Workspace, program: &Path, upstream: &Upstream) -> Result<Self> {
        step("Starting Envoy");
        let dir = workspace.demo();
        let access_log = dir.join("access.jsonl");
        let example = workspace.root().join("envoy/envoy.yaml");
        let example = fs::read_to_string(&example)
            .with_context(|| format!("cannot read {}", example.display()))?;
        let file = dir.join("envoy.yaml");
        write(&file, &config::envoy(&example, &workspace.wasm(), &access_log, upstream)?)?;

        let admin_file = dir.join("envoy-admin-address");
        let mut command = Command::new(program);
        command
            // Two workers show that stats add up over VMs; one for each core would only cost memory.
            .args(["--disable-hot-restart", "--concurrency", "2"])
            .args(["--file-flush-interval-msec", "200", "--config-path"])
            .arg(&file)
            .arg("--admin-address-path")
            .arg(&admin_file);
        let mut service = Service::start("envoy", command, &dir)?;
        let (admin, listener) = service.ready(|| {
            let admin: SocketAddr = fs::read_to_string(&admin_file)?.trim().parse()?;
            http::get(&format!("http://{admin}/ready"))?;
            let listeners = http::get_json(&format!("http://{admin}/listeners?format=json"))?;
            Ok((admin, first_listener(&listeners).context("Envoy has no listener")?))
        })?;
        let version = envoy::version(program);
        Ok(Self { _service: service, version, listener, admin, access_log })
    }
}

fn start_sim(programs: &Programs, dir: &Path) -> Result<(Service, Upstream)> {
    step("Starting the simulated LLM server");
    let address = http::free_address()?;
    let mut command = Command::new(&programs.sim);
    command.args(["serve", "--seed", "1", "--listen", &address.to_string()]);
    let mut service = Service::start("sim", command, dir)?;
    service.ready(|| http::get(&format!("http://{address}/health")))?;
    Ok((service, Upstream { host: address.ip().to_string(), port: address.port() }))
}

fn start_agent(
    programs: &Programs,
    dir: &Path,
    envoy_admin: SocketAddr,
) -> Result<(Service, SocketAddr)> {
    step("Starting the agent");
    let address = http::free_address()?;
    let file = dir.join("agent.toml");
    write(&file, &config::agent(address, envoy_admin))?;
    let mut command = Command::new(&programs.agent);
    command.arg("--config").arg(&file);
    let mut service = Service::start("agent", command, dir)?;
    service.ready(|| http::get(&format!("http://{address}/readyz")))?;
    Ok((service, address))
}

fn start_prometheus(
    program: &Path,
    dir: &Path,
    agent: SocketAddr,
    envoy_admin: SocketAddr,
) -> Result<(Service, SocketAddr)> {
    step("Starting Prometheus");
    let address = http::free_address()?;
    let file = dir.join("prometheus.yml");
    write(&file, &config::prometheus(agent, envoy_admin))?;
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
        .arg(format!("--web.listen-address={address}"));
    let mut service = Service::start("prometheus", command, dir)?;
    service.ready(|| http::get(&format!("http://{address}/-/ready")))?;
    Ok((service, address))
}

fn first_listener(listeners: &Value) -> Option<SocketAddr> {
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let port = address.get("port_value")?.as_u64()?;
    format!("{}:{port}", address.get("address")?.as_str()?).parse().ok()
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
