//! The real Alertmanager, and amtool to ask it.

use crate::process::Process;
use crate::{http, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// An alert as amtool shows it.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its texts.
    pub annotations: BTreeMap<String, String>,
}

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    _process: Process,
    amtool: PathBuf,
    address: String,
}

impl Alertmanager {
    /// Starts Alertmanager with this configuration and its data in `dir`, and waits until it is ready.
    pub fn start(binary: &Path, amtool: &Path, dir: &Path, config: &Path) -> Self {
        let address = format!("127.0.0.1:{}", http::free_port());
        let mut command = Command::new(binary);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.join("alertmanager-data").display()))
            .arg(format!("--web.listen-address={address}"))
            // Alone: no port for others of a cluster.
            .arg("--cluster.listen-address=");
        let mut process = Process::start(&mut command, &dir.join("alertmanager.log"));
        wait_for("Alertmanager", Duration::from_secs(60), || {
            process.alive()?;
            http::get_ok(&format!("http://{address}/-/ready"))
        });
        Self { _process: process, amtool: amtool.to_owned(), address }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What amtool says is firing, inhibited alerts included.
    pub fn alerts(&self) -> Vec<Alert> {
        let output = Command::new(&self.amtool)
            .arg(format!("--alertmanager.url=http://{}", self.address))
            .args(["alert", "query", "--active", "--inhibited", "--output=json"])
            .output()
            .expect("amtool runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let alerts: Vec<Value> =
            serde_json::from_slice(&output.stdout).expect("amtool writes JSON");
        let texts = |of: &Value| serde_json::from_value(of.clone()).expect("texts by name");
        let alert = |alert: &Value| Alert {
            labels: texts(&alert["labels"]),
            annotations: texts(&alert["annotations"]),
        };
        alerts.iter().map(alert).collect()
    }
}
