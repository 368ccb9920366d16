//! An OTLP receiver for the tests, which prints what it gets.

use super::python;
use crate::shell::step;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::path::PathBuf;

const PACKAGE: &str = "oteltap==1.0.0";

/// The Python that has the receiver, where it is installed.
pub(crate) fn find(workspace: &Workspace) -> Option<PathBuf> {
    let program = dir(workspace).join("bin/python");
    program.exists().then_some(program)
}

/// As [`find`], installed first where it is not.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = find(workspace) {
        return Ok(program);
    }
    step("Installing an OTLP receiver into target/real");
    python::venv(&dir(workspace), &[PACKAGE], |_| Ok(()))?;
    find(workspace).context("the installed package has no Python")
}

fn dir(workspace: &Workspace) -> PathBuf {
    workspace.real().join("oteltap")
}
