//! The real Prometheus, scraping every second.

use crate::page::Sample;
use crate::process::Process;
use crate::{http, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Panics with what `promtool check metrics` finds wrong with a page.
pub fn check_metrics(promtool: &Path, page: &str) {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(page.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// One page to scrape. Those of one job have one path.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The job label.
    pub job: &'a str,
    /// `host:port`.
    pub address: &'a str,
    /// The page's path.
    pub path: &'a str,
}

/// What makes alerts, and who is told of them.
#[derive(Clone, Copy, Debug)]
pub struct Alerting<'a> {
    /// A folder of rule files.
    pub rules: &'a Path,
    /// Alertmanager's `host:port`.
    pub alertmanager: &'a str,
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    url: String,
}

impl Prometheus {
    /// Starts Prometheus with its data in `dir` and waits until it is ready.
    pub fn start(binary: &Path, dir: &Path, targets: &[Target<'_>]) -> Self {
        Self::start_with(binary, dir, targets, "")
    }

    /// The same, with rules that are looked at each second.
    pub fn start_alerting(
        binary: &Path,
        dir: &Path,
        targets: &[Target<'_>],
        Alerting { rules, alertmanager }: Alerting<'_>,
    ) -> Self {
        let alerting = format!(
            "alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n"
        );
        Self::start_with(binary, dir, targets, &(rule_files(rules) + &alerting))
    }

    /// The same, with alerts of which nobody is told.
    pub fn start_recording(
        binary: &Path,
        dir: &Path,
        targets: &[Target<'_>],
        rules: &Path,
    ) -> Self {
        Self::start_with(binary, dir, targets, &rule_files(rules))
    }

    fn start_with(binary: &Path, dir: &Path, targets: &[Target<'_>], sections: &str) -> Self {
        let mut addresses = BTreeMap::<_, Vec<String>>::new();
        for target in targets {
            let of_job = addresses.entry((target.job, target.path)).or_default();
            of_job.push(format!("'{}'", target.address));
        }
        let jobs: String = addresses
            .iter()
            .map(|((job, path), targets)| {
                let targets = targets.join(", ");
                format!(
                    "- job_name: {job}\n  metrics_path: {path}\n  static_configs: [{{targets: [{targets}]}}]\n"
                )
            })
            .collect();
        let file = dir.join("prometheus.yml");
        let global = "global: {scrape_interval: 1s, evaluation_interval: 1s}";
        fs::write(&file, format!("{global}\n{sections}scrape_configs:\n{jobs}"))
            .expect("the scratch folder can be written");

        let address = format!("127.0.0.1:{}", http::free_port());
        let mut command = Command::new(binary);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus-data").display()))
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::start(&mut command, &dir.join("prometheus.log"));
        let url = format!("http://{address}");
        wait_for("Prometheus", Duration::from_secs(60), || {
            process.alive()?;
            http::get_ok(&format!("{url}/-/ready"))
        });
        Self { _process: process, url }
    }

    /// The result of an instant query, one sample per series.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let url = format!("{}/api/v1/query?query={}", self.url, percent_encode(expression));
        let answer: Value =
            serde_json::from_str(&http::get_ok(&url)?).map_err(|error| error.to_string())?;
        let series = answer["data"]["result"].as_array().ok_or("no result in the answer")?;
        series
            .iter()
            .map(|series| {
                let mut labels: BTreeMap<String, String> =
                    serde_json::from_value(series["metric"].clone())
                        .map_err(|error| error.to_string())?;
                let name = labels.remove("__name__").unwrap_or_default();
                let value = series["value"][1].as_str().and_then(|value| value.parse().ok());
                Ok(Sample { name, labels, value: value.ok_or("a value that is no number")? })
            })
            .collect()
    }

    /// The result of a query, once `accept` is content with it.
    pub fn query_until(
        &self,
        expression: &str,
        limit: Duration,
        accept: impl Fn(&[Sample]) -> bool,
    ) -> Vec<Sample> {
        wait_for(expression, limit, || match self.query(expression)? {
            samples if accept(&samples) => Ok(samples),
            samples => Err(format!("{samples:?}")),
        })
    }
}

fn rule_files(rules: &Path) -> String {
    format!("rule_files: ['{}/*.yml']\n", rules.display())
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
