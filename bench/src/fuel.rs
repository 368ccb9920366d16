//! Fuel per event: what one event costs the filter once the stream runs.

use crate::guest;
use crate::results::{self, wasm_opt};
use crate::streams::{Coding, DIALECTS, Dialect, OPENAI_CHAT};
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Events of a stream before those that are measured: the pattern of its events is learnt by then.
const WARM_UP: usize = 50;
/// Events that are measured.
const MEASURED: usize = 100;
/// How much more a figure may be than the committed one.
const TOLERANCE: f64 = 0.03;

/// What one kind of stream costs.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Row {
    /// API, coding, bytes.
    pub(crate) stream: String,
    /// Mean length of a piece on the wire.
    pub(crate) bytes_per_event: u64,
    /// Mean of the callback that brings an event.
    pub(crate) fuel_per_event: u64,
    /// Request, response head and end together.
    pub(crate) fuel_per_stream: u64,
}

/// Measures, prints and writes.
pub(crate) fn run(wasm: &Path, dir: &Path) -> Result<()> {
    let rows = measure(wasm)?;
    print(&rows);
    results::write(dir, "fuel", rows)
}

/// Measures, and fails where a committed figure was lower.
pub(crate) fn check(wasm: &Path, dir: &Path) -> Result<()> {
    let committed = results::read::<Vec<Row>>(dir, "fuel")?;
    if committed.wasm_opt != wasm_opt() {
        println!(
            "fuel is not compared: the committed figures are of {}, here is {}",
            committed.wasm_opt.as_deref().unwrap_or("no wasm-opt"),
            wasm_opt().as_deref().unwrap_or("no wasm-opt")
        );
        return Ok(());
    }
    let rows = measure(wasm)?;
    print(&rows);
    let mut grown = Vec::new();
    for row in &rows {
        let Some(old) = committed.result.iter().find(|old| old.stream == row.stream) else {
            grown.push(format!("{}: has no committed figure", row.stream));
            continue;
        };
        let figures = [
            ("event", old.fuel_per_event, row.fuel_per_event),
            ("stream", old.fuel_per_stream, row.fuel_per_stream),
        ];
        for (what, old, new) in figures {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            if new as f64 > old as f64 * (1.0 + TOLERANCE) {
                grown.push(format!("{}: {new} per {what}, committed {old}", row.stream));
            }
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    bail!(
        "the filter got dearer by more than 3 %:\n  {}\nMend it, or commit new figures with `cargo xtask bench fuel` and say why.",
        grown.join("\n  ")
    )
}

fn print(rows: &[Row]) {
    println!(
        "{:<32} {:>11} {:>11} {:>10} {:>12}",
        "stream", "bytes/event", "fuel/event", "fuel/byte", "fuel/stream"
    );
    for Row { stream, bytes_per_event, fuel_per_event, fuel_per_stream } in rows {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_byte = *fuel_per_event as f64 / *bytes_per_event as f64;
        println!(
            "{stream:<32} {bytes_per_event:>11} {fuel_per_event:>11} {per_byte:>10.2} {fuel_per_stream:>12}"
        );
    }
}

fn measure(wasm: &Path) -> Result<Vec<Row>> {
    let module = guest::load(wasm)?;
    let mut rows = Vec::new();
    for dialect in DIALECTS {
        rows.push(row(&module, *dialect, None, 250)?);
    }
    for bytes in [1_000, 10_000, 100_000] {
        rows.push(row(&module, OPENAI_CHAT, None, bytes)?);
    }
    for coding in Coding::ALL {
        rows.push(row(&module, OPENAI_CHAT, Some(coding), 250)?);
    }
    Ok(rows)
}

fn row(
    module: &gaugeway_harness::Module,
    dialect: Dialect,
    coding: Option<Coding>,
    bytes: usize,
) -> Result<Row> {
    // At least a short token, where the frame alone is longer than that.
    let text = bytes.saturating_sub(dialect.overhead()).max(4);
    let events: Vec<_> =
        (0..WARM_UP + MEASURED).map(|number| dialect.event(number, text)).collect();
    let pieces = coding.map_or(Ok(events.clone()), |coding| coding.encode(&events))?;
    let vm = module.configure("")?;
    // The second stream of a model: the first defines its series.
    let name = coding.map(Coding::name);
    let first = guest::open(&vm, dialect, name, "llama")?;
    guest::end(&vm, first)?;

    let before = vm.fuel();
    let mut stream = guest::open(&vm, dialect, name, "llama")?;
    let opened = vm.fuel() - before;
    let (warm_up, measured) = pieces.split_at_checked(WARM_UP).unwrap_or_default();
    guest::send(&vm, &mut stream, warm_up)?;
    let fuel = guest::send(&vm, &mut stream, measured)?;
    let ended = guest::end(&vm, stream)?;
    let lengths: Vec<u64> =
        measured.iter().map(|piece| u64::try_from(piece.len()).unwrap_or(0)).collect();
    let of_frame = u64::try_from(events.get(WARM_UP).map_or(0, Vec::len)).unwrap_or(0);
    let stream = match coding {
        Some(coding) => format!("{}, {}, {of_frame} B", dialect.name, coding.name()),
        None => format!("{}, {of_frame} B", dialect.name),
    };
    Ok(Row {
        stream,
        bytes_per_event: guest::mean(&lengths),
        fuel_per_event: guest::mean(&fuel),
        fuel_per_stream: opened + ended,
    })
}
