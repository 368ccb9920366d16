//! `gaugeway-agent`: config, build, serve, drain.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use gaugeway_agent::config::Config;
use gaugeway_agent::{Agent, logging};
use tokio::signal::unix::{SignalKind, signal};

/// `EX_USAGE` of sysexits.h: the configuration is wrong.
const EXIT_CONFIG: u8 = 64;

/// Joins Envoy's stats, NVIDIA GPU telemetry and the instance price into one metrics page, with cost
/// per million tokens that adds up to the bill.
///
/// Serves GET /metrics (Prometheus text), /api/v1/summary (JSON), /healthz, and /readyz (503 until
/// the sources have been read once). A source that fails does not stop the others: it shows as
/// gaugeway_source_up 0. Ends on SIGINT and SIGTERM, after running answers have been sent.
#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
#[command(after_help = "Exit status: 0 after a signal, 64 bad configuration, 1 cannot start.")]
struct Cli {
    /// The configuration: a TOML file; gaugeway-agent.example.toml explains every key.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Checks a configuration and ends: exit status 0, or 64 with the file, key and reason.
    Check {
        /// The file to check.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (file, check) = match cli.command {
        Some(Command::Check { config }) => (config, true),
        None => (cli.config.unwrap_or_default(), false),
    };
    let config = match Config::load(&file) {
        Ok(_) if check => return ExitCode::SUCCESS,
        Ok(config) => config,
        Err(error) => return fail(&error, EXIT_CONFIG),
    };
    logging::init(config.log);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

// One thread: the work is a page every few seconds, and memory on a GPU host is for models.
#[tokio::main(flavor = "current_thread")]
async fn run(config: Config) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let agent = Agent::start(config).await?;
    log::info!("serving http://{}/metrics", agent.address()?);
    agent
        .run(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        })
        .await;
    Ok(())
}

fn fail(error: &dyn std::fmt::Display, status: u8) -> ExitCode {
    // There is nowhere to report a broken stderr to.
    let _ = writeln!(std::io::stderr(), "gaugeway-agent: {error}");
    ExitCode::from(status)
}
