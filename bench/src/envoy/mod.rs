//! What each way of looking at streams costs the real Envoy: its own CPU time per event, and the time to
//! first token that a client sees. A gateway that is busy needs the machine for itself, so its variants run one
//! after the other; those with less to do run at the same time, each behind an Envoy of its own.

mod config;
mod ext_proc;
mod guests;
mod load;
mod table;

pub(crate) use ext_proc::serve as serve_ext_proc;

use crate::process::{Envoy, Process};
use crate::results;
use anyhow::{Context as _, Result, bail};
use config::Variant;
use guests::Modules;
use load::{Load, Server};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

/// What is to be measured with what.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Envoy's binary.
    #[arg(long, value_name = "FILE", env = "ENVOY")]
    envoy: PathBuf,
    /// The simulator's binary, built for release.
    #[arg(long, value_name = "FILE", default_value = "target/release/gaugeway-sim")]
    sim: PathBuf,
    /// The module of `bench/read-only`.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/wasm32-wasip1/release/gaugeway_bench_read_only.wasm"
    )]
    read_only_sdk: PathBuf,
    /// Rounds; each has every variant once.
    #[arg(long, value_name = "N", default_value = "6")]
    rounds: usize,
    /// Only these variants, besides the one without a filter.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Variant>,
    /// Only these loads.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    loads: Vec<Load>,
}

/// One variant under one load, in one round.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// CPU time of Envoy per event, or per request where answers are unary, microseconds.
    pub(crate) cpu_us: f64,
    /// CPU time of the external processor, where there is one.
    pub(crate) processor_us: f64,
    /// Time to first token, or of the whole answer, as the client saw it, microseconds.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Finished requests per second.
    pub(crate) requests_per_second: f64,
    /// Resident memory of Envoy at the end, megabytes.
    pub(crate) rss_mb: f64,
}

/// Variants that were measured together, always with the one without a filter.
pub(crate) type Group = BTreeMap<Variant, Sample>;

/// Measures, prints and writes.
pub(crate) fn run(wasm: &Path, results: &Path, args: &Args) -> Result<()> {
    let scratch = env::temp_dir().join(format!("gaugeway-bench-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let done = measure(wasm, args, &scratch);
    let _ = fs::remove_dir_all(&scratch);
    let by_load = done?;
    table::print(&by_load);
    results::write(results, "envoy", by_load)
}

fn measure(wasm: &Path, args: &Args, scratch: &Path) -> Result<BTreeMap<Load, Vec<Group>>> {
    let modules = Modules::write(scratch, wasm, &args.read_only_sdk)?;
    let loads = if args.loads.is_empty() { Load::ALL.to_vec() } else { args.loads.clone() };
    let mut watchers = Variant::WATCHERS.to_vec();
    watchers.retain(|variant| args.only.is_empty() || args.only.contains(variant));
    let mut by_load = BTreeMap::<Load, Vec<Group>>::new();
    for load in loads {
        for round in 0..args.rounds {
            for watchers in watchers.chunks(Load::WATCHERS_IN_GROUP) {
                eprintln!("{}: round {} of {}", load.name(), round + 1, args.rounds);
                let mut variants = [&[Variant::None], watchers].concat();
                // Another order each time, so that no variant always runs or starts after the same one.
                let turn = round % variants.len();
                variants.rotate_left(turn);
                let mut group = Group::new();
                for variants in variants.chunks(load.at_once()) {
                    group.extend(side_by_side(variants, load, &modules, args, scratch)?);
                }
                for (variant, sample) in &group {
                    eprintln!("{:>10.2} µs  {}", sample.cpu_us, variant.name());
                }
                by_load.entry(load).or_default().push(group);
            }
        }
    }
    Ok(by_load)
}

/// Measures some variants at the same time, so that whatever else the machine does meets all of them.
fn side_by_side(
    variants: &[Variant],
    load: Load,
    modules: &Modules,
    args: &Args,
    scratch: &Path,
) -> Result<Vec<(Variant, Sample)>> {
    let start = |variant| Stack::start(variant, load, modules, args, scratch);
    let stacks = variants.iter().copied().map(start).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let running: Vec<_> =
            stacks.iter().map(|stack| scope.spawn(|| stack.sample(load, &args.sim))).collect();
        variants
            .iter()
            .zip(running)
            .map(|(variant, sample)| {
                let sample = sample.join().unwrap_or_else(|_| bail!("the client panicked"));
                Ok((*variant, sample.with_context(|| format!("{variant:?} under {load:?}"))?))
            })
            .collect()
    })
}

/// What one variant needs: a server, Envoy, and perhaps a processor.
struct Stack {
    scratch: PathBuf,
    envoy: Envoy,
    processor: Option<Process>,
    _server: Server,
}

impl Stack {
    fn start(
        variant: Variant,
        load: Load,
        modules: &Modules,
        args: &Args,
        scratch: &Path,
    ) -> Result<Self> {
        let scratch = scratch.join(format!("{variant:?}"));
        fs::create_dir_all(&scratch)?;
        let server = load.start_server(&args.sim, &scratch)?;
        let processor = match variant {
            Variant::ExtProc => Some(Process::ext_proc(&scratch)?),
            _ => None,
        };
        let port = processor.as_ref().map_or(0, |(_, port)| *port);
        let yaml = config::yaml(variant, server.port, port, modules);
        let envoy = Envoy::start(&args.envoy, &yaml, &scratch)?;
        // The first requests compile, connect and define stats.
        load.warm_up(&args.sim, envoy.port, &scratch)?;
        let processor = processor.map(|(process, _)| process);
        Ok(Self { scratch, envoy, processor, _server: server })
    }

    fn sample(&self, load: Load, sim: &Path) -> Result<Sample> {
        let before = self.cpu()?;
        let seen = load.run(sim, self.envoy.port, &self.scratch)?;
        let after = self.cpu()?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = |before, after: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1e6 / seen.units as f64
        };
        Ok(Sample {
            cpu_us: each(before.0, after.0),
            processor_us: each(before.1, after.1),
            p50_us: seen.p50_us,
            p99_us: seen.p99_us,
            requests_per_second: seen.requests_per_second,
            rss_mb: self.envoy.process.rss_mb()?,
        })
    }

    /// CPU time of Envoy and of the processor so far.
    fn cpu(&self) -> Result<(Duration, Duration)> {
        let processor = self.processor.as_ref().map_or(Ok(Duration::ZERO), Process::cpu)?;
        Ok((self.envoy.process.cpu()?, processor))
    }
}
