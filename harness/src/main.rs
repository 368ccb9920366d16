//! `gaugeway-harness`: run, check and look at proxy-wasm modules without Envoy.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gaugeway_harness::exchange::Exchange;
use gaugeway_harness::replay::replay;
use gaugeway_harness::split::Split;
use gaugeway_harness::{Inspection, LogLine, Module, VmError, inspect};

/// Exit status for a file that cannot be read (EX_USAGE of sysexits.h).
const UNREADABLE: u8 = 64;

/// Runs proxy-wasm modules as Envoy would: replays recorded traffic, checks plugin configurations, and
/// says whether Envoy can load a module.
#[derive(Parser)]
#[command(name = "gaugeway-harness", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay exchange files and print one JSON line for each.
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// Load a module, configure it, and print `ok` or why it refused.
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// List what a module imports and exports, and what Envoy does not offer.
    #[command(after_help = INSPECT_HELP)]
    Inspect(InspectArgs),
}

const REPLAY_HELP: &str = "\
An exchange file is a JSON object beside a file with the exact bytes of the response body:
  request_path, request_body (JSON or null), status, content_type, content_encoding,
  response_headers, body_file, and optionally chunks: [[milliseconds, bytes], ...], the time
  since the response headers at which each part arrived. Other fields are passed over.

Each exchange gets a fresh VM whose clocks move only with the exchange. A line has name,
filter_state, stats (name, labels, type, value or values), passthrough (nothing was changed or
held), fuel (about one unit per instruction) and memory_bytes. With --split every it also has
splits, the number of cuts tried in both bodies, and splits_differ, those that gave other
results.

Exit status: 0; 1 when the module fails or a cut gives other results; 64 when a file cannot be
read or is not in the form.

Examples:
  gaugeway-harness replay fixtures/openai/*.json
  gaugeway-harness replay --config filter.json --split every fixtures/openai/crlf.json
  gaugeway-harness replay --split random:7 stream.json | jq .stats";

const CHECK_HELP: &str = "\
What the module logged goes to standard error, with the reason last.

Exit status: 0 when it accepts the configuration, 1 when it does not or cannot be loaded, 64
when a file cannot be read.

Examples:
  gaugeway-harness check filter.json
  gaugeway-harness check --wasm other.wasm filter.json";

const INSPECT_HELP: &str = "\
Exit status: 0 when Envoy can load the module, 1 when it cannot, 64 when the file cannot be read.

Example:
  gaugeway-harness inspect target/gaugeway.wasm";

#[derive(Args)]
struct ReplayArgs {
    /// The module.
    #[arg(long, value_name = "FILE", default_value = "target/gaugeway.wasm")]
    wasm: PathBuf,
    /// Plugin configuration, passed to the module as it stands; empty when not given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How bodies are cut: whole (as they arrived), bytes (one by one), every (each single cut must
    /// give the same as whole), random:SEED (with empty chunks).
    #[arg(long, value_name = "HOW", default_value = "whole")]
    split: Split,
    /// Exchange files.
    #[arg(required = true, value_name = "EXCHANGE.json")]
    exchanges: Vec<PathBuf>,
}

#[derive(Args)]
struct CheckArgs {
    /// The module.
    #[arg(long, value_name = "FILE", default_value = "target/gaugeway.wasm")]
    wasm: PathBuf,
    /// Plugin configuration.
    #[arg(value_name = "CONFIG.json")]
    config: PathBuf,
}

#[derive(Args)]
struct InspectArgs {
    /// The module.
    #[arg(value_name = "WASM")]
    wasm: PathBuf,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Replay(args) => replay_all(&args),
        Command::Check(args) => check(&args),
        Command::Inspect(args) => inspect_one(&args),
    };
    result.unwrap_or_else(|failure| {
        report(&failure.message);
        ExitCode::from(failure.status)
    })
}

/// What ends the program early.
struct Failure {
    message: String,
    status: u8,
}

impl From<VmError> for Failure {
    fn from(error: VmError) -> Self {
        Self { message: error.to_string(), status: 1 }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { message: format!("cannot write: {error}"), status: 1 }
    }
}

fn replay_all(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let config = args.config.as_deref().map_or_else(|| Ok(Vec::new()), read)?;
    let module = load(&args.wasm)?;
    let mut status = ExitCode::SUCCESS;
    for path in &args.exchanges {
        let exchange = Exchange::read(path)
            .map_err(|error| Failure { message: error.to_string(), status: UNREADABLE })?;
        match replay(&module, &config, &exchange, args.split) {
            Ok(line) => {
                if line.splits_differ.as_ref().is_some_and(|cuts| !cuts.is_empty()) {
                    status = ExitCode::FAILURE;
                }
                let line = serde_json::to_string(&line).map_err(io::Error::from)?;
                writeln!(io::stdout(), "{line}")?;
            }
            Err(error) => {
                report(&format!("{}: {error}", path.display()));
                status = ExitCode::FAILURE;
            }
        }
    }
    Ok(status)
}

fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let config = read(&args.config)?;
    match load(&args.wasm)?.configure(&config) {
        Ok(vm) => {
            report_logs(&vm.logs());
            writeln!(io::stdout(), "ok")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            report_logs(error.logs());
            Err(error.into())
        }
    }
}

fn inspect_one(args: &InspectArgs) -> Result<ExitCode, Failure> {
    let wasm = read(&args.wasm)?;
    let Inspection { abi_versions, imports, missing, exports, memory_bytes } = inspect(&wasm)?;
    let mut out = io::stdout().lock();
    writeln!(out, "size          {} bytes", wasm.len())?;
    writeln!(out, "ABI version   {}", abi_versions.join(", "))?;
    match memory_bytes {
        Some(bytes) => writeln!(out, "first memory  {bytes} bytes")?,
        None => writeln!(out, "first memory  none is exported")?,
    }
    writeln!(out, "imports")?;
    for import in imports {
        let note = if missing.contains(&import) { "   <- Envoy does not offer this" } else { "" };
        writeln!(out, "  {import}{note}")?;
    }
    writeln!(out, "exports")?;
    for export in exports {
        writeln!(out, "  {export}")?;
    }
    drop(out);
    Module::load(&wasm)?;
    Ok(ExitCode::SUCCESS)
}

fn load(path: &Path) -> Result<Module, Failure> {
    Module::load(&read(path)?)
        .map_err(|error| Failure { message: format!("{}: {error}", path.display()), status: 1 })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure {
        message: format!("cannot read {}: {error}", path.display()),
        status: UNREADABLE,
    })
}

fn report_logs(logs: &[LogLine]) {
    for line in logs {
        report(&format!("{}: {}", line.level, line.message));
    }
}

/// One line on standard error. Where even that is closed, the exit status still says what happened.
fn report(message: &str) {
    writeln!(io::stderr(), "{message}").ok();
}
