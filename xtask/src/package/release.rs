//! What a release says of itself: the same for the same sources, wherever and whenever it is built.

use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::env;
use std::process::Command;

/// The identity of what is packaged.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) version: &'static str,
    /// The commit, where git knows it and nothing was changed since.
    pub(super) revision: Option<String>,
    /// Seconds since 1970 that everything is dated with: `SOURCE_DATE_EPOCH`, else the time of the commit, else 0.
    pub(super) epoch: u64,
}

impl Release {
    pub(super) fn of(workspace: &Workspace) -> Result<Self> {
        let git = |args: &[&str]| {
            let output =
                Command::new("git").args(args).current_dir(workspace.root()).output().ok()?;
            let said = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| said.trim().to_owned())
        };
        let clean = git(&["status", "--porcelain", "--untracked-files=no"])
            .is_some_and(|said| said.is_empty());
        let revision = git(&["rev-parse", "HEAD"]).filter(|_| clean);
        let epoch = match env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.parse().context("SOURCE_DATE_EPOCH is no number of seconds")?,
            Err(_) => {
                git(&["log", "-1", "--format=%ct"]).and_then(|time| time.parse().ok()).unwrap_or(0)
            }
        };
        Ok(Self { version: env!("CARGO_PKG_VERSION"), revision, epoch })
    }

    /// Its date in RFC 3339.
    pub(super) fn created(&self) -> String {
        let (days, second) = (self.epoch / 86_400, self.epoch % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of a day since 1970, counted in years that begin in March, so that leap days come last.
fn date(days: u64) -> (u64, u64, u64) {
    /// Days from March of the year 0 to 1970.
    const TO_1970: u64 = 719_468;
    const PER_400_YEARS: u64 = 146_097;
    let days = days + TO_1970;
    let (era, day) = (days / PER_400_YEARS, days % PER_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

/// The first line of what a tool says its version is.
pub(super) fn version_of(tool: &str) -> Option<String> {
    shell::output(Command::new(tool).arg("--version"))?.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (epoch, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let release = Release { version: "", revision: None, epoch };
            assert_eq!(release.created(), expected);
        }
    }
}
