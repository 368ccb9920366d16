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
    ("gaugeway-fake-nvml", &[]),
    ("gaugeway-harness", &[]),
    ("gaugeway-sim", &[]),
    ("xtask", &[]),
    ("gaugeway-bench", &["gaugeway-agent", "gaugeway-core", "gaugeway-harness"]),
    ("gaugeway-bench-read-only", &[]),
    // The filter is a test's subject as bytes only.
    ("gaugeway-tests", &["gaugeway-agent", "gaugeway-core", "gaugeway-harness", "gaugeway-sim"]),
];

#[test]
fn packages_of_the_workspace_depend_in_one_direction() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let members: BTreeSet<&str> =
        packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    assert_eq!(
        members,
        allowed.keys().copied().collect(),
        "every package needs a row in this test"
    );

    for member in packages {
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

/// The names of all packages that `name` is built with here; what only its tests use is left out.
fn reached_from(name: &str) -> BTreeSet<String> {
    let tree = cargo(&["tree", "--package", name, "--edges", "normal", "--prefix", "none"]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .args(args)
        .args(["--offline", "--locked"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
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
