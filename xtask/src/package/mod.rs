//! What a release consists of, written to `dist/`: the filter as a module and as an image, the agent, its container file
//! and chart, and what they are made of.

mod agent;
mod archive;
mod chart;
mod image;
mod layout;
mod release;
mod sbom;
mod twice;

use crate::shell::step;
use crate::wasm;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use release::Release;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// The filter's image, as a folder in the form of the OCI image layout.
const IMAGE: &str = "gaugeway-filter";

/// What is to be packaged.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to; made where it is missing.
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// Leaves out the agent's program, which takes minutes to build.
    #[arg(long)]
    no_agent: bool,
    /// Builds the filter a second time, from a copy of the sources in another folder, and fails when module or image
    /// differ.
    #[arg(long)]
    check: bool,
}

/// Packages everything that is asked for, and says what there is.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let release = Release::of(workspace)?;
    let dist = Dist::at(workspace.root().join(&args.out))?;
    filter(workspace, &release, &dist)?;
    if args.check {
        twice::check(workspace, &release, &dist)?;
    }
    if !args.no_agent {
        agent::package(workspace, &release, &dist)?;
    }
    step("Packing the chart");
    let chart = chart::pack(workspace, &release)?;
    dist.write(&format!("gaugeway-agent-{}.tgz", release.version), &chart)?;
    dist.sum()
}

/// The module, its digest, its image and what it is made of.
fn filter(workspace: &Workspace, release: &Release, dist: &Dist) -> Result<()> {
    wasm::ensure_optimiser();
    wasm::build(workspace)?;
    step("Packing the filter");
    let module = fs::read(workspace.wasm())
        .with_context(|| format!("cannot read {}", workspace.wasm().display()))?;
    dist.write("gaugeway.wasm", &module)?;
    // For `sha256:` in manifests, and for `sha256sum -c`.
    dist.write("gaugeway.wasm.sha256", format!("{}  gaugeway.wasm\n", sha256(&module)).as_bytes())?;

    let layout = image::layout(&module, release)?;
    dist.write_tree(IMAGE, &layout)?;
    dist.write(
        &format!("{IMAGE}-{}.oci.tar", release.version),
        &archive::tar(&layout, release.epoch)?,
    )?;
    let bom = sbom::of(
        workspace,
        release,
        ("gaugeway-filter", wasm::TARGET),
        &["rustc", "wasm-opt"],
        &[],
    )?;
    dist.write(&format!("gaugeway-filter-{}.cdx.json", release.version), &bom)
}

/// The folder that is written.
#[derive(Debug)]
struct Dist(PathBuf);

impl Dist {
    fn at(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes a folder anew.
    fn write_tree(&self, name: &str, files: &[archive::File]) -> Result<()> {
        let root = self.path(name);
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot remove {}", root.display()))?;
        }
        for file in files {
            let path = root.join(&file.path);
            let parent = path.parent().unwrap_or(&root);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, &file.content))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Writes the digests of all files that lie in the folder itself, and prints them.
    fn sum(&self) -> Result<()> {
        const NAME: &str = "SHA256SUMS";
        let entries =
            fs::read_dir(&self.0).with_context(|| format!("cannot list {}", self.0.display()))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.is_file() && !path.ends_with(NAME));
        files.sort();
        let lines: Result<Vec<String>> = files.iter().map(|path| sum_line(path)).collect();
        let sums = lines?.concat();
        print!("{sums}");
        self.write(NAME, sums.as_bytes())
    }
}

fn sum_line(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_name().unwrap_or_default().display();
    Ok(format!("{}  {name}\n", sha256(&content)))
}

/// SHA-256 in hexadecimal.
fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
