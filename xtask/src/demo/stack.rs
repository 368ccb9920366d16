//! Everything that the demo runs: the LLM server, Envoy with the filter, the agent, Prometheus, Alertmanager.

use super::config::{self, Nvml};
use super::http;
use super::hurry::hurry;
use super::scenario::Scenario;
use super::service::Service;
use super::upstream::Upstream;
use crate::real::envoy;
use crate::shell::step;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, anyhow};
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
    /// Alertmanager, where it is installed.
    pub(crate) alertmanager: Option<PathBuf>,
    /// The scripted NVML, where a scenario wants it.
    pub(crate) fake_nvml: Option<PathBuf>,
}

/// What is to be measured.
pub(crate) enum Subject<'a> {
    /// A server of the user's.
    Upstream(&'a Upstream),
    /// The simulated server, in a state of affairs if one was asked for.
    Simulated(Option<Scenario>),
}

/// What runs. Dropping it ends all of it, those who ask before those who answer.
pub(crate) struct Stack {
    /// Prometheus and where it listens.
    pub(crate) prometheus: Option<(Service, SocketAddr)>,
    /// Alertmanager and where it listens.
    pub(crate) alertmanager: Option<(Service, SocketAddr)>,
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
    /// Starts everything, and waits for each until it answers.
    pub(crate) fn start(
        workspace: &Workspace,
        programs: &Programs,
        subject: &Subject<'_>,
    ) -> Result<Self> {
        let dir = workspace.demo();
        let (sim, upstream, scenario) = match subject {
            Subject::Upstream(upstream) => (None, (*upstream).clone(), None),
            Subject::Simulated(scenario) => {
                let (sim, upstream) = start_sim(programs, &dir, *scenario)?;
                (Some(sim), upstream, *scenario)
            }
        };
        let envoy = Envoy::start(workspace, &programs.envoy, &upstream)?;
        let (agent, agent_address) = start_agent(programs, &dir, envoy.admin, scenario)?;
        let (mut prometheus, mut alertmanager) = (None, None);
        if let Some(program) = &programs.prometheus {
            alertmanager = programs
                .alertmanager
                .as_deref()
                .map(|program| start_alertmanager(program, workspace))
                .transpose()?;
            let alerts_to = alertmanager.as_ref().map(|(_, address)| *address);
            let config =
                |rules: &Path| config::prometheus(agent_address, envoy.admin, rules, alerts_to);
            prometheus = Some(start_prometheus(program, workspace, config)?);
        }
        Ok(Self { prometheus, alertmanager, agent, agent_address, envoy, _sim: sim })
    }
}

impl Envoy {
    fn start(workspace: &Workspace, program: &Path, upstream: &Upstream) -> Result<Self> {
        step("Starting Envoy");
        let dir = workspace.demo();
        let access_log = dir.join("access.jsonl");
        let example = read(&workspace.root().join("envoy/envoy.yaml"))?;
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

fn start_sim(
    programs: &Programs,
    dir: &Path,
    scenario: Option<Scenario>,
) -> Result<(Service, Upstream)> {
    step("Starting the simulated LLM server");
    let address = http::free_address()?;
    let mut command = Command::new(&programs.sim);
    command.args(["serve", "--seed", "1", "--listen", &address.to_string()]);
    if let Some(models) = scenario.and_then(Scenario::models) {
        let file = dir.join("models.toml");
        write(&file, models)?;
        command.arg("--config").arg(file);
    }
    let mut service = Service::start("sim", command, dir)?;
    service.ready(|| http::get(&format!("http://{address}/health")))?;
    Ok((service, Upstream { host: address.ip().to_string(), port: address.port() }))
}

fn start_agent(
    programs: &Programs,
    dir: &Path,
    envoy_admin: SocketAddr,
    scenario: Option<Scenario>,
) -> Result<(Service, SocketAddr)> {
    step("Starting the agent");
    let address = http::free_address()?;
    let file = dir.join("agent.toml");
    let mut command = Command::new(&programs.agent);
    command.arg("--config").arg(&file);
    let nvml = match (scenario, &programs.fake_nvml) {
        (Some(scenario), Some(library)) => {
            let script = dir.join("gpus.toml");
            write(&script, &scenario.gpus())?;
            command.env("GAUGEWAY_FAKE_NVML", script);
            Nvml::Scripted(library.clone())
        }
        _ if Path::new("/dev/nvidiactl").exists() => Nvml::Host,
        _ => Nvml::Absent,
    };
    let state = dir.join("state");
    make(&state)?;
    write(&file, &config::agent(address, envoy_admin, &nvml, &state))?;
    let mut service = Service::start("agent", command, dir)?;
    service.ready(|| http::get(&format!("http://{address}/readyz")))?;
    Ok((service, address))
}

fn start_alertmanager(program: &Path, workspace: &Workspace) -> Result<(Service, SocketAddr)> {
    step("Starting Alertmanager");
    let dir = workspace.demo();
    let address = http::free_address()?;
    let file = dir.join("alertmanager.yml");
    let example = read(&workspace.root().join("monitoring/alertmanager/alertmanager.yml"))?;
    write(&file, &config::alertmanager(&example))?;
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", dir.join("alertmanager").display()))
        .arg(format!("--web.listen-address={address}"))
        // Alone: no port for others of a cluster.
        .arg("--cluster.listen-address=");
    let mut service = Service::start("alertmanager", command, &dir)?;
    service.ready(|| http::get(&format!("http://{address}/-/ready")))?;
    Ok((service, address))
}

fn start_prometheus(
    program: &Path,
    workspace: &Workspace,
    config: impl Fn(&Path) -> String,
) -> Result<(Service, SocketAddr)> {
    step("Starting Prometheus");
    let dir = &workspace.demo();
    let address = http::free_address()?;
    let file = dir.join("prometheus.yml");
    write(&file, &config(&hurried_rules(workspace)?))?;
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
        .arg(format!("--web.listen-address={address}"));
    let mut service = Service::start("prometheus", command, dir)?;
    service.ready(|| http::get(&format!("http://{address}/-/ready")))?;
    Ok((service, address))
}

/// All rules, a minute lasting a second, in a folder of the demo's.
fn hurried_rules(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.demo().join("rules");
    make(&dir)?;
    for part in ["rules", "alerts"] {
        let folder = workspace.root().join("monitoring/prometheus").join(part);
        let files = fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .collect::<std::io::Result<Vec<_>>>()?;
        for file in files {
            let rules = hurry(&read(&file.path())?)
                .map_err(|error| anyhow!("{}: {error}", file.path().display()))?;
            let name = format!("{part}-{}", file.file_name().to_string_lossy());
            write(&dir.join(name), &rules)?;
        }
    }
    Ok(dir)
}

fn make(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn first_listener(listeners: &Value) -> Option<SocketAddr> {
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let port = address.get("port_value")?.as_u64()?;
    format!("{}:{port}", address.get("address")?.as_str()?).parse().ok()
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
