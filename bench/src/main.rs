//! What the filter and the agent cost. `cargo xtask bench` builds what is measured and runs this.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

mod agent;
mod core;
mod envoy;
mod fuel;
mod guest;
mod memory;
mod process;
mod results;
mod scale;
mod streams;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what Gaugeway costs. Results are written as JSON, with machine, date and versions.
#[derive(Parser)]
#[command(name = "gaugeway-bench", version)]
struct Args {
    /// The filter.
    #[arg(long, global = true, value_name = "FILE", default_value = "target/gaugeway.wasm")]
    wasm: PathBuf,
    /// The folder of the results.
    #[arg(long, global = true, value_name = "DIR", default_value = "bench/results")]
    results: PathBuf,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Fuel per event and per byte, by API, content coding and size. About one unit is one instruction,
    /// and the same build burns the same on every machine.
    Fuel {
        /// Compare with the committed figures instead of writing them: fails when one has grown by more
        /// than 3 %.
        #[arg(long)]
        check: bool,
    },
    /// Bytes of VM memory per open stream.
    Memory,
    /// Cost per event against length of the stream, size of the event, models and open streams.
    Scale,
    /// CPU time per event in the real Envoy, beside other ways of looking at streams.
    Envoy(envoy::Args),
    /// Collects what `cargo bench --bench core` measured.
    Core {
        /// criterion's folder.
        #[arg(long, value_name = "DIR", default_value = "target/criterion")]
        criterion: PathBuf,
    },
    /// The agent against pages of 100 to 50,000 series.
    Agent(agent::Args),
    /// The external processor that `envoy` starts.
    #[command(hide = true)]
    ExtProc {
        /// Where it listens, on loopback.
        #[arg(long)]
        port: u16,
    },
}

fn main() -> ExitCode {
    let Args { wasm, results, bench } = Args::parse();
    let done = match bench {
        Bench::Fuel { check: true } => fuel::check(&wasm, &results),
        Bench::Fuel { check: false } => fuel::run(&wasm, &results),
        Bench::Memory => memory::run(&wasm, &results),
        Bench::Scale => scale::run(&wasm, &results),
        Bench::Envoy(args) => envoy::run(&wasm, &results, &args),
        Bench::Core { criterion } => core::run(&criterion, &results),
        Bench::Agent(args) => agent::run(&results, &args),
        Bench::ExtProc { port } => envoy::serve_ext_proc(port),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
