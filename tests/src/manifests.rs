//! Manifests, and the tools that check them.

use crate::real::Manifests;
use crate::workspace;
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};

impl Manifests {
    /// Checks files strictly. What could not be checked for want of a schema, or the faults.
    pub fn check(&self, files: &[String]) -> Result<Vec<String>, String> {
        let mut python = Command::new(&self.python);
        python.arg("tests/real/check_manifests.py").args(files).current_dir(workspace());
        let output = python.output().expect("Python runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(said.lines().map(str::to_owned).collect()),
            false => Err(said + &String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Runs Helm in the repository's root.
    pub fn helm(&self, args: &[&str]) -> Output {
        let mut helm = Command::new(&self.helm);
        helm.args(args).current_dir(workspace()).output().expect("Helm runs")
    }
}

/// A YAML file of the repository.
pub fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(workspace().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}
