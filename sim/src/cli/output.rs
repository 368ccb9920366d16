//! What the commands print and write.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use gaugeway_sim::load::{ModelReport, Until};
use gaugeway_sim::{Observation, Report};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Says why nothing was done. A closed stderr leaves nobody to tell.
pub(crate) fn complain(reason: &str) {
    let _closed = writeln!(io::stderr(), "gaugeway-sim: {reason}");
}

/// Prints a line for the user or the script that started us.
pub(super) fn say(line: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot write to stdout: {error}"))
}

/// A bar on stderr where somebody can see it.
pub(super) fn progress(until: Until) -> ProgressBar {
    let (length, unit) = match until {
        Until::Requests(requests) => (requests, "requests"),
        Until::Elapsed(time) => (time.as_secs(), "s"),
    };
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = format!("{{bar:40}} {{pos}}/{{len}} {unit}  {{elapsed}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// A file of JSON lines. The first error is kept for the end, because the load goes on meanwhile.
pub(super) struct Lines {
    path: PathBuf,
    out: io::Result<BufWriter<File>>,
}

impl Lines {
    pub(super) fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path: path.to_owned(), out: Ok(BufWriter::new(file)) })
    }

    pub(super) fn write(&mut self, observation: &Observation) {
        if let Ok(out) = &mut self.out {
            let written = serde_json::to_writer(&mut *out, observation)
                .map_err(io::Error::from)
                .and_then(|()| out.write_all(b"\n"));
            if let Err(error) = written {
                self.out = Err(error);
            }
        }
    }

    pub(super) fn finish(self) -> Result<(), String> {
        let flushed = self.out.and_then(|mut out| out.flush());
        flushed.map_err(|error| cannot_write(&self.path, &error))
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    elapsed_seconds: f64,
    requests: usize,
    models: &'a [ModelReport],
}

pub(super) fn write_summary(path: &Path, report: &Report) -> Result<(), String> {
    let summary = Summary {
        elapsed_seconds: report.elapsed.as_secs_f64(),
        requests: report.observations.len(),
        models: &report.models,
    };
    let json = serde_json::to_vec_pretty(&summary).map_err(|error| error.to_string())?;
    std::fs::write(path, json).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
