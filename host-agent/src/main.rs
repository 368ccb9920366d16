//! `gaugeway-agent`: config, build, serve, drain.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use gaugeway_agent::config::Config;
use gaugeway_agent::envoy_config;
use gaugeway_agent::http::Address;
use gaugeway_agent::price::PriceConfig;
use gaugeway_agent::{Agent, logging, status};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// `EX_USAGE` of sysexits.h: the configuration is wrong.
const EXIT_CONFIG: u8 = 64;

/// Joins Envoy's stats, NVIDIA GPU telemetry, the serving engines' metrics and the instance price into
/// one metrics page, with cost per million tokens that adds up to the bill.
///
/// Serves GET / (the live page, for a browser), /metrics (Prometheus text), /api/v1/summary,
/// /api/v1/series and /api/v1/live (JSON), /healthz, and
/// /readyz (503 until the sources have been read once). A source that fails does not stop the others:
/// it shows as gaugeway_source_up 0.
///
/// Ends on SIGINT and SIGTERM, after running answers have been sent. On SIGHUP the [price] section is
/// read again and applies from the next tick on; all else needs a restart.
#[derive(Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
#[command(after_help = "Exit status: 0 after a signal, 64 bad configuration, 1 cannot start.")]
struct Cli {
    /// The configuration: a TOML file; gaugeway-agent.example.toml explains every key.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// TLS and basic auth: the YAML file that Prometheus exporters share. Read again when it or a
    /// certificate changes.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Shows the GPUs under the names of another exporter as well, so that dashboards made for it go on
    /// working.
    #[arg(long, value_enum, value_name = "EXPORTER")]
    compat: Vec<Compat>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compat {
    /// NVIDIA's DCGM exporter, DCGM_FI_DEV_GPU_UTIL and so on. The same as nvml.dcgm_names = true.
    Dcgm,
}

#[derive(Subcommand)]
enum Command {
    /// Checks a configuration and ends: exit status 0, or 64 with the file, key and reason.
    Check {
        /// The file to check.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    EnvoyConfig(EnvoyConfigArgs),
    /// Asks a running agent and prints its sources, models, cost and budgets as a table.
    Status {
        /// The agent's address: http://HOST:PORT.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
        url: Address,
    },
}

/// Puts the filter, its labels and its buckets into an Envoy bootstrap file, and prints the difference.
///
/// Without --write the file is only read. YAML keeps its comments: what is added to it stands between the
/// comments `# >>> gaugeway` and `# <<< gaugeway`, and another run replaces it. JSON stays JSON. A file in
/// which something would have to be guessed is left alone, with the line and the reason.
///
/// Envoy reads the labels and buckets when it starts: validate the file with `envoy --mode validate -c FILE`,
/// then restart.
#[derive(clap::Args)]
#[command(
    after_help = "Exit status: 0 done, nothing to do included; 64 refused; 1 the file cannot be read or written."
)]
struct EnvoyConfigArgs {
    /// The bootstrap file, as YAML or JSON.
    file: PathBuf,
    /// Writes the file.
    #[arg(long)]
    write: bool,
    /// Takes out what this command added.
    #[arg(long, conflicts_with_all = ["wasm", "settings", "listener", "access_log", "stats_only"])]
    remove: bool,
    /// Where Envoy finds the filter. Default: what the file says already, else /etc/envoy/gaugeway.wasm.
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// The filter's settings. Default: what the file says already, else {}.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// A listener that gets the filter; may be given again. Without it all do.
    #[arg(long, value_name = "NAME")]
    listener: Vec<String>,
    /// Also adds a line of the access log per request, with what the filter saw of it.
    #[arg(long)]
    access_log: bool,
    /// Adds labels and buckets only, for an Envoy whose listeners come from a control plane.
    #[arg(long, conflicts_with_all = ["wasm", "settings", "listener", "access_log"])]
    stats_only: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (file, check) = match cli.command {
        Some(Command::Check { config }) => (config, true),
        Some(Command::EnvoyConfig(args)) => return edit_envoy_config(&args),
        Some(Command::Status { url }) => return print_status(&url),
        None => (cli.config.unwrap_or_default(), false),
    };
    let config = match Config::load(&file) {
        Ok(_) if check => return ExitCode::SUCCESS,
        Ok(mut config) => {
            config.web_config = cli.web_config;
            if let Some(nvml) = &mut config.nvml {
                nvml.dcgm_names |= cli.compat.contains(&Compat::Dcgm);
            }
            config
        }
        Err(error) => return fail(&error, EXIT_CONFIG),
    };
    logging::init(config.log);
    match run(config, &file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

// One thread: the work is a page every few seconds, and memory on a GPU host is for models.
#[tokio::main(flavor = "current_thread")]
async fn run(config: Config, file: &Path) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut reload = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let agent = Agent::start(config).await?;
    log::info!("serving {}://{}/metrics", agent.scheme(), agent.address()?);
    let price = agent.price();
    let reloads = async {
        while reload.recv().await.is_some() {
            reload_price(file, &price);
        }
    };
    let shutdown = async {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, () = reloads => {} }
    };
    agent.run(shutdown).await;
    Ok(())
}

fn reload_price(file: &Path, price: &watch::Sender<Option<PriceConfig>>) {
    match Config::load(file) {
        Ok(config) => {
            price.send_replace(config.price);
            log::info!("{}: the price was read again", file.display());
        }
        Err(error) => log::error!("{error}; the price stays as it was"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn print_status(agent: &Address) -> ExitCode {
    match status::status(agent).await {
        // There is nowhere to report a broken stdout to.
        Ok(table) => drop(std::io::stdout().write_all(table.as_bytes())),
        Err(error) => return fail(&error, 1),
    }
    ExitCode::SUCCESS
}

fn edit_envoy_config(args: &EnvoyConfigArgs) -> ExitCode {
    let file = args.file.display();
    let text = match std::fs::read_to_string(&args.file) {
        Ok(text) => text,
        Err(error) => return fail(&format_args!("{file}: {error}"), 1),
    };
    let edited = match args.remove {
        true => envoy_config::remove(&text),
        false => envoy_config::add(&text, &args.options()),
    };
    let edited = match edited {
        Ok(edited) => edited,
        Err(refusal) => return fail(&format_args!("{file}: {refusal}"), EXIT_CONFIG),
    };
    let difference = envoy_config::diff(&file.to_string(), &text, &edited);
    // There is nowhere to report a broken stdout to.
    drop(std::io::stdout().write_all(difference.as_bytes()));
    if args.write
        && edited != text
        && let Err(error) = envoy_config::replace(&args.file, &edited)
    {
        return fail(&format_args!("{file}: {error}"), 1);
    }
    ExitCode::SUCCESS
}

impl EnvoyConfigArgs {
    fn options(&self) -> envoy_config::Options {
        envoy_config::Options {
            wasm: self.wasm.clone(),
            settings: self.settings.clone(),
            listeners: self.listener.clone(),
            access_log: self.access_log,
            stats_only: self.stats_only,
        }
    }
}

fn fail(error: &dyn std::fmt::Display, status: u8) -> ExitCode {
    // There is nowhere to report a broken stderr to.
    let _ = writeln!(std::io::stderr(), "gaugeway-agent: {error}");
    ExitCode::from(status)
}
