//! The manifests for Istio and Envoy Gateway: they say what the catalogue says, and strict schemas take them.

use gaugeway_core::Config as FilterConfig;
use gaugeway_core::stat::{Label, Stat};
use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{ModelProfile, Server, ServerConfig};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::istio::{self, annotation};
use gaugeway_tests::manifests::yaml;
use gaugeway_tests::{http, real, scratch, wait_for, workspace};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

const WASM_PLUGINS: &[&str] = &["gateway", "sidecar", "file"];

#[test]
fn istio_makes_every_label_a_tag() {
    let labels: Vec<&str> = Label::ALL.iter().map(|label| label.name()).collect();
    assert_eq!(annotation("sidecar.istio.io/extraStatTags"), labels.join(","));
    let mesh = yaml("envoy/istio/meshconfig.yaml");
    let tags = strings(&mesh["meshConfig"]["defaultConfig"]["extraStatTags"]);
    assert_eq!(tags, labels);
}

/// Istio's annotation knows prefixes only, so that all histograms share one list: it must hold the bounds of each.
#[test]
fn istio_s_one_list_of_buckets_is_the_union() {
    let bounds: BTreeSet<u64> =
        Stat::ALL.iter().flat_map(|stat| stat.spec().buckets).copied().collect();
    let bounds: Vec<String> = bounds.iter().map(u64::to_string).collect();
    let expected = format!(r#"{{"wasmcustom":[{}]}}"#, bounds.join(","));
    assert_eq!(annotation("sidecar.istio.io/statsHistogramBuckets"), expected);
}

/// Tests of `envoy/` hold the fragment to the catalogue.
#[test]
fn bootstrap_patches_are_the_fragment() {
    let fragment = yaml("envoy/fragments/stats.yaml");
    let istio = yaml("envoy/istio/bootstrap.yaml");
    assert_eq!(istio["spec"]["configPatches"][0]["patch"]["value"], fragment);
    let gateway = yaml("envoy/envoy-gateway/envoyproxy.yaml");
    assert_eq!(gateway["spec"]["bootstrap"]["type"], "Merge");
    let patch = gateway["spec"]["bootstrap"]["value"].as_str().unwrap();
    assert_eq!(serde_saphyr::from_str::<Value>(patch).unwrap(), fragment);
}

#[test]
fn the_envoyfilter_is_the_fragment() {
    let mut expected = yaml("envoy/fragments/filter.yaml")[0].clone();
    expected["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] =
        "/etc/gaugeway/gaugeway.wasm".into();
    let found = yaml("envoy/istio/envoyfilter.yaml");
    assert_eq!(found["spec"]["configPatches"][0]["patch"]["value"], expected);
}

#[test]
fn every_pack_fails_open_with_settings_that_the_filter_takes() {
    for name in WASM_PLUGINS {
        let plugin = yaml(&format!("envoy/istio/{name}.yaml"));
        assert_eq!(plugin["spec"]["failStrategy"], "FAIL_OPEN", "{name}");
        settings_are_taken(&plugin["spec"]["pluginConfig"]);
    }
    let policy = yaml("envoy/envoy-gateway/envoyextensionpolicy.yaml");
    let filter = &policy["spec"]["wasm"][0];
    assert_eq!(filter["failOpen"], true);
    settings_are_taken(&filter["config"]);
}

#[test]
fn istio_s_access_log_names_what_the_fragment_names() {
    let mesh = yaml("envoy/istio/meshconfig.yaml");
    let provider = &mesh["meshConfig"]["extensionProviders"][0];
    let labels = &provider["envoyFileAccessLog"]["logFormat"]["labels"];
    let fragment = yaml("envoy/fragments/access-log.yaml");
    let fields = &fragment[0]["typed_config"]["log_format"]["json_format"];
    let ours = |fields: &Value| -> Vec<(String, Value)> {
        let fields = fields.as_object().unwrap().iter();
        let ours = fields.filter(|(_, value)| value.as_str().unwrap().contains("FILTER_STATE"));
        ours.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    assert_eq!(ours(labels), ours(fields));
    assert_eq!(
        yaml("envoy/istio/telemetry.yaml")["spec"]["accessLogging"][0]["providers"][0]["name"],
        provider["name"]
    );
}

/// What Istio makes of the annotations, run in the real Envoy: tags by its template, buckets by prefix.
#[test]
fn the_real_envoy_labels_and_buckets_by_istio_s_annotations() {
    let Some(binary) = real::envoy() else { return };
    let dir = scratch::dir("packs_istio");
    let server = Server::start(ServerConfig::default()).unwrap();
    let example = fs::read_to_string(workspace().join("envoy/envoy.yaml")).unwrap();
    let ours = between(&example, "# >>> fragments/stats.yaml\n", "# <<< fragments/stats.yaml");
    let istio = format!("stats_config: {}\n", istio::stats_config());
    let config = Config::example(server.addr()).replace(ours, &istio);
    let envoy = Envoy::start(&binary, &dir, config).unwrap();

    let models = ModelProfile::catalogue().into_iter().map(|model| model.name).collect();
    let url = format!("http://{}", envoy.listener()).parse().unwrap();
    load::run(&LoadConfig { until: Until::Requests(5), ..LoadConfig::new(url, models) }, |_| ())
        .unwrap();

    let stats = format!("http://{}/stats/prometheus?usedonly&filter=^wasmcustom", envoy.admin());
    let page = wait_for("the histograms", Duration::from_secs(20), || {
        let page = http::get_ok(&stats)?;
        if page.contains("gaugeway_duration_us_bucket{") { Ok(page) } else { Err(page) }
    });
    assert!(!page.contains("=.="), "every label is taken out of the names:\n{page}");
    let requests = page.lines().find(|line| line.starts_with("gaugeway_requests_total{")).unwrap();
    for label in ["model", "api", "upstream", "outcome", "mode"] {
        assert!(requests.contains(&format!("{label}=\"")), "{label} in {requests}");
    }
    let found: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("gaugeway_duration_us_bucket{"))
        .map(|line| between(line, "le=\"", "\""))
        .collect();
    for bound in Stat::Duration.spec().buckets {
        assert!(found.contains(bound.to_string().as_str()), "{bound} in {found:?}");
    }
}

#[test]
fn strict_schemas_take_the_manifests() {
    let Some(tools) = real::manifests() else { return };
    let names = ["gateway", "sidecar", "file", "telemetry", "envoyfilter", "bootstrap"];
    let istio = names.iter().map(|name| format!("envoy/istio/{name}.yaml"));
    let gateway = ["envoyextensionpolicy", "envoyproxy"]
        .map(|name| format!("envoy/envoy-gateway/{name}.yaml"));
    let files: Vec<String> = istio.chain(gateway).collect();
    // Envoy Gateway's definitions come in no package.
    let unchecked = [
        "unchecked: gateway.envoyproxy.io/v1alpha1 EnvoyExtensionPolicy",
        "unchecked: gateway.envoyproxy.io/v1alpha1 EnvoyProxy",
    ];
    assert_eq!(tools.check(&files).unwrap(), unchecked);
}

#[test]
fn the_checker_refuses_an_unknown_field() {
    let Some(tools) = real::manifests() else { return };
    let good = fs::read_to_string(workspace().join("envoy/istio/gateway.yaml")).unwrap();
    let bad = scratch::dir("packs_bad").join("bad.yaml");
    fs::write(&bad, good.replace("failStrategy", "failStrategi")).unwrap();
    let refused = tools.check(&[bad.display().to_string()]).unwrap_err();
    assert!(refused.contains("'failStrategi' was unexpected"), "{refused}");
}

fn settings_are_taken(settings: &Value) {
    FilterConfig::parse(settings.to_string().as_bytes()).unwrap();
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}
