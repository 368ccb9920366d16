//! What fires.

use super::http;
use super::report::Alert;
use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    alerts: Vec<Active>,
}

#[derive(Deserialize)]
struct Active {
    state: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// The alerts that Prometheus has firing now, the critical ones first.
pub(crate) fn firing(prometheus: SocketAddr) -> Result<Vec<Alert>> {
    let answer: Answer = http::get_json(&format!("http://{prometheus}/api/v1/alerts"))?;
    let firing = answer.data.alerts.into_iter().filter(|alert| alert.state == "firing");
    let mut alerts: Vec<_> = firing.map(alert).collect();
    alerts.sort();
    Ok(alerts)
}

fn alert(mut active: Active) -> Alert {
    let mut label = |name| active.labels.remove(name).unwrap_or_default();
    Alert {
        severity: label("severity"),
        name: label("alertname"),
        summary: active.annotations.remove("summary").unwrap_or_default(),
    }
}
