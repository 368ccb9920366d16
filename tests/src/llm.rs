//! A real LLM server, llama.cpp, and the client that applications use, the `openai` package.

use crate::process::Process;
use crate::real::Llm;
use crate::{http, wait_for};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A running llama.cpp server.
#[derive(Debug)]
pub struct LlmServer {
    _process: Process,
    address: SocketAddr,
}

impl LlmServer {
    /// Starts the server with its model under the name `alias` and waits until the model is loaded.
    pub fn start(llm: &Llm, dir: &Path, alias: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], http::free_port()));
        let mut command = Command::new(&llm.python);
        command
            .arg(script("llama_server.py"))
            .arg(&llm.model)
            .arg(alias)
            .arg(address.port().to_string());
        let mut process = Process::start(&mut command, &dir.join("llama.log"));
        wait_for("llama.cpp", Duration::from_secs(120), || {
            process.alive()?;
            http::get_ok(&format!("http://{address}/health"))
        });
        Self { _process: process, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Has the real client ask `base_url` each of `requests` in turn, and gives what it saw of each.
pub fn ask(llm: &Llm, base_url: &str, requests: &Value) -> Vec<Value> {
    let output = Command::new(&llm.python)
        .arg(script("openai_client.py"))
        .args([base_url, &requests.to_string()])
        .output()
        .expect("python runs");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the client failed:\n{stderr}");
    stdout.lines().map(|line| serde_json::from_str(line).expect("the client prints JSON")).collect()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("real").join(name)
}
