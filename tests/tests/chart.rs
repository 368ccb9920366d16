//! The Helm chart of the agent, and the plain manifest that is rendered from it.

use gaugeway_tests::manifests::yaml;
use gaugeway_tests::real::Manifests;
use gaugeway_tests::{build, golden, real, scratch, workspace};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CHART: &str = "deploy/helm/gaugeway-agent";
const PLAIN: &str = "deploy/kubernetes/gaugeway-agent.yaml";

/// Each file of the chart's `ci/` is a combination that docs/kubernetes.md shows.
#[test]
fn helm_renders_every_documented_combination() {
    let Some(tools) = real::manifests() else { return };
    let dir = scratch::dir("packs_helm");
    let mut files = Vec::new();
    for (name, values) in combinations() {
        let lint = tools.helm(&[&["lint", "--strict", CHART], &refs(&values)[..]].concat());
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
    files.push(workspace().join(PLAIN).display().to_string());
    assert_eq!(tools.check(&files).unwrap(), [""; 0]);
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
        let output = tools.helm(&["template", "gaugeway-agent", CHART, "--set", set]);
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
        let mut agent = Command::new(build::agent());
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
    let output = tools.helm(&[&fixed[..], args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let lines = said.lines().filter(|line| !line.starts_with("# Source: "));
    let rendered: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
    rendered.replace("\n\n---\n", "\n---\n").trim_end().to_owned() + "\n"
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

fn refs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
