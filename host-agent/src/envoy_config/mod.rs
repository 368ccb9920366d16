//! `gaugeway-agent envoy-config`: puts Gaugeway into an Envoy bootstrap file, and takes it out again.
//!
//! The text is changed where something is to be added, and nowhere else: comments, order and the way
//! lists are written stay. What comes out is read once more before it is handed on.

mod bootstrap;
mod edit;
mod fragments;
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use fragments::{DEFAULT_SETTINGS, DEFAULT_WASM, Fragments};

/// What is to be added.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where Envoy finds the filter. `None` is what the file says already, else `/etc/envoy/gaugeway.wasm`.
    pub wasm: Option<PathBuf>,
    /// The filter's settings, as JSON. `None` is what the file says already, else `{}`.
    pub settings: Option<String>,
    /// Names of the listeners that get the filter; empty for all.
    pub listeners: Vec<String>,
    /// Whether these listeners also get the access log.
    pub access_log: bool,
    /// Whether only `stats_config` is completed, for listeners that come from a control plane.
    pub stats_only: bool,
}

/// Why a file is left alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    line: Option<usize>,
    reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refusal {}

/// The bootstrap with Gaugeway in it. What an earlier run added is replaced.
///
/// # Errors
/// A text that is no bootstrap, one where something would have to be guessed, and settings that the
/// filter would refuse.
pub fn add(text: &str, options: &Options) -> Result<String, Refusal> {
    let tree = tree::parse(text)?;
    let present = bootstrap::setups(&tree)?;
    let wasm = options.wasm.clone().map(|wasm| wasm.display().to_string());
    let wasm = one_of(wasm, present.iter().map(|setup| setup.wasm), "--wasm", DEFAULT_WASM)?;
    let settings = options.settings.clone().map(|settings| settings.replace('\n', " "));
    let settings = one_of(
        settings,
        present.iter().map(|setup| setup.settings),
        "--settings",
        DEFAULT_SETTINGS,
    )?;
    gaugeway_core::Config::parse(settings.as_bytes()).map_err(|reason| Refusal {
        line: None,
        reason: format!("the filter's settings: {reason}"),
    })?;
    let fragments = Fragments::new(&wasm, &settings)?;
    // What was pasted by hand stays where it is.
    let text = remove(text).or_else(|_| edit::without_marked(text))?;
    let edits = bootstrap::additions(&text, &tree::parse(&text)?, options, &fragments)?;
    let text = edit::apply(&text, edits);
    match bootstrap::additions(&text, &tree::parse(&text)?, options, &fragments)?.is_empty() {
        true => Ok(text),
        false => Err(Refusal {
            line: None,
            reason: "is written in a way that was not understood".to_owned(),
        }),
    }
}

/// The bootstrap without what [`add`] added.
///
/// # Errors
/// A text that is no bootstrap, and one into which Gaugeway was pasted by hand.
pub fn remove(text: &str) -> Result<String, Refusal> {
    let fragments = Fragments::new(DEFAULT_WASM, DEFAULT_SETTINGS)?;
    let mut text = edit::without_marked(text)?;
    while let Some(shorter) = bootstrap::remove_next(&text, &tree::parse(&text)?, &fragments)? {
        text = shorter;
    }
    Ok(text)
}

/// What was asked for, else what all filters of the file have, else the default.
fn one_of<'a>(
    asked: Option<String>,
    present: impl Iterator<Item = Option<&'a str>>,
    flag: &str,
    default: &str,
) -> Result<String, Refusal> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let present: BTreeSet<&str> = present.flatten().collect();
    if present.len() > 1 {
        let reason = format!("the filters of its listeners differ; give {flag} for all of them");
        return Err(Refusal { line: None, reason });
    }
    Ok(present.first().copied().unwrap_or(default).to_owned())
}

/// The difference between two texts of a file, as `diff -u` shows it; empty when they are the same.
pub fn diff(file: &str, old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new).unified_diff().header(file, file).to_string()
}

/// Writes a file whole or not at all, with the permissions that it has.
///
/// # Errors
/// What the system says.
pub fn replace(file: &Path, text: &str) -> io::Result<()> {
    // A link stays one.
    let file = file.canonicalize()?;
    let mut temporary = file.clone().into_os_string();
    temporary.push(".gaugeway-new");
    let written = fs::write(&temporary, text)
        .and_then(|()| fs::set_permissions(&temporary, fs::metadata(&file)?.permissions()))
        .and_then(|()| fs::rename(&temporary, &file));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests;
