//! The hand-written exchanges in `fixtures/`.

use crate::workspace;
use gaugeway_harness::exchange::Exchange;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// An exchange and what the filter is to make of it.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Folder and file: `anthropic/stream`.
    pub name: String,
    /// Request and response.
    pub exchange: Exchange,
    /// The sidecar's `expected`.
    pub expected: Value,
}

/// All of them, by name.
pub fn all() -> Vec<Fixture> {
    let root = workspace().join("tests/fixtures");
    let mut sidecars: Vec<PathBuf> = files(&root)
        .iter()
        .filter(|file| file.is_dir())
        .flat_map(|folder| files(folder))
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .collect();
    sidecars.sort();
    sidecars.iter().map(|sidecar| read(&root, sidecar)).collect()
}

/// Everything in a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn read(root: &Path, sidecar: &Path) -> Fixture {
    let text = fs::read(sidecar).expect("a sidecar");
    let json: Value = serde_json::from_slice(&text).expect("a sidecar is JSON");
    let name = sidecar.with_extension("");
    let name = name.strip_prefix(root).expect("within the fixtures").display().to_string();
    let exchange = Exchange::read(sidecar).unwrap_or_else(|error| panic!("{name}: {error}"));
    Fixture { name, exchange, expected: json["expected"].clone() }
}
