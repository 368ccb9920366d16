//! A receiver of OTLP over HTTP, and an Envoy that sends it everything.

use crate::envoy::Config;
use crate::process::Process;
use crate::{http, wait_for, workspace};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A running receiver: `oteltap`, which prints each span, log record and metric as a line of JSON.
#[derive(Debug)]
pub struct Receiver {
    process: Process,
    port: u16,
}

/// What has arrived, in its order. A metric arrives again at each flush.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Spans.
    pub spans: Vec<Value>,
    /// Log records.
    pub logs: Vec<Value>,
    /// Metrics.
    pub metrics: Vec<Value>,
}

impl Receiver {
    /// Starts the receiver with this Python, and waits until it listens.
    pub fn start(python: &Path, dir: &Path) -> Self {
        let port = http::free_port();
        let mut command = Command::new(python);
        command.args(["-u", "-m", "oteltap", "--port", &port.to_string()]);
        let mut process = Process::start(&mut command, &dir.join("otlp.log"));
        wait_for("the OTLP receiver", Duration::from_secs(30), || {
            process.alive()?;
            match process.log().contains("Listening") {
                true => Ok(()),
                false => Err("it does not listen".to_owned()),
            }
        });
        Self { process, port }
    }

    /// What has arrived so far.
    pub fn received(&self) -> Received {
        let log = self.process.log();
        // What is no JSON, the receiver says of itself.
        let messages = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut received = Received::default();
        for message in messages {
            let kind = match message {
                _ if message.get("kind").is_some() => &mut received.spans,
                _ if message.get("body").is_some() => &mut received.logs,
                _ => &mut received.metrics,
            };
            kind.push(message);
        }
        received
    }

    /// The configuration with the parts of `envoy/otel/` where they say that they go, sending here.
    pub fn fed_by(&self, config: Config) -> Config {
        let under_manager = |name| indented(&part(name), 10);
        config
            .replace("\nadmin:", &format!("\n{}\nadmin:", part("stats-sink")))
            .replace(
                "\n  clusters:\n",
                &format!("\n  clusters:\n{}", indented(&part("collector"), 2)),
            )
            .replace("port_value: 4318", &format!("port_value: {}", self.port))
            .replace(
                "\n          http_filters:\n",
                &format!("\n{}          http_filters:\n", under_manager("tracing")),
            )
            .replace("          # <<< fragments/access-log.yaml\n", &under_manager("access-log"))
    }
}

/// The attributes of a span, a log record or a data point whose values are text.
pub fn attributes(of: &Value) -> BTreeMap<String, String> {
    let attributes = of["attributes"].as_array().into_iter().flatten();
    let text = |attribute: &Value| {
        let value = attribute["value"]["stringValue"].as_str()?;
        Some((attribute["key"].as_str()?.to_owned(), value.to_owned()))
    };
    attributes.filter_map(text).collect()
}

/// A file of `envoy/otel/`.
pub fn part(name: &str) -> String {
    let path = workspace().join(format!("envoy/otel/{name}.yaml"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn indented(yaml: &str, by: usize) -> String {
    yaml.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}
