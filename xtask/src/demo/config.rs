//! The configuration files of what the demo starts. Text in, text out.

use super::upstream::Upstream;
use anyhow::{Result, bail};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The price that the demo assumes: an hour of AWS p5.4xlarge, one H100, on demand.
pub(crate) const USD_PER_HOUR: f64 = 6.88;

/// What a month may cost: a little more than it does.
const USD_PER_MONTH: f64 = 5500.0;

/// What counts as a good answer; the simulated server keeps to it when all is well.
const SLOS: &str =
    r#"{"slos": [{"models": "*", "ttft_ms": 1500, "tpot_ms": 100, "duration_ms": 8000}]}"#;

/// `envoy/envoy.yaml` for this machine: ports that Envoy chooses, the filter as built and with SLOs, a log
/// file, the server to measure, and histograms that are merged each second instead of every five.
pub(crate) fn envoy(
    example: &str,
    wasm: &Path,
    access_log: &Path,
    upstream: &Upstream,
) -> Result<String> {
    let server = format!("address: {}, port_value: {}", quoted(&upstream.host), upstream.port);
    let changes = [
        ("\nadmin:\n", "\nstats_flush_interval: 1s\n\nadmin:\n".to_owned()),
        ("port_value: 9901", "port_value: 0".to_owned()),
        ("port_value: 10000", "port_value: 0".to_owned()),
        ("/etc/envoy/gaugeway.wasm", quoted(&wasm.display().to_string())),
        ("value: '{}'", format!("value: '{SLOS}'")),
        ("path: /dev/stdout", format!("path: {}", quoted(&access_log.display().to_string()))),
        ("address: 127.0.0.1, port_value: 8000", server),
    ];
    let mut yaml = example.to_owned();
    for (from, to) in &changes {
        let places = yaml.matches(from).count();
        if places != 1 {
            bail!(
                "envoy/envoy.yaml must hold {from:?} once, not {places} times: adapt the demo to it"
            );
        }
        yaml = yaml.replace(from, to);
    }
    Ok(yaml)
}

/// The agent's configuration; `state` is a folder that exists.
pub(crate) fn agent(
    listen: SocketAddr,
    envoy_admin: SocketAddr,
    nvml: &Nvml,
    state: &Path,
) -> String {
    let state = quoted(&state.display().to_string());
    let nvml = match nvml {
        Nvml::Host => "enabled = true".to_owned(),
        Nvml::Absent => "enabled = false".to_owned(),
        Nvml::Scripted(library) => format!("library = {}", quoted(&library.display().to_string())),
    };
    format!(
        "listen = \"{listen}\"\n\
         tick = \"1s\"\n\
         state_dir = {state}\n\
         \n\
         [envoy]\n\
         admin = \"http://{envoy_admin}\"\n\
         \n\
         [nvml]\n\
         {nvml}\n\
         \n\
         [price]\n\
         usd_per_hour = {USD_PER_HOUR}\n\
         \n\
         [[budgets]]\n\
         name = \"month\"\n\
         limit_usd = {USD_PER_MONTH}\n"
    )
}

/// Where GPU figures come from.
pub(crate) enum Nvml {
    /// The host's driver.
    Host,
    /// Nowhere: there is no driver.
    Absent,
    /// A library that follows a script.
    Scripted(PathBuf),
}

/// Prometheus' configuration: the agent's page and Envoy's own every second, all rules in `rules`, and
/// Alertmanager, where it runs.
pub(crate) fn prometheus(
    agent: SocketAddr,
    envoy_admin: SocketAddr,
    rules: &Path,
    alertmanager: Option<SocketAddr>,
) -> String {
    let targets = |address: SocketAddr| json!([{"targets": [address.to_string()]}]);
    let alertmanagers: Vec<_> = alertmanager
        .map(|address| json!({"static_configs": targets(address)}))
        .into_iter()
        .collect();
    // JSON is YAML.
    json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules.join("*.yml")],
        "alerting": {"alertmanagers": alertmanagers},
        "scrape_configs": [
            {"job_name": "gaugeway-agent", "static_configs": targets(agent)},
            {
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "static_configs": targets(envoy_admin),
                // The agent's page has them too, and they would count twice.
                "metric_relabel_configs":
                    [{"source_labels": ["__name__"], "regex": "gaugeway_.*", "action": "drop"}],
            },
        ],
    })
    .to_string()
}

/// Alertmanager's example without whom it tells: nobody is to be called for a demo.
pub(crate) fn alertmanager(example: &str) -> String {
    let calls = |line: &&str| line.contains("webhook_configs:") || line.contains("url:");
    example.lines().filter(|line| !calls(line)).map(|line| format!("{line}\n")).collect()
}

/// Text as a scalar that YAML reads back as it is: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../envoy/envoy.yaml");

    fn derive(example: &str) -> Result<String> {
        let upstream = "http://llm.internal:8123".parse().unwrap();
        envoy(example, Path::new("a b/g.wasm"), Path::new("log"), &upstream)
    }

    #[test]
    fn the_example_is_changed_where_this_machine_differs() {
        let yaml = derive(EXAMPLE).unwrap();
        assert!(yaml.contains(r#"filename: "a b/g.wasm""#));
        assert!(yaml.contains(r#"path: "log""#));
        assert!(yaml.contains(r#"address: "llm.internal", port_value: 8123"#));
        assert_eq!(yaml.matches("port_value: 0").count(), 2);
        assert!(yaml.contains(r#"value: '{"slos""#));
    }

    #[test]
    fn nobody_is_called() {
        let config =
            alertmanager(include_str!("../../../monitoring/alertmanager/alertmanager.yml"));
        assert!(!config.contains("http") && config.contains("- name: pager\n- name: tickets\n"));
    }

    #[test]
    fn an_example_that_no_longer_fits_is_refused() {
        let error = derive(&EXAMPLE.replace("9901", "9902")).unwrap_err();
        assert!(error.to_string().contains("port_value: 9901"), "{error}");
    }
}
