//! Measurements: what is built for them, and in which order they run.

use crate::real::envoy;
use crate::shell::{self, step};
use crate::wasm;
use crate::workspace::Workspace;
use anyhow::Result;

/// What is measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One of them; all when left out.
    #[arg(value_enum)]
    bench: Option<Bench>,
    /// Passed on to the measurement: `cargo xtask bench envoy -- --rounds 2 --only gaugeway`.
    #[arg(last = true)]
    options: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Bench {
    /// Fuel per event and stream; `-- --check` compares with the committed figures.
    Fuel,
    /// VM memory per open stream.
    Memory,
    /// Cost per event against length, size, models and open streams.
    Scale,
    /// The core natively, against memchr and serde_json.
    Core,
    /// The agent against pages of 100 to 50,000 series.
    Agent,
    /// CPU time per event in the real Envoy, beside eight other configurations; a quarter of an hour.
    Envoy,
}

impl Bench {
    const ALL: [Self; 6] =
        [Self::Fuel, Self::Memory, Self::Scale, Self::Core, Self::Agent, Self::Envoy];

    const fn name(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Scale => "scale",
            Self::Core => "core",
            Self::Agent => "agent",
            Self::Envoy => "envoy",
        }
    }
}

/// Runs them; results are written to bench/results/.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    wasm::build(workspace)?;
    let benches = args.bench.map_or_else(|| Bench::ALL.to_vec(), |bench| vec![bench]);
    for bench in benches {
        step(&format!("Measuring: {}", bench.name()));
        measure(workspace, bench, &args.options)?;
    }
    Ok(())
}

/// Fails when an event or a stream costs more fuel than the committed figures say.
pub(crate) fn check_fuel(workspace: &Workspace) -> Result<()> {
    step("Fuel");
    measure(workspace, Bench::Fuel, &["--check".to_owned()])
}

fn measure(workspace: &Workspace, bench: Bench, options: &[String]) -> Result<()> {
    let mut cargo = match bench {
        Bench::Core => {
            let bench = ["bench", "--package=gaugeway-bench", "--bench=core", "--"];
            shell::run(workspace.cargo(bench).args(options))?;
            workspace.cargo(["run", "--quiet", "--package=gaugeway-bench", "--"])
        }
        // Fuel and memory are the same in any profile, and this one is built already.
        Bench::Fuel | Bench::Memory | Bench::Scale => {
            workspace.cargo(["run", "--quiet", "--package=gaugeway-bench", "--"])
        }
        Bench::Agent | Bench::Envoy => {
            let programs = ["--package=gaugeway-sim", "--package=gaugeway-agent"];
            shell::run(workspace.cargo(["build", "--release", "--bins"]).args(programs))?;
            workspace.cargo(["run", "--quiet", "--release", "--package=gaugeway-bench", "--"])
        }
    };
    cargo.arg("--wasm").arg(workspace.wasm());
    cargo.arg("--results").arg(workspace.root().join("bench/results"));
    cargo.arg(bench.name());
    let release = workspace.target().join("release");
    match bench {
        Bench::Envoy => {
            let module = ["--package=gaugeway-bench-read-only", "--target", wasm::TARGET];
            shell::run(workspace.cargo(["build", "--release"]).args(module))?;
            cargo.arg("--envoy").arg(envoy::ensure(workspace)?);
            cargo.arg("--sim").arg(release.join("gaugeway-sim"));
            let module = format!("{}/release/gaugeway_bench_read_only.wasm", wasm::TARGET);
            cargo.arg("--read-only-sdk").arg(workspace.target().join(module));
        }
        Bench::Agent => {
            cargo.arg("--agent").arg(release.join("gaugeway-agent"));
        }
        Bench::Core => {
            cargo.arg("--criterion").arg(workspace.target().join("criterion"));
            return shell::run(&mut cargo);
        }
        Bench::Fuel | Bench::Memory | Bench::Scale => {}
    }
    shell::run(cargo.args(options))
}
