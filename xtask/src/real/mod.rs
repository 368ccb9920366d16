//! The real components that the demo and the tests run: where they are found, and how they are installed.
//!
//! What the user has comes first: an environment variable, then the PATH. What is missing is installed
//! under `target/real/` where that is possible, once: the next run finds it there and needs no network.

pub(crate) mod alertmanager;
pub(crate) mod apt;
pub(crate) mod chromium;
pub(crate) mod envoy;
pub(crate) mod llm;
pub(crate) mod manifests;
pub(crate) mod otlp;
pub(crate) mod prometheus;
pub(crate) mod python;
