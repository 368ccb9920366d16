//! The configuration in `envoy/` says what the catalogue says, and the real Envoy takes it.

use gaugeway_core::stat::{Kind, Label, Stat};
use gaugeway_tests::json::walk;
use gaugeway_tests::{envoy, real, scratch, workspace};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FRAGMENTS: &[&str] = &["stats", "access-log", "filter"];

#[test]
fn each_label_becomes_a_tag() {
    let expected: BTreeMap<String, String> = Label::ALL
        .iter()
        .map(|label| (label.name().to_owned(), format!(r"({}=\.=(.*?);\.;)", label.name())))
        .collect();
    let tags = stats_config()["stats_tags"].clone();
    let found: BTreeMap<String, String> =
        items(&tags).map(|tag| (text(&tag["tag_name"]), text(&tag["regex"]))).collect();
    assert_eq!(found, expected);
}

#[test]
fn each_histogram_has_its_buckets() {
    let expected: BTreeMap<String, Vec<u64>> = Stat::ALL
        .iter()
        .map(|stat| stat.spec())
        .filter(|spec| spec.kind == Kind::Histogram)
        .map(|spec| (spec.name.to_owned(), spec.buckets.to_vec()))
        .collect();
    let settings = stats_config()["histogram_bucket_settings"].clone();
    let found: BTreeMap<String, Vec<u64>> = items(&settings)
        .map(|setting| {
            let buckets =
                items(&setting["buckets"]).map(|bound| bound.as_f64().unwrap() as u64).collect();
            (text(&setting["match"]["suffix"]), buckets)
        })
        .collect();
    assert_eq!(found, expected);
}

/// Envoy matches by the end of the name: a suffix that ends another histogram's name would give that one
/// these buckets too.
#[test]
fn no_histogram_is_matched_by_the_suffix_of_another() {
    let names: Vec<_> =
        Stat::ALL.iter().map(|stat| stat.spec()).filter(|s| s.kind == Kind::Histogram).collect();
    for a in &names {
        let matched = names.iter().filter(|b| b.name.ends_with(a.name)).count();
        assert_eq!(matched, 1, "{}", a.name);
    }
}

#[test]
fn the_fragments_are_the_example_s_parts() {
    let example = fs::read_to_string(workspace().join("envoy/envoy.yaml")).unwrap();
    for name in FRAGMENTS {
        let fragment =
            fs::read_to_string(workspace().join(format!("envoy/fragments/{name}.yaml"))).unwrap();
        let (_, part) = example.split_once(&format!(">>> fragments/{name}.yaml\n")).unwrap();
        let (part, _) = part.split_once(&format!("# <<< fragments/{name}.yaml")).unwrap();
        let body = without_head(&fragment);
        assert_eq!(
            unindented(body),
            unindented(part),
            "fragments/{name}.yaml differs from envoy.yaml"
        );
    }
}

/// Unless told otherwise Envoy answers 503 once a filter has trapped.
#[test]
fn every_wasm_filter_fails_open() {
    let mut filters = 0;
    for (path, yaml) in yaml_files(&workspace().join("envoy")) {
        walk(&yaml, &mut |object| {
            if object.get("vm_config").is_some() {
                filters += 1;
                assert_eq!(object["failure_policy"], "FAIL_OPEN", "{}", path.display());
            }
        });
    }
    assert!(filters >= 2, "the example and the fragment hold the filter");
}

/// Each field of the access log that the filter fills is a key that the filter writes.
#[test]
fn the_access_log_names_every_filter_state_key_once() {
    const KEYS: &[&str] = &[
        "api",
        "model",
        "response_model",
        "outcome",
        "error_class",
        "finish_reason",
        "ttfb_us",
        "ttft_us",
        "ttfo_us",
        "tpot_us",
        "max_stall_us",
        "generated_events",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "reasoning_output_tokens",
        "usage_source",
    ];
    let fragment = fs::read_to_string(workspace().join("envoy/fragments/access-log.yaml")).unwrap();
    for key in KEYS {
        let line = format!("{key}: \"%FILTER_STATE(wasm.gaugeway.{key}:PLAIN)%\"");
        assert_eq!(fragment.matches(&line).count(), 1, "{line}");
    }
    assert_eq!(fragment.matches("FILTER_STATE(wasm.gaugeway.").count(), KEYS.len());
}

#[test]
fn the_real_envoy_accepts_the_example() {
    let Some(binary) = real::envoy() else { return };
    let dir = scratch::dir("envoy_config");
    envoy::validate(&binary, &dir, &envoy::Config::as_shipped())
        .unwrap_or_else(|log| panic!("{log}"));
}

fn stats_config() -> Value {
    let text = fs::read_to_string(workspace().join("envoy/fragments/stats.yaml")).unwrap();
    let fragment: Value = serde_saphyr::from_str(&text).unwrap();
    fragment["stats_config"].clone()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The fragment without the comment at its head, which says where it goes.
fn without_head(fragment: &str) -> &str {
    let head = fragment.lines().take_while(|line| line.starts_with('#'));
    &fragment[head.map(|line| line.len() + 1).sum()..]
}

/// Lines less the indentation of the first one.
fn unindented(text: &str) -> Vec<&str> {
    let indent = text.len() - text.trim_start_matches(' ').len();
    text.trim_end().lines().map(|line| line.get(indent..).unwrap_or_default()).collect()
}

fn yaml_files(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let yaml = serde_saphyr::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files.push((path, yaml));
        }
    }
    files
}
