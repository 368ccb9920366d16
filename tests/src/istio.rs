//! What Istio's bootstrap template makes of `envoy/istio/annotations.yaml` (istio/istio,
//! `tools/packaging/common/envoy_bootstrap.json`).

use crate::manifests::yaml;
use serde_json::{Value, json};

/// The value of an annotation.
pub fn annotation(name: &str) -> String {
    let patch = yaml("envoy/istio/annotations.yaml");
    let value = &patch["spec"]["template"]["metadata"]["annotations"][name];
    value.as_str().unwrap_or_else(|| panic!("annotations.yaml lacks {name}")).to_owned()
}

/// The bootstrap's `stats_config`: a tag for each of `extraStatTags`, buckets by prefix.
pub fn stats_config() -> Value {
    let tags: Vec<Value> = annotation("sidecar.istio.io/extraStatTags")
        .split(',')
        .map(|tag| json!({"tag_name": tag, "regex": format!(r"({tag}=\.=(.*?);\.;)")}))
        .collect();
    let buckets = annotation("sidecar.istio.io/statsHistogramBuckets");
    let buckets: Value = serde_json::from_str(&buckets).expect("the annotation is JSON");
    let buckets: Vec<Value> = buckets
        .as_object()
        .expect("an object of lists")
        .iter()
        .map(|(prefix, bounds)| json!({"match": {"prefix": prefix}, "buckets": bounds}))
        .collect();
    json!({
        "use_all_default_tags": false,
        "stats_tags": tags,
        "histogram_bucket_settings": buckets,
    })
}
