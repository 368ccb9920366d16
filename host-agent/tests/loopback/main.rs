//! The agent from outside: its pages, its program, and an Envoy that behaves or does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod cli;
mod cloud;
mod discovery;
mod envoy;
mod fake_envoy;
mod keeping;
mod sources;
mod web;

use std::path::PathBuf;

/// A folder of a test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gaugeway-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
