//! How the cost of an event depends on what should not matter, and on its size.

use crate::guest;
use crate::results;
use crate::streams::OPENAI_CHAT;
use anyhow::Result;
use gaugeway_harness::{End, Module};
use serde::Serialize;
use std::path::Path;

/// One curve: a quantity, and fuel at each of its values.
#[derive(Debug, Serialize)]
struct Curve {
    /// What was varied.
    varied: &'static str,
    /// What is counted: fuel per event, per byte or per stream.
    counted: &'static str,
    points: Vec<(usize, f64)>,
}

/// The filter's default for `max_models`.
const MODEL_CAP: usize = 64;

/// Measures, prints and writes.
pub(crate) fn run(wasm: &Path, dir: &Path) -> Result<()> {
    let module = guest::load(wasm)?;
    let curves =
        vec![length(&module)?, size(&module)?, models(&module)?, ends(&module)?, open(&module)?];
    for Curve { varied, counted, points } in &curves {
        println!("{counted} by {varied}");
        let most = points.iter().fold(1.0_f64, |most, (_, fuel)| most.max(*fuel));
        for (value, fuel) in points {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at most 50"
            )]
            let bar = "█".repeat((fuel / most * 50.0).round() as usize);
            println!("{value:>10} {fuel:>10.2} {bar}");
        }
    }
    results::write(dir, "scale", curves)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per(fuel: &[u64], count: usize) -> f64 {
    fuel.iter().sum::<u64>() as f64 / count as f64
}

/// A stream as long as it will: its last hundred events.
fn length(module: &Module) -> Result<Curve> {
    let mut points = Vec::new();
    for events in [10_usize, 100, 1_000, 10_000, 100_000] {
        let vm = module.configure("")?;
        let mut stream = guest::open(&vm, OPENAI_CHAT, None, "llama")?;
        // The first events teach the filter what the others are like.
        let learnt = events.saturating_sub(100).max(5);
        guest::send(&vm, &mut stream, (0..learnt).map(|n| OPENAI_CHAT.event(n, 20)))?;
        let last =
            guest::send(&vm, &mut stream, (learnt..events).map(|n| OPENAI_CHAT.event(n, 20)))?;
        points.push((events, per(&last, last.len())));
    }
    Ok(Curve { varied: "events in the stream", counted: "fuel per event", points })
}

/// Events from next to no text to a megabyte.
fn size(module: &Module) -> Result<Curve> {
    let mut points = Vec::new();
    for text in [1, 100, 1_000, 10_000, 100_000, 1_000_000] {
        let vm = module.configure("")?;
        let mut stream = guest::open(&vm, OPENAI_CHAT, None, "llama")?;
        guest::send(&vm, &mut stream, (0..20).map(|n| OPENAI_CHAT.event(n, text)))?;
        let last = guest::send(&vm, &mut stream, (20..30).map(|n| OPENAI_CHAT.event(n, text)))?;
        let bytes = OPENAI_CHAT.event(0, text).len();
        points.push((bytes, per(&last, last.len() * bytes)));
    }
    Ok(Curve { varied: "bytes of an event", counted: "fuel per byte", points })
}

/// A stream after so many models have been seen.
fn models(module: &Module) -> Result<Curve> {
    let mut points = Vec::new();
    for count in [1, 8, 32, MODEL_CAP, 10 * MODEL_CAP] {
        let vm = module.configure("")?;
        for model in 0..count {
            guest::end(&vm, guest::open(&vm, OPENAI_CHAT, None, &format!("model-{model}"))?)?;
        }
        let mut stream = guest::open(&vm, OPENAI_CHAT, None, "model-0")?;
        guest::send(&vm, &mut stream, (0..20).map(|n| OPENAI_CHAT.event(n, 20)))?;
        let last = guest::send(&vm, &mut stream, (20..100).map(|n| OPENAI_CHAT.event(n, 20)))?;
        points.push((count, per(&last, last.len())));
    }
    Ok(Curve { varied: "models seen", counted: "fuel per event", points })
}

/// The end of a stream, where its stats are written, after so many models have been seen.
fn ends(module: &Module) -> Result<Curve> {
    let mut points = Vec::new();
    for count in [1, 8, 32, MODEL_CAP, 10 * MODEL_CAP] {
        let vm = module.configure("")?;
        let stream = |model: usize| -> Result<u64> {
            let mut stream = guest::open(&vm, OPENAI_CHAT, None, &format!("model-{model}"))?;
            guest::send(&vm, &mut stream, (0..5).map(|n| OPENAI_CHAT.event(n, 20)))?;
            guest::end(&vm, stream)
        };
        for model in 0..count {
            stream(model)?;
        }
        points.push((count, per(&[stream(0)?], 1)));
    }
    Ok(Curve { varied: "models seen", counted: "fuel per end of a stream", points })
}

/// One stream among so many open ones.
fn open(module: &Module) -> Result<Curve> {
    let mut points = Vec::new();
    for count in [1, 10, 100, 1_000, 10_000] {
        let vm = module.configure("")?;
        let mut streams = Vec::new();
        for _ in 0..count {
            let mut stream = guest::open(&vm, OPENAI_CHAT, None, "llama")?;
            guest::send(&vm, &mut stream, (0..5).map(|n| OPENAI_CHAT.event(n, 20)))?;
            streams.push(stream);
        }
        let event = OPENAI_CHAT.event(7, 20);
        // All at one moment, and twice: a stream that was not heard of for a second also brings its filter
        // state up to date.
        let mut fuel = Vec::new();
        for _ in 0..2 {
            fuel.clear();
            for stream in &mut streams {
                let before = vm.fuel();
                stream.response_body(&event, End::More)?;
                fuel.push(vm.fuel() - before);
            }
            fuel.push(guest::catch_up(&vm)?);
        }
        points.push((count, per(&fuel, count)));
    }
    Ok(Curve { varied: "open streams", counted: "fuel per event", points })
}
