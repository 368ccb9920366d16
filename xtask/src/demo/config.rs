//! The configuration files of what the demo starts. Text in, text out.

use super::upstream::Upstream;
use anyhow::{Result, bail};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;

/// The price that the demo assumes: an hour of AWS p5.4xlarge, one H100, on demand.
pub(crate) const USD_PER_HOUR: f64 = 6.88;

/// `envoy/envoy.yaml` for this machine: ports that Envoy chooses, the filter as built, a log file, the
/// server to measure, and histograms that are merged each second instead of every five.
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

/// The agent's configuration.
pub(crate) fn agent(listen: SocketAddr, envoy_admin: SocketAddr) -> String {
    format!(
        "listen = \"{listen}\"\n\
         tick = \"1s\"\n\
         \n\
         [envoy]\n\
         admin = \"http://{envoy_admin}\"\n\
         \n\
         [price]\n\
         usd_per_hour = {USD_PER_HOUR}\n"
    )
}

/// Prometheus' configuration: the agent's page and Envoy's own, every second.
pub(crate) fn prometheus(agent: SocketAddr, envoy_admin: SocketAddr) -> String {
    let job = |name, path, address: SocketAddr| {
        json!({
            "job_name": name,
            "metrics_path": path,
            "static_configs": [{"targets": [address.to_string()]}],
        })
    };
    // JSON is YAML.
    json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            job("gaugeway-agent", "/metrics", agent),
            job("envoy", "/stats/prometheus", envoy_admin),
        ],
    })
    .to_string()
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
    }

    #[test]
    fn an_example_that_no_longer_fits_is_refused() {
        let error = derive(&EXAMPLE.replace("9901", "9902")).unwrap_err();
        assert!(error.to_string().contains("port_value: 9901"), "{error}");
    }
}
