//! What criterion measured of the core, as a table and a file.

use crate::results;
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// One way of reading events of one size.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    bytes: u64,
    /// Median.
    ns_per_event: f64,
    gigabytes_per_second: f64,
}

/// Reads what `cargo bench --bench core` left under `target/criterion`.
pub(crate) fn run(criterion: &Path, dir: &Path) -> Result<()> {
    let group = criterion.join("event");
    let mut rows = Vec::new();
    for what in folders(&group)? {
        for size in folders(&what)? {
            rows.extend(row(&size)?);
        }
    }
    rows.sort_by(|a, b| (a.bytes, &a.what).cmp(&(b.bytes, &b.what)));
    println!("{:<32} {:>8} {:>12} {:>8}", "what", "bytes", "ns/event", "GB/s");
    for Row { what, bytes, ns_per_event, gigabytes_per_second } in &rows {
        println!("{what:<32} {bytes:>8} {ns_per_event:>12.0} {gigabytes_per_second:>8.2}");
    }
    results::write(dir, "core", rows)
}

fn row(folder: &Path) -> Result<Option<Row>> {
    let read = |name: &str| -> Result<Value> {
        let file = folder.join("new").join(name);
        let json = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&json).with_context(|| format!("{} is no JSON", file.display()))
    };
    // criterion's own summaries lie beside the measurements.
    if !folder.join("new/benchmark.json").is_file() {
        return Ok(None);
    }
    let (benchmark, estimates) = (read("benchmark.json")?, read("estimates.json")?);
    let what = benchmark.pointer("/function_id").and_then(Value::as_str).context("no name")?;
    let bytes =
        benchmark.pointer("/throughput/Bytes").and_then(Value::as_u64).context("no size")?;
    let median = estimates.pointer("/median/point_estimate").and_then(Value::as_f64);
    let ns_per_event = median.context("no median")?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let gigabytes_per_second = bytes as f64 / ns_per_event;
    Ok(Some(Row { what: what.to_owned(), bytes, ns_per_event, gigabytes_per_second }))
}

fn folders(parent: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(parent).with_context(|| {
        format!("cannot read {}: run `cargo xtask bench core`", parent.display())
    })?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}
