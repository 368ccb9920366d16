//! VM memory per open stream.

use crate::guest;
use crate::results;
use crate::streams::OPENAI_CHAT;
use anyhow::Result;
use serde::Serialize;
use std::path::Path;

/// How many streams were open, and what the VM held.
#[derive(Debug, Serialize)]
struct Row {
    open_streams: usize,
    vm_bytes: usize,
    /// Growth since no stream was open, per stream. A VM grows by pages of 64 KiB, so that it says little
    /// of a few streams.
    bytes_per_stream: usize,
}

/// Measures, prints and writes.
pub(crate) fn run(wasm: &Path, dir: &Path) -> Result<()> {
    let module = guest::load(wasm)?;
    let mut rows = Vec::new();
    for open_streams in [10, 1_000, 10_000] {
        let vm = module.configure("")?;
        let idle = vm.memory_bytes();
        let mut streams = Vec::new();
        for _ in 0..open_streams {
            let mut stream = guest::open(&vm, OPENAI_CHAT, None, "llama")?;
            guest::send(&vm, &mut stream, (0..5).map(|number| OPENAI_CHAT.event(number, 20)))?;
            streams.push(stream);
        }
        let vm_bytes = vm.memory_bytes();
        rows.push(Row {
            open_streams,
            vm_bytes,
            bytes_per_stream: (vm_bytes - idle) / open_streams,
        });
    }
    println!("{:>12} {:>12} {:>16}", "open streams", "VM bytes", "bytes per stream");
    for row in &rows {
        println!("{:>12} {:>12} {:>16}", row.open_streams, row.vm_bytes, row.bytes_per_stream);
    }
    results::write(dir, "memory", rows)
}
