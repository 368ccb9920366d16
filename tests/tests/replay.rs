//! Hand-written exchanges, replayed through the filter in the harness: each gives what its sidecar
//! expects, and gives the same however its bytes are cut.

use gaugeway_tests::{build, workspace};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Fields of `expected` that are filter-state values as they are.
const FILTER_STATE: &[&str] = &[
    "response_model",
    "error_class",
    "finish_reason",
    "generated_events",
    "cache_read_input_tokens",
    "reasoning_output_tokens",
    "ttfb_us",
    "ttft_us",
    "ttfo_us",
    "tpot_us",
    "max_stall_us",
];

/// Those that are only compared where the sidecar has them.
const OPTIONAL: &[&str] = &[
    "response_model",
    "generated_events",
    "ttfb_us",
    "ttft_us",
    "ttfo_us",
    "tpot_us",
    "max_stall_us",
];

#[test]
fn each_exchange_gives_what_its_sidecar_expects() {
    let replayed = replay("whole");
    let mut wrong = Vec::new();
    for path in exchanges() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let expected = &json(&fs::read_to_string(&path).unwrap())["expected"];
        let line = &replayed[name];
        assert_eq!(line["passthrough"], true, "{name}: the traffic was touched");
        let found = found(line, expected);
        if let Some(difference) = difference(expected, &found) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn bytes_may_be_cut_anywhere() {
    let whole = replay("whole");
    for split in ["bytes", "random:1", "random:2", "random:3"] {
        for (name, line) in replay(split) {
            for key in ["filter_state", "stats", "passthrough"] {
                assert_eq!(line[key], whole[&name][key], "{name} split `{split}`: {key}");
            }
        }
    }
}

#[test]
fn each_single_cut_gives_the_same() {
    for (name, line) in replay("every") {
        assert_eq!(line["splits_differ"], Value::Array(Vec::new()), "{name}");
    }
}

/// Each import is a thing that a host may lack. From WASI the filter needs the clock and what the
/// standard library needs to start and to die; `random_get` would mean that a hash map has crept in.
#[test]
fn the_filter_imports_only_what_envoy_offers() {
    const WASI: &[&str] =
        &["clock_time_get", "environ_get", "environ_sizes_get", "fd_write", "proc_exit"];
    let output =
        Command::new(build::harness()).arg("inspect").arg(build::filter()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "Envoy cannot load it:\n{text}");
    let (_, imports) = text.split_once("imports\n").unwrap();
    for import in imports.lines().map_while(|line| line.strip_prefix("  ")) {
        let (module, name) = import.split_once('.').unwrap();
        match module {
            "env" => assert!(name.starts_with("proxy_"), "{import}"),
            "wasi_snapshot_preview1" => assert!(WASI.contains(&name), "{import}"),
            _ => panic!("{import}"),
        }
    }
}

/// The measured side of `expected`, from the filter state and the stats.
fn found(line: &Value, expected: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut set = |key: &str, value: Option<String>| {
        found.insert(key.to_owned(), value.map_or(Value::Null, Value::String));
    };
    for key in FILTER_STATE {
        let value = line["filter_state"][format!("gaugeway.{key}")].as_str().map(str::to_owned);
        if !(OPTIONAL.contains(key) && expected[*key].is_null()) {
            set(key, value);
        }
    }
    // What the filter estimates is not what the sidecar knows.
    let reported = line["filter_state"]["gaugeway.usage_source"] == "reported";
    for key in ["input_tokens", "output_tokens"] {
        let value = line["filter_state"][format!("gaugeway.{key}")].as_str();
        set(key, value.filter(|_| reported).map(str::to_owned));
    }
    let request = stat(line, "gaugeway_requests_total");
    set("outcome", request.map(|stat| label(stat, "outcome")));
    set("mode", request.map(|stat| label(stat, "mode")));
    set("model", request.map(|stat| label(stat, "model")));
    set("phase", stat(line, "gaugeway_errors_total").map(|stat| label(stat, "phase")));
    found
}

fn difference(expected: &Value, found: &BTreeMap<String, Value>) -> Option<String> {
    let differences: Vec<_> = found
        .iter()
        .filter_map(|(key, found)| {
            let expected = match &expected[key] {
                Value::Number(number) => Value::String(number.to_string()),
                other => other.clone(),
            };
            (expected != *found).then(|| format!("{key} is {found}, expected {expected}"))
        })
        .collect();
    (!differences.is_empty()).then(|| differences.join("; "))
}

/// The one series of that name, where one request can have no second.
fn stat<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    let mut series = line["stats"].as_array().unwrap().iter().filter(|stat| stat["name"] == name);
    let first = series.next();
    assert!(series.next().is_none(), "{} has {name} twice", line["name"]);
    first
}

fn label(stat: &Value, name: &str) -> String {
    stat["labels"][name].as_str().unwrap_or_default().to_owned()
}

/// Replays all exchanges as a user would, with the harness's binary; lines by exchange name.
fn replay(split: &str) -> BTreeMap<String, Value> {
    let output = Command::new(build::harness())
        .args(["replay", "--split", split, "--wasm"])
        .arg(build::filter())
        .args(exchanges())
        .output()
        .unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: BTreeMap<_, _> = stdout
        .lines()
        .map(json)
        .map(|line| (line["name"].as_str().unwrap().to_owned(), line))
        .collect();
    assert_eq!(lines.len(), exchanges().len(), "a line per exchange; stderr:\n{stderr}");
    lines
}

fn exchanges() -> Vec<PathBuf> {
    let folder = workspace().join("tests/fixtures/openai");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
