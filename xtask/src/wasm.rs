//! The filter as a file for Envoy.

mod names;

use crate::real::apt;
use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the filter is built for.
pub(crate) const TARGET: &str = "wasm32-wasip1";

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
        "--target",
        TARGET,
    ]);
    with_flags(&mut cargo, TARGET, &remapped_paths(workspace))?;
    shell::run(cargo.args(options))?;
    let built = workspace.target().join(TARGET).join("wasm/gaugeway_filter.wasm");
    // Finished beside its place: an Envoy that starts meanwhile sees the old module or the new one.
    let partial = module.with_extension("partial");
    if shell::on_path("wasm-opt").is_some() {
        shell::run(Command::new("wasm-opt").args(WASM_OPT).arg(&built).arg("-o").arg(&partial))?;
    } else {
        eprintln!(
            "wasm-opt is not on the PATH (Debian's package binaryen): the filter is a tenth larger"
        );
        fs::copy(&built, &partial).with_context(|| format!("cannot copy {}", built.display()))?;
    }
    let named = fs::read(&partial).with_context(|| format!("cannot read {}", partial.display()))?;
    fs::write(&partial, names::readable(&named)?)
        .and_then(|()| fs::rename(&partial, module))
        .with_context(|| format!("cannot write {}", module.display()))
}

/// Flags for rustc by which what is built is the same wherever sources lie: paths begin at the checkout, and at the
/// folder of the packages that cargo has fetched.
pub(crate) fn remapped_paths(workspace: &Workspace) -> Vec<String> {
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(env::home_dir()?.join(".cargo"))).unwrap_or_default();
    // One folder for each index, named after it.
    let fetched = fs::read_dir(cargo.join("registry/src")).into_iter().flatten().flatten();
    let mut paths: Vec<(PathBuf, &str)> = fetched.map(|entry| (entry.path(), "crates")).collect();
    paths.push((workspace.root().to_owned(), "gaugeway"));
    let flag =
        |(path, name): (PathBuf, &str)| format!("--remap-path-prefix={}={name}", path.display());
    paths.into_iter().map(flag).collect()
}

/// Has cargo give rustc these flags for `target`, besides those of `.cargo/config.toml`. A user's `RUSTFLAGS` would take
/// the place of both.
pub(crate) fn with_flags(cargo: &mut Command, target: &str, flags: &[String]) -> Result<()> {
    // A list of texts is written in JSON as in TOML.
    let flags = serde_json::to_string(flags)?;
    cargo.arg("--config").arg(format!("target.{target}.rustflags={flags}"));
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(())
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
