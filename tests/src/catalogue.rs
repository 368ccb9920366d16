//! Rows of documents that are made from the catalogue of stats.

use gaugeway_core::stat::{Kind, Label, Stat};

/// A stat's type and its labels, separated by commas.
pub fn kind_and_labels(stat: Stat) -> (&'static str, String) {
    let spec = stat.spec();
    let kind = match spec.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let tenant = spec.tenant.then_some(Label::Tenant);
    let labels =
        spec.scope.labels().iter().copied().chain(tenant).chain(spec.extra.iter().copied());
    let labels: Vec<&str> = labels.map(Label::name).collect();
    (kind, labels.join(", "))
}
