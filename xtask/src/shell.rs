//! Running other programs.

use anyhow::{Context as _, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

/// Announces a step on stderr, with the time since the first one.
pub(crate) fn step(title: &str) {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    eprintln!("==> [{:>4} s] {title}", START.elapsed().as_secs());
}

/// Runs a program to its end; a failure names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a program to its end and gives what it printed, stdout before stderr, whatever its exit status:
/// some programs print their version on either, or fail after it. `None` when it does not start.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The program of that name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// The program that an environment variable names, else the one on the PATH. A variable that names
/// nothing is an error: whoever set it does not want another program in its place.
pub(crate) fn program(variable: &str, name: &str) -> Result<Option<PathBuf>> {
    match env::var_os(variable).filter(|value| !value.is_empty()) {
        None => Ok(on_path(name)),
        Some(path) if PathBuf::from(&path).is_file() => Ok(Some(path.into())),
        Some(path) => bail!("{variable} names {}, which is not a file", path.display()),
    }
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = program.file_name().into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}
