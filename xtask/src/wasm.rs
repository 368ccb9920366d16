//! The filter as a file for Envoy.

use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The filter must stay smaller than this; every Envoy worker compiles it.
const MAX_BYTES: u64 = 200 << 10;

/// What the module may use; all of it works in Envoy's V8.
const WASM_OPT: [&str; 7] = [
    "-O3",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
];

/// Options of `cargo xtask wasm`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Shrink the module with wasm-opt (Debian's package `binaryen`), about a fifth smaller.
    #[arg(long)]
    opt: bool,
}

/// Builds the filter and says how large it is.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    build(workspace)?;
    if args.opt {
        optimise(&workspace.wasm())?;
    }
    println!("{}: {}", workspace.wasm().display(), kib(size(workspace)?));
    Ok(())
}

/// Builds the filter and puts it where Envoy's configuration looks for it.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    step("Building the filter");
    shell::run(&mut workspace.cargo([
        "build",
        "--package=gaugeway-filter",
        "--profile=wasm",
        "--target=wasm32-wasip1",
    ]))?;
    let built = workspace.target().join("wasm32-wasip1/wasm/gaugeway_filter.wasm");
    fs::copy(&built, workspace.wasm())
        .with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(())
}

/// Prints the filter's size, and fails when it has outgrown its limit.
pub(crate) fn check_size(workspace: &Workspace) -> Result<()> {
    let bytes = size(workspace)?;
    eprintln!("filter: {} of at most {}", kib(bytes), kib(MAX_BYTES));
    if bytes >= MAX_BYTES {
        bail!("the filter has outgrown its limit; `twiggy top` shows what is in it");
    }
    Ok(())
}

fn optimise(module: &Path) -> Result<()> {
    if shell::on_path("wasm-opt").is_none() {
        bail!("wasm-opt is not on the PATH: install the package `binaryen`");
    }
    step("Shrinking it");
    shell::run(Command::new("wasm-opt").args(WASM_OPT).arg(module).arg("-o").arg(module))
}

fn size(workspace: &Workspace) -> Result<u64> {
    let module = workspace.wasm();
    let metadata = fs::metadata(&module).with_context(|| format!("no {}", module.display()))?;
    Ok(metadata.len())
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
