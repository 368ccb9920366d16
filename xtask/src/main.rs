//! Project tasks, run as `cargo xtask TASK`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

mod bench;
mod ci;
mod demo;
mod doctor;
mod fuzz;
mod matrix;
mod package;
mod real;
mod shell;
mod test;
mod wasm;
mod workspace;

use clap::Parser;
use std::process::ExitCode;
use workspace::Workspace;

/// Project tasks of Gaugeway.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
enum Task {
    /// Measures LLM traffic through the real Envoy, from the filter to cost per token.
    ///
    /// Builds everything, starts a simulated LLM server, Envoy with the filter, the agent and, where they
    /// are installed, Prometheus with the rules of monitoring/ and Alertmanager; sends traffic through them;
    /// and shows what the filter measured beside what the client saw, and which alerts fire. Then everything
    /// stays up, and traffic goes on, until Ctrl-C. An hour of the rules lasts a minute. All files are under
    /// target/demo/.
    Demo(demo::Args),
    /// Installs what the tests need, then runs all of them against the real components.
    ///
    /// The first run downloads Envoy and a small LLM into target/real/; later runs work offline.
    Test,
    /// Proves the filter on every version of Envoy that it is made for, from 1.36 to 1.40.
    ///
    /// Each is installed into target/real/ once. `cargo xtask test` does the same for the oldest of them.
    Matrix(matrix::Args),
    /// Builds the filter as target/gaugeway.wasm.
    Wasm,
    /// Writes everything that a release consists of to dist/.
    ///
    /// The filter as gaugeway.wasm with its digest, and as images for Istio and Envoy Gateway in an OCI image layout, as
    /// a folder and as its tar; the agent's binary with a Dockerfile; the Helm chart's archive; for filter and agent what
    /// they are made of, in CycloneDX; and SHA256SUMS. Dates are those of the commit, or of SOURCE_DATE_EPOCH.
    Package(package::Args),
    /// Says what is present, what is missing and how to get it. Fails when something essential is missing.
    Doctor,
    /// Runs the fuzz targets of the filter's core for a short while; needs cargo-fuzz.
    ///
    /// What a run finds is kept in target/fuzz-corpus/, and an input that fails in fuzz/artifacts/.
    Fuzz(fuzz::Args),
    /// Measures what the filter and the agent cost, and writes it to bench/results/.
    ///
    /// README's table of performance is made from these files; bench/README.md says how each is measured.
    Bench(bench::Args),
    /// All checks of a commit: format, lints, tests, documentation.
    Ci,
}

fn main() -> ExitCode {
    let task = Task::parse();
    let done = Workspace::find().and_then(|workspace| match task {
        Task::Demo(args) => demo::run(&workspace, &args),
        Task::Test => test::run(&workspace),
        Task::Matrix(args) => matrix::run(&workspace, &args),
        Task::Wasm => wasm::run(&workspace),
        Task::Package(args) => package::run(&workspace, &args),
        Task::Doctor => doctor::run(&workspace),
        Task::Fuzz(args) => fuzz::run(&workspace, &args),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Ci => ci::run(&workspace),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
