//! All tests, against the real components.

use crate::real::{alertmanager, chromium, envoy, llm, manifests, otlp, prometheus};
use crate::shell::{self, step};
use crate::workspace::Workspace;
use crate::{bench, demo, matrix, wasm};
use anyhow::{Context as _, Result};

/// Installs what the tests need, builds what they start, and runs all of them.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    step("Looking for Envoy, Prometheus, Chromium and the LLM server");
    let envoy = envoy::ensure(workspace)?;
    let (prometheus, promtool) = prometheus::ensure()?;
    let (alertmanager, amtool) = alertmanager::ensure()?;
    let chromium = chromium::ensure(workspace)?;
    llm::ensure(workspace)
        .context("`cargo test --workspace` runs without it and skips what needs it")?;
    manifests::ensure(workspace)?;
    otlp::ensure(workspace)?;
    wasm::ensure_optimiser();
    wasm::build(workspace)?;

    step("Building the programs that the tests start");
    shell::run(&mut workspace.cargo(["build", "--workspace", "--bins"]))?;

    step("Testing");
    let mut cargo = workspace.cargo(["test", "--workspace"]);
    cargo
        .env("ENVOY", envoy)
        .env("PROMETHEUS", prometheus)
        .env("PROMTOOL", promtool)
        .env("ALERTMANAGER", alertmanager)
        .env("AMTOOL", amtool)
        .env("CHROMIUM", chromium.browser)
        .env("CHROMEDRIVER", chromium.driver)
        .env("GAUGEWAY_WASM", workspace.wasm())
        .env("GAUGEWAY_REAL", workspace.real())
        // A test whose component is missing fails instead of being skipped: all are there now.
        .env("GAUGEWAY_REQUIRE_REAL", "1");
    shell::run(&mut cargo)?;
    matrix::prove(workspace, envoy::OLDEST)?;

    bench::check_fuel(workspace)?;

    step("Sizes");
    demo::print_agent_memory(workspace);
    wasm::check_size(workspace)
}
