//! The agent, run as a user would: its binary with a configuration file.

use crate::page::Page;
use crate::process::Process;
use crate::{build, http, wait_for};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// An agent to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// `host:port` of its page.
    pub address: String,
    /// How often it reads its sources.
    pub tick: Duration,
    /// The rest of its configuration.
    pub config: String,
    /// Further arguments.
    pub args: &'static [&'static str],
}

impl Launch {
    /// On a free port, with a tick of half a second.
    pub fn new(config: &str) -> Self {
        Self {
            address: format!("127.0.0.1:{}", http::free_port()),
            tick: Duration::from_millis(500),
            config: config.to_owned(),
            args: &[],
        }
    }

    /// Starts it with its files in `dir` and waits for its first tick.
    pub fn start(&self, dir: &Path) -> Agent {
        let Self { address, tick, config, args } = self;
        let file = dir.join("agent.toml");
        let tick = tick.as_millis();
        fs::write(&file, format!("listen = \"{address}\"\ntick = \"{tick}ms\"\n{config}"))
            .expect("the scratch folder can be written");
        let mut command = Command::new(build::agent());
        command.arg("--config").arg(&file).args(*args);
        let mut process = Process::start(&mut command, &dir.join("agent.log"));
        wait_for("the agent", Duration::from_secs(30), || {
            process.alive()?;
            http::get_ok(&format!("http://{address}/readyz"))
        });
        Agent { process, address: address.clone() }
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    address: String,
}

impl Agent {
    /// Starts an agent as [`Launch::new`] describes it.
    pub fn start(dir: &Path, config: &str) -> Self {
        Launch::new(config).start(dir)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The text of its page.
    pub fn metrics(&self) -> String {
        http::get_ok(&format!("http://{}/metrics", self.address)).expect("the page is always up")
    }

    /// Its page.
    pub fn page(&self) -> Page {
        Page::parse(&self.metrics()).expect("the page can be parsed")
    }

    /// Its summary for scripts.
    pub fn summary(&self) -> Value {
        let url = format!("http://{}/api/v1/summary", self.address);
        let text = http::get_ok(&url).expect("the summary is always up");
        serde_json::from_str(&text).expect("the summary is JSON")
    }
}

/// Runs the agent with a configuration that it must refuse, and gives what it said.
pub fn refused(dir: &Path, config: &str) -> Output {
    let file = dir.join("agent.toml");
    fs::write(&file, config).expect("the scratch folder can be written");
    Command::new(build::agent()).arg("--config").arg(&file).output().expect("the agent runs")
}
