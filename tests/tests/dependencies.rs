//! Dependencies point one way, and the pure core stays pure.

use gaugeway_tests::workspace;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each package of the workspace and what it may use of the workspace.
const ALLOWED: &[(&str, &[&str])] = &[
    ("gaugeway-core", &[]),
    ("gaugeway-filter", &["gaugeway-core"]),
    ("gaugeway-agent", &["gaugeway-core"]),
    ("gaugeway-harness", &[]),
    ("gaugeway-sim", &[]),
    ("xtask", &[]),
    // The filter is a test's subject as bytes only.
    ("gaugeway-tests", &["gaugeway-agent", "gaugeway-core", "gaugeway-harness", "gaugeway-sim"]),
];

#[test]
fn packages_of_the_workspace_depend_in_one_direction() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| package(packages, id)["name"].as_str().unwrap())
        .collect();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    assert_eq!(
        members,
        allowed.keys().copied().collect(),
        "every package needs a row in this test"
    );

    for member in
        packages.iter().filter(|package| members.contains(package["name"].as_str().unwrap()))
    {
        let name = member["name"].as_str().unwrap();
        for dependency in member["dependencies"].as_array().unwrap() {
            let dependency = dependency["name"].as_str().unwrap();
            let ours = members.contains(dependency);
            assert!(
                !ours || allowed[name].contains(&dependency),
                "{name} must not use {dependency}"
            );
        }
    }
}

#[test]
fn the_core_reaches_no_host_and_no_runtime() {
    let reached = reached_from("gaugeway-core");
    for banned in ["proxy-wasm", "tokio", "wasmtime", "hyper", "libc"] {
        assert!(!reached.contains(banned), "gaugeway-core reaches {banned}");
    }
}

#[test]
fn only_the_agent_and_the_simulator_bring_a_runtime() {
    for (name, banned) in
        [("gaugeway-harness", "tokio"), ("gaugeway-agent", "wasmtime"), ("xtask", "tokio")]
    {
        assert!(!reached_from(name).contains(banned), "{name} reaches {banned}");
    }
}

#[test]
fn the_host_is_named_in_the_shell_only() {
    for folder in ["filter/core", "harness", "host-agent", "sim", "xtask"] {
        let sources = rust_sources(&workspace().join(folder));
        assert!(!sources.is_empty(), "{folder} has sources");
        for (path, text) in sources {
            assert!(!text.contains("proxy_wasm::"), "{} names proxy_wasm", path.display());
        }
    }
}

#[test]
fn the_core_builds_no_json_tree() {
    for (path, text) in rust_sources(&workspace().join("filter/core/src")) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let names_value = code.contains("serde_json::Value") || code.contains("serde_json::{Value");
        assert!(!names_value, "{} names serde_json::Value", path.display());
    }
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn package<'a>(packages: &'a [Value], id: &Value) -> &'a Value {
    packages.iter().find(|package| package["id"] == *id).unwrap()
}

/// The names of all packages that `name` is built with; what only its tests use is left out.
fn reached_from(name: &str) -> BTreeSet<String> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let root = packages.iter().find(|package| package["name"] == name).unwrap();
    let mut reached = BTreeSet::new();
    let mut open = vec![root["id"].as_str().unwrap()];
    while let Some(id) = open.pop() {
        if !reached.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                open.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    packages
        .iter()
        .filter(|package| reached.contains(package["id"].as_str().unwrap()))
        .map(|package| package["name"].as_str().unwrap().to_owned())
        .collect()
}

fn rust_sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources.extend(rust_sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path, text));
        }
    }
    sources
}
