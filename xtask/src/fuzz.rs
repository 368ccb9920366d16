//! Short runs of the fuzz targets.

use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, bail};
use std::fs;

/// What is run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// One target; all of them when left out.
    target: Option<String>,
}

impl Default for Args {
    fn default() -> Self {
        Self { seconds: 10, target: None }
    }
}

/// Runs the targets one after the other. Without cargo-fuzz it says so and succeeds: the seeds are read
/// by the ordinary tests as well.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let targets = targets(workspace)?;
    let chosen = args.target.as_ref();
    if let Some(name) = chosen.filter(|name| !targets.contains(name)) {
        bail!("there is no fuzz target {name}; there are {}", targets.join(", "));
    }
    if shell::on_path("cargo-fuzz").is_none() {
        eprintln!("no fuzzing: cargo-fuzz is not on the PATH (`cargo install cargo-fuzz`)");
        return Ok(());
    }
    for target in targets.iter().filter(|name| chosen.is_none_or(|chosen| chosen == *name)) {
        step(&format!("Fuzzing {target} for {} s", args.seconds));
        let found = workspace.target().join("fuzz-corpus").join(target);
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        let mut cargo = workspace.cargo(["fuzz", "run", "--sanitizer", "none", target]);
        // New inputs go into the first folder, the seeds in the second stay as they are.
        cargo.arg(&found).arg(workspace.root().join("fuzz/corpus").join(target));
        cargo.args(["--", &format!("-max_total_time={}", args.seconds), "-timeout=10"]);
        // Its own target folder, because it is built with other flags; and the pinned compiler is a
        // stable one, which must be told that the flags of the fuzzer are meant.
        cargo.env_remove("CARGO_TARGET_DIR").env("RUSTC_BOOTSTRAP", "1");
        shell::run(&mut cargo)?;
    }
    Ok(())
}

/// Every target, by the name of its file.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let files =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut targets = Vec::new();
    for file in files {
        targets.extend(file?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}
