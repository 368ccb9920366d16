//! The filter in every version of Envoy that it is made for.

use crate::real::envoy;
use crate::shell::{self, step};
use crate::wasm;
use crate::workspace::Workspace;
use anyhow::{Result, bail};

/// Tests that say of an Envoy whether it loads the filter, by file and by discovery, and whether requests, errors, aborts
/// and tokens are counted right.
const TESTS: [&str; 5] =
    ["envoy_config", "envoy_config_command", "envoy_ends", "envoy_inject", "ecds"];

/// Which versions.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Versions to prove it on; all of them when none is named.
    #[arg(value_parser = envoy::VERSIONS)]
    versions: Vec<String>,
}

/// Proves it on each version, the others too when one fails, and prints what became of each.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    wasm::ensure_optimiser();
    wasm::build(workspace)?;
    let all = || envoy::VERSIONS.map(str::to_owned).to_vec();
    let versions = if args.versions.is_empty() { all() } else { args.versions.clone() };
    let results: Vec<_> =
        versions.iter().map(|version| (version, prove(workspace, version))).collect();
    for (version, result) in &results {
        match result {
            Ok(()) => println!("Envoy {version:<8} ok"),
            Err(error) => println!("Envoy {version:<8} FAILED  {error:#}"),
        }
    }
    if results.iter().any(|(_, result)| result.is_err()) {
        bail!("the filter does not work in every Envoy that it is made for");
    }
    Ok(())
}

/// Runs the tests with one version of Envoy and the filter that is built.
pub(crate) fn prove(workspace: &Workspace, version: &str) -> Result<()> {
    let envoy = envoy::ensure_version(workspace, version)?;
    step(&format!("Testing with Envoy {version}"));
    let mut cargo = workspace.cargo(["test", "--package=gaugeway-tests"]);
    for test in TESTS {
        cargo.args(["--test", test]);
    }
    cargo
        .env("ENVOY", envoy)
        .env("GAUGEWAY_WASM", workspace.wasm())
        .env("GAUGEWAY_REQUIRE_REAL", "1");
    shell::run(&mut cargo)
}
