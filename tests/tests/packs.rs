//! The manifests for Istio, Envoy Gateway and Kubernetes: they say what the catalogue says, and strict checkers
//! take them.

use gaugeway_core::Config as FilterConfig;
use gaugeway_core::stat::{Label, Stat};
use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{ModelProfile, Server, ServerConfig};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::real::Manifests;
use gaugeway_tests::{golden, http, real, scratch, wait_for, workspace};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

const WASM_PLUGINS: &[&str] = &["gateway", "sidecar", "file"];
const CHART: &str = "deploy/helm/gaugeway-agent";
const PLAIN: &str = "deploy/kubernetes/gaugeway-agent.yaml";

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
    let config = Config::example(server.addr()).replace(ours, &istio_stats_config());
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
    let files: Vec<String> = istio.chain(gateway).chain([PLAIN.to_owned()]).collect();
    // Envoy Gateway's definitions come in no package.
    let unchecked = [
        "unchecked: gateway.envoyproxy.io/v1alpha1 EnvoyExtensionPolicy",
        "unchecked: gateway.envoyproxy.io/v1alpha1 EnvoyProxy",
    ];
    assert_eq!(check_strictly(&tools, &files), unchecked);
}

#[test]
fn the_checker_refuses_an_unknown_field() {
    let Some(tools) = real::manifests() else { return };
    let good = fs::read_to_string(workspace().join("envoy/istio/gateway.yaml")).unwrap();
    let bad = scratch::dir("packs_bad").join("bad.yaml");
    fs::write(&bad, good.replace("failStrategy", "failStrategi")).unwrap();
    let output = checker(&tools, &[bad.display().to_string()]);
    assert!(!output.status.success());
    assert!(text(&output.stdout).contains("'failStrategi' was unexpected"));
}

/// Each file of the chart's `ci/` is a combination that docs/kubernetes.md shows.
#[test]
fn helm_renders_every_documented_combination() {
    let Some(tools) = real::manifests() else { return };
    let dir = scratch::dir("packs_helm");
    let mut files = Vec::new();
    for (name, values) in combinations() {
        let lint = helm(&tools, &[&["lint", "--strict", CHART], &refs(&values)[..]].concat());
        assert!(lint.status.success(), "{name}: {}{}", text(&lint.stdout), text(&lint.stderr));

        let rendered = render(&tools, &refs(&values));
        let file = dir.join(format!("{name}.yaml"));
        fs::write(&file, &rendered).unwrap();
        files.push(file.display().to_string());

        // Rules and dashboards have a test of their own.
        let carried =
            |doc: &&str| doc.contains("kind: PrometheusRule") || doc.contains("grafana_dashboard");
        let (carried, rest): (Vec<&str>, Vec<&str>) = rendered.split("---\n").partition(carried);
        // The plain manifest shows the default.
        if name != "default" {
            golden::check(&format!("tests/golden/helm/{name}.yaml"), &rest.join("---\n"));
        }
        assert_eq!(carried.is_empty(), name != "monitoring");
    }
    assert_eq!(check_strictly(&tools, &files), [""; 0]);
}

/// Rules, alerts and dashboards are the files of `monitoring/`.
#[test]
fn the_chart_carries_the_rules_and_dashboards() {
    let Some(tools) = real::manifests() else { return };
    let rendered = render(&tools, &["--set=prometheusRule.enabled=true,dashboards.enabled=true"]);
    let docs: Vec<Value> = rendered
        .split("---\n")
        .filter(|doc| !doc.trim().is_empty())
        .map(|doc| serde_saphyr::from_str(doc).unwrap())
        .collect();

    let rules = docs.iter().filter(|doc| doc["kind"] == "PrometheusRule");
    let rules: BTreeSet<String> = rules.map(|rule| rule["spec"].to_string()).collect();
    let expected = ["alerts", "rules"]
        .iter()
        .flat_map(|folder| files(&format!("monitoring/prometheus/{folder}"), "yml"));
    assert_eq!(rules, expected.map(|file| yaml(&file).to_string()).collect());

    let dashboards =
        docs.iter().filter(|doc| doc["metadata"]["labels"]["grafana_dashboard"] == "1");
    let found: BTreeSet<String> =
        dashboards.flat_map(|map| map["data"].as_object().unwrap().keys().cloned()).collect();
    let expected = files("monitoring/grafana", "json");
    let name = |file: String| file.rsplit_once('/').unwrap().1.to_owned();
    assert_eq!(found, expected.into_iter().map(name).collect());
}

#[test]
fn the_plain_manifest_is_the_chart_s() {
    let Some(tools) = real::manifests() else { return };
    let namespace = "\
# The agent on every GPU node, for clusters without Helm: kubectl apply -f gaugeway-agent.yaml
#
# Change the image, and `config` to the address of your Envoy. Rendered from deploy/helm/gaugeway-agent, where
# everything else can be set. Undo: kubectl delete -f gaugeway-agent.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: gaugeway
  labels:
    pod-security.kubernetes.io/enforce: restricted
";
    golden::check(PLAIN, &format!("{namespace}{}", render(&tools, &[])));
}

/// Where nothing else is asked for, the pod keeps to Kubernetes' standard `restricted`.
#[test]
fn the_pod_is_restricted_unless_asked_otherwise() {
    let Some(tools) = real::manifests() else { return };
    for (name, values) in combinations() {
        let rendered = render(&tools, &refs(&values));
        let daemonset =
            rendered.split("---\n").find(|doc| doc.contains("kind: DaemonSet")).unwrap();
        let pod =
            serde_saphyr::from_str::<Value>(daemonset).unwrap()["spec"]["template"]["spec"].clone();
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(container["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(container["capabilities"]["drop"][0], "ALL", "{name}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let host = |pod: &Value| {
            pod["volumes"].as_array().unwrap().iter().any(|volume| volume["hostPath"].is_object())
        };
        assert_eq!(host(&pod), name == "budgets", "{name}");
        let discovers = name == "node-envoy";
        assert_eq!(pod["hostPID"] == true, discovers, "{name}");
        assert_eq!(pod["hostNetwork"] == true, discovers, "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], !discovers, "{name}");
        assert_eq!(container["capabilities"]["add"].is_array(), discovers, "{name}");
    }
}

#[test]
fn wrong_values_are_refused_by_name() {
    let Some(tools) = real::manifests() else { return };
    for (set, reason) in [
        ("prot=9464", "additional properties 'prot' not allowed"),
        ("port=80", "at '/port': minimum: got 80, want 1,024"),
        ("hostNetwork=yes", "at '/hostNetwork': got string, want boolean"),
        (
            "state.type=disk",
            "at '/state/type': value must be one of 'emptyDir', 'hostPath', 'none'",
        ),
        ("image.digest=latest", "at '/image/digest'"),
        ("config=x", "at '/config'"),
        (r#"config=listen = "0.0.0.0:1"\, [envoy]"#, "use the values `port` and `state`"),
        ("networkPolicy.enabled=true", "networkPolicy.from: is empty"),
        (
            "hostNetwork=true,networkPolicy.enabled=true",
            "networkPolicy.enabled: a NetworkPolicy has no effect",
        ),
        (
            "serviceMonitor.enabled=true,serviceMonitor.scheme=https",
            "serviceMonitor.scheme: https needs webConfig.secret",
        ),
    ] {
        let output = helm(&tools, &["template", "gaugeway-agent", CHART, "--set", set]);
        assert!(!output.status.success(), "{set}");
        let said = text(&output.stderr);
        assert!(said.contains(reason), "{set}: {said}");
    }
}

/// The configuration that the chart writes is one that the agent takes.
#[test]
fn the_agent_takes_the_configuration_of_each_combination() {
    let Some(tools) = real::manifests() else { return };
    let dir = scratch::dir("packs_agent");
    for (name, values) in combinations() {
        let rendered = render(&tools, &refs(&values));
        let map = rendered.split("---\n").find(|doc| doc.contains("agent.toml: |")).unwrap();
        let map: Value = serde_saphyr::from_str(map).unwrap();
        let file = dir.join(format!("{name}.toml"));
        fs::write(&file, map["data"]["agent.toml"].as_str().unwrap()).unwrap();
        let mut agent = Command::new(gaugeway_tests::build::agent());
        let output = agent.args(["check", "--config"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    }
}

/// The default, and each file of the chart's `ci/`, as arguments of Helm.
fn combinations() -> Vec<(String, Vec<String>)> {
    let named = files(&format!("{CHART}/ci"), "yaml").into_iter().map(|file| {
        let name = PathBuf::from(&file).file_stem().unwrap().to_str().unwrap().to_owned();
        (name, vec![format!("--values={file}")])
    });
    std::iter::once(("default".to_owned(), Vec::new())).chain(named).collect()
}

fn render(tools: &Manifests, args: &[&str]) -> String {
    let fixed = ["template", "gaugeway-agent", CHART, "--namespace=gaugeway"];
    let output = helm(tools, &[&fixed[..], args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let lines = said.lines().filter(|line| !line.starts_with("# Source: "));
    let rendered: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
    rendered.replace("\n\n---\n", "\n---\n").trim_end().to_owned() + "\n"
}

fn helm(tools: &Manifests, args: &[&str]) -> Output {
    Command::new(&tools.helm).args(args).current_dir(workspace()).output().unwrap()
}

/// What the checker says beside faults, of which there must be none.
fn check_strictly(tools: &Manifests, files: &[String]) -> Vec<String> {
    let output = checker(tools, files);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    said.lines().map(str::to_owned).collect()
}

fn checker(tools: &Manifests, files: &[String]) -> Output {
    let mut python = Command::new(&tools.python);
    python.arg("tests/real/check_manifests.py").args(files).current_dir(workspace());
    python.output().unwrap()
}

/// The `stats_config` that Istio's bootstrap template makes of `annotations.yaml`.
fn istio_stats_config() -> String {
    let tags = annotation("sidecar.istio.io/extraStatTags");
    let tags: String = tags
        .split(',')
        .map(|tag| format!("  - {{tag_name: {tag}, regex: '({tag}=\\.=(.*?);\\.;)'}}\n"))
        .collect();
    let buckets: Value =
        serde_json::from_str(&annotation("sidecar.istio.io/statsHistogramBuckets")).unwrap();
    let buckets: String = buckets
        .as_object()
        .unwrap()
        .iter()
        .map(|(prefix, bounds)| format!("  - {{match: {{prefix: {prefix}}}, buckets: {bounds}}}\n"))
        .collect();
    format!(
        "stats_config:\n  use_all_default_tags: false\n  stats_tags:\n{tags}  histogram_bucket_settings:\n{buckets}"
    )
}

fn annotation(name: &str) -> String {
    let patch = yaml("envoy/istio/annotations.yaml");
    patch["spec"]["template"]["metadata"]["annotations"][name].as_str().unwrap().to_owned()
}

fn settings_are_taken(settings: &Value) {
    FilterConfig::parse(settings.to_string().as_bytes()).unwrap();
}

fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(workspace().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The files of a folder with that extension, sorted, from the root of the repository.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(workspace().join(folder)).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let of_kind = names.filter(|name| name.ends_with(&format!(".{extension}")));
    let mut files: Vec<String> = of_kind.map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    files
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

fn refs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
