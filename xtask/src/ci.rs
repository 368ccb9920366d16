//! All checks of a commit.

use crate::shell::{self, step};
use crate::workspace::Workspace;
use crate::{fuzz, test};
use anyhow::Result;

/// Runs them, the quick ones first, and stops at the first failure.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    step("Format");
    shell::run(&mut workspace.cargo(["fmt", "--all", "--check"]))?;

    step("Lints");
    let warnings = ["--", "-D", "warnings"];
    let host = ["clippy", "--workspace", "--all-targets"];
    shell::run(workspace.cargo(host).args(warnings))?;

    step("Lints of the filter, which is empty on every target but wasm");
    let filter = ["clippy", "--package=gaugeway-filter", "--target=wasm32-wasip1"];
    shell::run(workspace.cargo(filter).args(warnings))?;

    test::run(workspace)?;

    step("Documentation");
    let mut doc = workspace.cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;

    fuzz::run(workspace, &fuzz::Args::default())?;

    step("All checks passed");
    Ok(())
}
