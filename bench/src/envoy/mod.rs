//! What each way of looking at streams costs the real Envoy: its own CPU time per event, and the time to
//! first token that a client sees, side by side in interleaved rounds.

mod config;
mod ext_proc;
mod guests;
mod load;
mod table;

pub(crate) use ext_proc::serve as serve_ext_proc;

use crate::process::{Envoy, Process};
use crate::results;
use anyhow::{Context as _, Result};
use config::Variant;
use load::Load;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What is to be measured with what.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Envoy's binary.
    #[arg(long, value_name = "FILE", env = "ENVOY")]
    envoy: PathBuf,
    /// The simulator's binary, built for release.
    #[arg(long, value_name = "FILE", default_value = "target/release/gaugeway-sim")]
    sim: PathBuf,
    /// Rounds; each has every variant once, in another order.
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

/// All samples of one variant, in the order of the rounds, by load.
pub(crate) type Samples = BTreeMap<Variant, Vec<Sample>>;

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

fn measure(wasm: &Path, args: &Args, scratch: &Path) -> Result<BTreeMap<Load, Samples>> {
    let wasm = wasm.canonicalize().with_context(|| format!("cannot read {}", wasm.display()))?;
    guests::write(scratch)?;
    let loads = if args.loads.is_empty() { Load::ALL.to_vec() } else { args.loads.clone() };
    let mut variants = Variant::ALL.to_vec();
    variants.retain(|variant| {
        args.only.is_empty() || *variant == Variant::None || args.only.contains(variant)
    });
    let mut by_load = BTreeMap::<Load, Samples>::new();
    for load in loads {
        let sim = load.start_server(&args.sim, scratch)?;
        for round in 0..args.rounds {
            // Another order each time, so that no variant always runs after the same one.
            variants.rotate_left(1);
            if round % 2 == 1 {
                variants.reverse();
            }
            for variant in &variants {
                let sample = sample(*variant, load, &wasm, args, scratch, &sim)
                    .with_context(|| format!("{variant:?} under {load:?}"))?;
                eprintln!(
                    "{load:?}, round {} of {}, {}: {:.2} µs",
                    round + 1,
                    args.rounds,
                    variant.name(),
                    sample.cpu_us
                );
                by_load.entry(load).or_default().entry(*variant).or_default().push(sample);
            }
        }
    }
    Ok(by_load)
}

fn sample(
    variant: Variant,
    load: Load,
    wasm: &Path,
    args: &Args,
    scratch: &Path,
    sim: &load::Server,
) -> Result<Sample> {
    let processor = match variant {
        Variant::ExtProc => Some(Process::ext_proc(scratch)?),
        _ => None,
    };
    let port = processor.as_ref().map_or(0, |(_, port)| *port);
    let yaml = config::yaml(variant, sim.port, port, wasm, scratch);
    let envoy = Envoy::start(&args.envoy, &yaml, scratch)?;
    // The first requests compile, connect and define stats.
    load.warm_up(&args.sim, envoy.port, scratch)?;
    let before = (envoy.process.cpu()?, processor.as_ref().map(|(it, _)| it.cpu()).transpose()?);
    let seen = load.run(&args.sim, envoy.port, scratch)?;
    let cpu = envoy.process.cpu()?.saturating_sub(before.0);
    let of_processor = match (&processor, before.1) {
        (Some((it, _)), Some(before)) => it.cpu()?.saturating_sub(before).as_secs_f64(),
        _ => 0.0,
    };
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = seen.units as f64;
    Ok(Sample {
        cpu_us: cpu.as_secs_f64() * 1e6 / count,
        processor_us: of_processor * 1e6 / count,
        p50_us: seen.p50_us,
        p99_us: seen.p99_us,
        requests_per_second: seen.requests_per_second,
        rss_mb: envoy.process.rss_mb()?,
    })
}
