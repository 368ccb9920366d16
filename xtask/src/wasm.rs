//! The filter as a file for Envoy.

mod names;

use crate::real::apt;
use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The filter without content codings must stay smaller than this; every Envoy worker compiles it. The
/// codings are other people's algorithms: `br` alone brings a dictionary of 120 KiB.
const MAX_BYTES: u64 = 200 << 10;

/// What the module may use; all of it works in Envoy's V8.
const WASM_OPT: [&str; 9] = [
    "-O3",
    "--debuginfo",
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
];

/// Builds the filter and says how large it is.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    println!("{}: {}", workspace.wasm().display(), kib(size(&workspace.wasm())?));
    Ok(())
}

/// Builds the filter and puts it where Envoy's configuration looks for it.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    step("Building the filter");
    build_into(workspace, &workspace.wasm(), &[])
}

fn build_into(workspace: &Workspace, module: &Path, options: &[&str]) -> Result<()> {
    let mut cargo = workspace.cargo([
        "build",
        "--package=gaugeway-filter",
        "--profile=wasm",
        "--target=wasm32-wasip1",
    ]);
    shell::run(cargo.args(options))?;
    let built = workspace.target().join("wasm32-wasip1/wasm/gaugeway_filter.wasm");
    if shell::on_path("wasm-opt").is_some() {
        shell::run(Command::new("wasm-opt").args(WASM_OPT).arg(&built).arg("-o").arg(module))?;
    } else {
        eprintln!(
            "wasm-opt is not on the PATH (Debian's package binaryen): the filter is a tenth larger"
        );
        fs::copy(&built, module).with_context(|| format!("cannot copy {}", built.display()))?;
    }
    let named = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    fs::write(module, names::readable(&named)?)
        .with_context(|| format!("cannot write {}", module.display()))
}

/// Installs wasm-opt where that is possible. The filter works without it, and is larger.
pub(crate) fn ensure_optimiser() {
    if shell::on_path("wasm-opt").is_none()
        && let Err(error) = apt::install("binaryen")
    {
        eprintln!("no wasm-opt: {error:#}");
    }
}

/// Prints the filter's size with and without content codings, and fails when the latter has outgrown
/// its limit in spite of wasm-opt.
pub(crate) fn check_size(workspace: &Workspace) -> Result<()> {
    let slim = workspace.target().join("gaugeway-slim.wasm");
    build_into(workspace, &slim, &["--no-default-features"])?;
    let bytes = size(&slim)?;
    eprintln!("filter: {}", kib(size(&workspace.wasm())?));
    eprintln!("filter without content codings: {} of at most {}", kib(bytes), kib(MAX_BYTES));
    if bytes >= MAX_BYTES && shell::on_path("wasm-opt").is_some() {
        bail!("the filter has outgrown its limit; `twiggy top` shows what is in it");
    }
    Ok(())
}

fn size(module: &Path) -> Result<u64> {
    let metadata = fs::metadata(module).with_context(|| format!("no {}", module.display()))?;
    Ok(metadata.len())
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
