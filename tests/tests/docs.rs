//! `docs/` says what the code has, all of it and nothing else. What can be made from the code is: run these
//! tests with `GAUGEWAY_BLESS=1` after a change.

use gaugeway_core::Config as FilterConfig;
use gaugeway_core::stat::{Kind, Stat};
use gaugeway_tests::catalogue::kind_and_labels;
use gaugeway_tests::{build, golden, renderer, rules, scratch, workspace};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CHART: &str = "deploy/helm/gaugeway-agent";

/// Sections of the filter's configuration, each with one that would be complete but for an unknown key.
const FILTER_SECTIONS: &[(&str, &str)] = &[
    ("models[]", r#"{"models": [{"match": "a", "zzz": 1}]}"#),
    ("tenant", r#"{"tenant": {"header": "x-team", "zzz": 1}}"#),
    ("slos[]", r#"{"slos": [{"models": "*", "ttft_ms": 1, "zzz": 1}]}"#),
    ("usage", r#"{"usage": {"zzz": 1}}"#),
];

/// Sections of the agent's configuration, as their heads in TOML.
const AGENT_SECTIONS: &[(&str, &str)] = &[
    ("envoy", "[envoy]"),
    ("nvml", "[nvml]"),
    ("price", "[price]"),
    ("price.owned", "[price.owned]"),
    ("cost", "[cost]"),
    ("cost.weights", "[cost.weights]"),
    ("cost.models.NAME", "[cost.models.NAME]"),
    ("pools[]", "[[pools]]"),
    ("discovery", "[discovery]"),
    ("engines[]", "[[engines]]"),
    ("host", "[host]"),
    ("budgets[]", "[[budgets]]"),
];

#[test]
fn every_setting_of_the_filter_is_documented_and_no_other() {
    let known = |json: &str| {
        let error = FilterConfig::parse(json.as_bytes()).unwrap_err();
        let (_, known) = error.split_once("known are ").unwrap_or_else(|| panic!("{error}"));
        known.split(", ").map(str::to_owned).collect()
    };
    let top = known(r#"{"zzz": 1}"#);
    let keys = keys(top, FILTER_SECTIONS, |json| known(json));
    assert_eq!(first_cells("docs/configuration.md", "## The filter"), keys);
}

#[test]
fn every_setting_of_the_agent_is_documented_and_no_other() {
    let file = scratch::dir("docs_agent").join("agent.toml");
    let known = |toml: &str| -> Vec<String> {
        fs::write(&file, toml).unwrap();
        let output =
            Command::new(build::agent()).args(["check", "--config"]).arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let (_, known) = said.split_once("expected ").unwrap_or_else(|| panic!("{said}"));
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let top = known("zzz = 1\n[envoy]\nadmin = \"http://127.0.0.1:9901\"\n");
    let keys = keys(top, AGENT_SECTIONS, |head| known(&format!("{head}\nzzz = 1\n")));
    let (settings, flags) = first_cells("docs/configuration.md", "## The agent")
        .into_iter()
        .partition::<BTreeSet<String>, _>(|key| !key.starts_with("--"));
    assert_eq!(settings, keys);

    let help = Command::new(build::agent()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let of_line = |line: &str| line.trim().split_once(' ').map(|(flag, _)| flag.to_owned());
    let known = help.lines().filter(|line| line.starts_with("      --")).filter_map(of_line);
    assert_eq!(flags, known.collect());
}

#[test]
fn the_tables_of_metrics_are_made_from_the_code() {
    let code = renderer::source();
    let mut rows = String::from(
        "| in Envoy | type | labels | on the agent's page | meaning |\n|---|---|---|---|---|\n",
    );
    for stat in Stat::ALL {
        let spec = stat.spec();
        let (kind, labels) = kind_and_labels(*stat);
        let merged = renderer::merged_name(*stat, &code);
        rows +=
            &format!("| `{}` | {kind} | {} | `{merged}` | {} |\n", spec.name, labels, spec.help);
    }
    golden::check_part("docs/metrics.md", "filter", &rows);

    let mut rows = String::from("| stat | buckets |\n|---|---|\n");
    for spec in Stat::ALL.iter().map(|stat| stat.spec()).filter(|spec| spec.kind == Kind::Histogram)
    {
        let bounds: Vec<String> = spec.buckets.iter().map(u64::to_string).collect();
        rows += &format!("| `{}` | {} |\n", spec.name, bounds.join(", "));
    }
    golden::check_part("docs/metrics.md", "buckets", &rows);

    let mut rows = String::from("| metric | type | meaning |\n|---|---|---|\n");
    for (name, help) in renderer::agent_metrics(&code) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        rows += &format!("| `{name}` | {kind} | {help} |\n");
    }
    golden::check_part("docs/metrics.md", "agent", &rows);
}

#[test]
fn what_prometheus_records_is_listed() {
    let mut list = String::new();
    for file in rules::files().iter().filter(|file| is_in(file, "rules")) {
        let names: BTreeSet<String> = of_file(file)
            .iter()
            .map(|rule| format!("`{}`", rule["record"].as_str().unwrap()))
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        list += &format!("- {}: {}\n", file.file_stem().unwrap().display(), names.join(", "));
    }
    golden::check_part("docs/metrics.md", "recorded", &list);
}

#[test]
fn the_page_of_alerts_is_made_from_the_rules() {
    let mut page = String::new();
    for file in rules::files().iter().filter(|file| is_in(file, "alerts")) {
        for alert in of_file(file) {
            let says = |name: &str| alert["annotations"][name].as_str().unwrap().trim().to_owned();
            page += &format!(
                "### {}\n\n*{}*. {}\n\n- **Look at:** {}\n- **Do:** {}\n\n",
                alert["alert"].as_str().unwrap(),
                alert["labels"]["severity"].as_str().unwrap(),
                says("description"),
                says("look_at"),
                says("action"),
            );
        }
    }
    golden::check_part("docs/alerts.md", "alerts", &page);
}

/// Alerts that are named elsewhere exist.
#[test]
fn alerts_that_are_named_exist() {
    let alerts = fs::read_to_string(workspace().join("docs/alerts.md")).unwrap();
    for (file, text) in pages() {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            let rest = word.strip_prefix("Gaugeway").unwrap_or_default();
            if rest.starts_with(|c: char| c.is_ascii_uppercase()) {
                assert!(alerts.contains(&format!("### {word}\n")), "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn every_value_of_the_chart_is_documented_and_in_its_schema() {
    let read = |file: &str| fs::read_to_string(workspace().join(CHART).join(file)).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut leaves = BTreeSet::new();
    leaf_values(&values, &schema, "", &mut leaves);
    assert_eq!(first_cells("docs/kubernetes.md", "## Values"), leaves);

    let mut examples = String::new();
    let mut files: Vec<_> = fs::read_dir(workspace().join(CHART).join("ci"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    files.sort();
    for file in files {
        examples += &format!("```yaml\n{}```\n\n", fs::read_to_string(file).unwrap());
    }
    golden::check_part("docs/kubernetes.md", "examples", &examples);
}

/// Commands of the agent that pages show are ones that it has.
#[test]
fn commands_of_the_agent_exist() {
    let mut seen = 0;
    for (file, text) in pages() {
        for rest in text.split("gaugeway-agent ").skip(1) {
            let command = rest.split(['\n', '`', ';']).next().unwrap();
            let mut words = command.split_whitespace().peekable();
            let sub = words.next_if(|word| ["check", "envoy-config", "status"].contains(word));
            let flags: Vec<&str> = words.filter(|word| word.starts_with("--")).collect();
            if sub.is_none() && flags.is_empty() {
                continue;
            }
            let help = Command::new(build::agent()).args(sub).arg("--help").output().unwrap();
            let help = String::from_utf8(help.stdout).unwrap();
            for flag in flags {
                let known = flag == "--version" || help.contains(&format!("      {flag}"));
                assert!(known, "{}: {command}", file.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "the commands are no longer found");
}

#[test]
fn links_lead_somewhere() {
    for (file, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link}", file.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let found = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| anchor_of(line) == anchor);
                assert!(found, "{}: {link}", file.display());
            }
        }
    }
}

#[test]
fn metrics_that_are_named_in_prose_exist() {
    let reference = fs::read_to_string(workspace().join("docs/metrics.md")).unwrap();
    for (file, text) in pages() {
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))) {
            let word = word.trim_matches(':');
            let recorded = word.split(':').count() == 3 && word.contains("gaugeway");
            let plain = word.starts_with("gaugeway_") && word.matches('_').count() > 1;
            if recorded || plain {
                assert!(reference.contains(&format!("`{word}`")), "{}: {word}", file.display());
            }
        }
    }
}

fn is_in(file: &Path, folder: &str) -> bool {
    file.parent().is_some_and(|parent| parent.ends_with(folder))
}

/// The rules of a file.
fn of_file(file: &Path) -> Vec<Value> {
    let groups = rules::yaml(file);
    let groups = groups["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Keys at the top, with those that are sections replaced by the keys of these.
fn keys(
    top: Vec<String>,
    sections: &[(&str, &str)],
    known: impl Fn(&str) -> Vec<String>,
) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = top.into_iter().collect();
    for (section, probe) in sections {
        // It is no leaf of the section that it is in.
        keys.remove(section.trim_end_matches("[]"));
        keys.remove(section.trim_end_matches(".NAME"));
        keys.extend(known(probe).into_iter().map(|key| format!("{section}.{key}")));
    }
    // Sections of sections, whatever came first.
    for (section, _) in sections {
        keys.remove(*section);
        keys.remove(section.trim_end_matches(".NAME"));
    }
    keys
}

/// The first cells, in backticks, of the tables under a heading.
fn first_cells(file: &str, heading: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(workspace().join(file)).unwrap();
    let (_, section) = text.split_once(&format!("{heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut found = BTreeSet::new();
    for cell in cells {
        assert!(found.insert(cell.to_owned()), "{file}: {cell} stands twice");
    }
    found
}

/// The values at which the schema ends: scalars, lists, and objects whose keys are the user's.
fn leaf_values(value: &Value, schema: &Value, path: &str, leaves: &mut BTreeSet<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        leaves.insert(path.to_owned());
        return;
    };
    assert_eq!(schema["additionalProperties"], json!(false), "{path}: others are refused");
    for (key, schema) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        // Helm's own, and a further kind of resource.
        if path == "global" || path == "resources.claims" || path == "imagePullSecrets.name" {
            continue;
        }
        let value = value.get(key).unwrap_or_else(|| panic!("values.yaml lacks {path}"));
        leaf_values(value, schema, &path, leaves);
    }
    for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
        assert!(properties.contains_key(key), "the schema lacks {path}.{key}");
    }
}

/// Every page for users.
fn pages() -> Vec<(PathBuf, String)> {
    let folders = ["docs", "envoy", "envoy/istio", "envoy/envoy-gateway"];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(workspace().join(folder)).unwrap().flatten());
    let pages = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages = pages.chain([workspace().join("README.md"), workspace().join("host-agent/API.md")]);
    pages.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The anchor that a heading gets on the usual code hosts.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
