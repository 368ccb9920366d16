//! What the cross-crate tests share: the real components, started on loopback and ended on drop, and
//! readers for what they say.
//!
//! The tests themselves are in `tests/`, one file per subject. A test that needs a component that is
//! not installed prints why it is skipped; with `GAUGEWAY_REQUIRE_REAL` set it fails instead.

pub mod agent;
pub mod alertmanager;
pub mod browser;
pub mod build;
pub mod catalogue;
pub mod dashboards;
pub mod digest;
pub mod dynamic;
pub mod engine_page;
pub mod envoy;
pub mod event_stream;
pub mod fake_nvml;
pub mod fixture;
pub mod gateway;
pub mod golden;
pub mod harness;
pub mod hostile;
pub mod http;
pub mod istio;
pub mod json;
pub mod llm;
pub mod manifests;
pub mod native;
pub mod nvml;
pub mod otlp;
pub mod page;
pub mod process;
pub mod prometheus;
pub mod puller;
pub mod queries;
pub mod real;
pub mod registry;
pub mod renderer;
pub mod rules;
pub mod scratch;
pub mod web;
pub mod xds;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The repository's root.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

/// Asks `probe` again and again until it answers, and panics with its last reason after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(reason) if Instant::now() > deadline => {
                panic!("{what}: not within {limit:?}: {reason}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
