//! The rules that users are given, in `monitoring/prometheus/`.

use crate::workspace;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

// One source for the demo and the tests.
#[path = "../../xtask/src/demo/hurry.rs"]
mod hurry;

/// What a rule makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A series.
    Recording,
    /// An alert.
    Alert,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name of the series or alert.
    pub name: String,
    /// What it makes.
    pub kind: Kind,
    /// PromQL.
    pub expression: String,
    /// The rule as it is written.
    pub yaml: Value,
}

impl Rule {
    /// Whether it records a threshold.
    pub fn is_threshold(&self) -> bool {
        self.name.starts_with("gaugeway:threshold:")
    }
}

/// `monitoring/prometheus`.
pub fn folder() -> PathBuf {
    workspace().join("monitoring/prometheus")
}

/// All rules.
pub fn all() -> Vec<Rule> {
    files().iter().flat_map(|file| read(&yaml(file))).collect()
}

/// The files of rules, in the order in which Prometheus loads them.
pub fn files() -> Vec<PathBuf> {
    ["rules", "alerts"].iter().flat_map(|part| yaml_files(&folder().join(part))).collect()
}

/// The files of unit tests.
pub fn test_files() -> Vec<PathBuf> {
    yaml_files(&folder().join("tests"))
}

/// A YAML file.
pub fn yaml(file: &Path) -> Value {
    serde_saphyr::from_str(&text(file))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Writes all rules into `dir`, a minute lasting a second. `change` may put other thresholds in place.
pub fn write_hurried(dir: &Path, change: impl Fn(&str) -> String) {
    for file in files() {
        let rules = hurry::hurry(&change(&text(&file)));
        let rules = rules.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_name().expect("a file has a name").to_string_lossy();
        let part = file.parent().and_then(Path::file_name).expect("a folder").to_string_lossy();
        fs::write(dir.join(format!("{part}-{name}")), rules)
            .expect("the scratch folder can be written");
    }
}

fn read(file: &Value) -> Vec<Rule> {
    let groups = file["groups"].as_array().expect("a file of rules has groups");
    let rules =
        groups.iter().flat_map(|group| group["rules"].as_array().expect("a group has rules"));
    let rule = |yaml: &Value| {
        let (kind, name) = match (yaml["record"].as_str(), yaml["alert"].as_str()) {
            (Some(name), None) => (Kind::Recording, name),
            (None, Some(name)) => (Kind::Alert, name),
            _ => panic!("neither a series nor an alert: {yaml}"),
        };
        let expression = yaml["expr"].as_str().expect("a rule has an expression").to_owned();
        Rule { name: name.to_owned(), kind, expression, yaml: yaml.clone() }
    };
    rules.map(rule).collect()
}

fn yaml_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    files
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
