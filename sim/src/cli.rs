//! The commands' arguments and what they do.

mod output;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gaugeway_sim::load::{self, Http, Mix, Until, Url};
use gaugeway_sim::wire::Api;
use gaugeway_sim::{Coding, LoadConfig, ModelProfile, Observation, Server, ServerConfig};

pub(crate) use self::output::complain;
use self::output::{Lines, progress, say, write_summary};

/// A simulated LLM server that knows what it sent, and a load client that times what a user sees.
#[derive(Parser)]
#[command(name = "gaugeway-sim", version, arg_required_else_help = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve an OpenAI-compatible API until Ctrl-C or SIGTERM.
    ///
    /// HTTP/1.1 and, without TLS, HTTP/2 are spoken on the same port.
    ///
    /// A request may say how it shall go with the header `x-sim-plan`: ok, no_usage, reset, out_of_memory, timeout,
    /// abort:K, abort:request|head|role|finish|done, truncate:K, end_early:K, stall:K:MS, error_in_stream:K[:SHAPE],
    /// reset_after_headers, reset_in_stream:K, retry_once:503|reset or http:STATUS[:CODE], where K counts generated
    /// events. `x-sim-output: N` fixes the number of output tokens, `x-sim-id: ID` names the request in the truth,
    /// `x-sim-coding: gzip|deflate|br|zstd` asks for a content coding.
    Serve(Serve),
    /// Put load on a server and print what its users saw.
    Load(Box<Load>),
}

#[derive(Args)]
struct Serve {
    /// The address to listen on; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// With a request's id, decides its timing and length.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write one JSON line per finished request to this file. It is emptied first.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Serve the models of this TOML file (`[[model]]` tables) instead of the built-in ones.
    ///
    /// Each table has `name` and any of: `style` (openai, vllm or llamacpp), `ttft_ms`, `ttft_jitter_ms`,
    /// `tokens_per_second`, `gap_jitter`, `output_tokens` ([least, most]), `reasoning_share`, `cached_share`,
    /// `tokens_per_event`, `bytes_per_token`. What is left out is that of a quick vLLM.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
struct Load {
    /// The server or gateway, as http://HOST[:PORT][/PREFIX].
    #[arg(long)]
    url: Url,
    /// Requests in flight, each on a connection of its own.
    #[arg(long, value_name = "N", default_value = "8")]
    concurrency: NonZeroU32,
    #[command(flatten)]
    until: UntilArgs,
    /// Decides every request. Two runs against one server need two seeds.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Models of the simulator to ask for, in equal shares. Without it, the built-in ones.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    models: Vec<String>,
    /// Ask a real server for this model. It is sent no header of ours, and `--mix` can only be of ok and abort.
    #[arg(long, value_name = "NAME", conflicts_with = "models")]
    model: Option<String>,
    /// How requests go: weights of ok, no_usage, abort, truncate, stall, error_in_stream, http, reset, out_of_memory,
    /// or of full plans such as http:429:insufficient_quota.
    #[arg(long, value_name = "PLAN=WEIGHT,…", default_value = "ok=1")]
    mix: Mix,
    /// Speak HTTP/2, without TLS.
    #[arg(long)]
    http2: bool,
    /// The content coding to ask for: gzip, deflate, br or zstd. Only the simulator is bound to it.
    #[arg(long, value_name = "CODING", default_value = "identity")]
    coding: Coding,
    /// APIs to ask, in equal shares.
    #[arg(long, value_name = "API,…", value_delimiter = ',', default_value = "chat")]
    apis: Vec<ApiName>,
    /// The share of requests that ask for a stream, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    stream_share: f64,
    /// The share of streams that ask for usage, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    include_usage_share: f64,
    /// The share of chats that offer a tool, 0 to 1. [default: 0.1, with --model 0]
    #[arg(long, value_name = "SHARE")]
    tool_share: Option<f64>,
    /// Words of every prompt. [default: 20 to 400]
    #[arg(long, value_name = "N")]
    prompt_words: Option<u32>,
    /// The most output tokens of an answer. [default: 96]
    #[arg(long, value_name = "N")]
    max_tokens: Option<NonZeroU32>,
    /// Seconds over which the workers start.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    ramp: f64,
    /// Seconds after which a request has failed.
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    timeout: f64,
    /// Write the summary as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one JSON line per request to this file.
    #[arg(long, value_name = "FILE.jsonl")]
    requests_out: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct UntilArgs {
    /// Stop after this many requests.
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Start no new requests after this many seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ApiName {
    Chat,
    Completions,
    Embeddings,
}

impl From<ApiName> for Api {
    fn from(name: ApiName) -> Self {
        match name {
            ApiName::Chat => Self::Chat,
            ApiName::Completions => Self::Completions,
            ApiName::Embeddings => Self::Embeddings,
        }
    }
}

/// Does what was asked. An error is a sentence for the user.
pub(crate) fn run(command: Command) -> Result<(), String> {
    match command.verb {
        Verb::Serve(args) => serve(args),
        Verb::Load(args) => put_load(*args),
    }
}

fn serve(args: Serve) -> Result<(), String> {
    let mut config = ServerConfig {
        listen: args.listen,
        seed: args.seed,
        truth_file: args.truth,
        // Nobody can ask a process for them.
        truth_kept: 0,
        ..ServerConfig::default()
    };
    if let Some(path) = &args.config {
        config.models = ServerConfig::read_models(path).map_err(|error| error.to_string())?;
    }
    // Before the address is known to anybody: whoever reads it may send the signal at once.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot wait for signals: {error}"))?;
    runtime.block_on(async {
        let told = signalled().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let server = Server::start(config).map_err(|error| error.to_string())?;
        say(&format!("listening on http://{}", server.addr()))?;
        told.await;
        server.shutdown();
        Ok(())
    })
}

/// Resolves when the process is told to end.
fn signalled() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

fn put_load(args: Load) -> Result<(), String> {
    let config = load_config(&args)?;
    let mut out = args.requests_out.as_deref().map(Lines::create).transpose()?;
    let bar = progress(config.until);
    let done = |observation: &Observation| {
        match config.until {
            Until::Requests(_) => bar.inc(1),
            Until::Elapsed(time) => bar.set_position(bar.elapsed().min(time).as_secs()),
        }
        if let Some(lines) = &mut out {
            lines.write(observation);
        }
    };
    let report = load::run(&config, done).map_err(|error| error.to_string())?;
    bar.finish_and_clear();
    out.map(Lines::finish).transpose()?;
    if let Some(path) = &args.json {
        write_summary(path, &report)?;
    }
    say(&report.to_string())
}

fn load_config(args: &Load) -> Result<LoadConfig, String> {
    let seconds = |key: &str, value: f64| {
        Duration::try_from_secs_f64(value).map_err(|error| format!("--{key} {value}: {error}"))
    };
    let until = match (args.until.requests, args.until.seconds) {
        (Some(requests), _) => Until::Requests(requests),
        (None, Some(value)) => Until::Elapsed(seconds("seconds", value)?),
        (None, None) => return Err("give --requests or --seconds".to_owned()),
    };
    let models = match &args.model {
        Some(model) => vec![model.clone()],
        None if !args.models.is_empty() => args.models.clone(),
        None => ModelProfile::catalogue().into_iter().map(|model| model.name).collect(),
    };
    let base = LoadConfig::new(args.url.clone(), models);
    let sim = args.model.is_none();
    Ok(LoadConfig {
        concurrency: args.concurrency,
        until,
        seed: args.seed,
        apis: args.apis.iter().copied().map(Api::from).collect(),
        mix: args.mix.clone(),
        stream_share: args.stream_share,
        include_usage_share: args.include_usage_share,
        tool_share: args.tool_share.unwrap_or(if sim { base.tool_share } else { 0.0 }),
        prompt_words: args.prompt_words.map_or(base.prompt_words, |words| words..=words),
        output_tokens: match args.max_tokens.map(NonZeroU32::get) {
            Some(most) => (*base.output_tokens.start()).min(most)..=most,
            None => base.output_tokens,
        },
        http: if args.http2 { Http::Two } else { Http::One },
        coding: args.coding,
        sim,
        ramp: seconds("ramp", args.ramp)?,
        timeout: seconds("timeout", args.timeout)?,
        ..base
    })
}
