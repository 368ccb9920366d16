//! Log lines on stderr: level and message. Whoever collects stderr adds the time.

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

/// Sends this program's log lines of `level` and above to stderr.
pub fn init(level: LevelFilter) {
    // An error means that a logger is there already, which is as good.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gaugeway")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = record.level().as_str().to_ascii_lowercase();
            // There is nowhere to report a broken stderr to.
            let _ = writeln!(std::io::stderr(), "{level}: {}", record.args());
        }
    }

    fn flush(&self) {}
}
