//! The filter in the harness, one piece of a body per callback.

use crate::streams::Dialect;
use anyhow::{Context as _, Result};
use gaugeway_harness::{End, Module, Stream, Vm};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The filter, compiled.
pub(crate) fn load(wasm: &Path) -> Result<Module> {
    let bytes = fs::read(wasm)
        .with_context(|| format!("cannot read {} (cargo xtask wasm builds it)", wasm.display()))?;
    Module::load(&bytes).with_context(|| format!("cannot load {}", wasm.display()))
}

/// Opens a stream up to and with the response headers.
pub(crate) fn open<'vm>(
    vm: &'vm Vm,
    dialect: Dialect,
    coding: Option<&str>,
    model: &str,
) -> Result<Stream<'vm>> {
    let mut stream = vm.stream();
    stream.set_property(&["xds", "cluster_name"], "llm");
    let head = [(":method", "POST"), (":path", dialect.path), ("content-type", "application/json")];
    stream.request_headers(&head, End::More)?;
    let body = format!(r#"{{"model":"{model}","stream":true,"messages":[]}}"#);
    stream.request_body(body.as_bytes(), End::Last)?;
    stream.set_property(&["upstream", "address"], "127.0.0.1:8000");
    let status = (":status", "200");
    match coding {
        Some(coding) => stream.response_headers(
            &[status, ("content-type", dialect.content_type), ("content-encoding", coding)],
            End::More,
        )?,
        None => {
            stream.response_headers(&[status, ("content-type", dialect.content_type)], End::More)?
        }
    };
    Ok(stream)
}

/// Sends pieces 10 ms apart and gives the fuel of each. What has waited is read with the last.
pub(crate) fn send<P: AsRef<[u8]>>(
    vm: &Vm,
    stream: &mut Stream<'_>,
    pieces: impl IntoIterator<Item = P>,
) -> Result<Vec<u64>> {
    let mut fuel = pieces
        .into_iter()
        .map(|piece| {
            let before = vm.fuel();
            stream.response_body(piece.as_ref(), End::More)?;
            vm.advance(Duration::from_millis(10));
            Ok(vm.fuel() - before)
        })
        .collect::<Result<Vec<_>>>()?;
    if let Some(last) = fuel.last_mut() {
        *last += catch_up(vm)?;
    }
    Ok(fuel)
}

/// Has the filter read what waits, as at the end of any stream; the fuel of that alone.
pub(crate) fn catch_up(vm: &Vm) -> Result<u64> {
    let end_of_another = || -> Result<u64> {
        let before = vm.fuel();
        vm.stream().finish()?;
        Ok(vm.fuel() - before)
    };
    let (with, without) = (end_of_another()?, end_of_another()?);
    Ok(with.saturating_sub(without))
}

/// Ends a stream; the fuel of that.
pub(crate) fn end(vm: &Vm, mut stream: Stream<'_>) -> Result<u64> {
    let before = vm.fuel();
    stream.response_body(b"", End::Last)?;
    stream.set_property(&["response", "flags"], 0_u64.to_le_bytes());
    stream.set_property(&["response", "code_details"], "via_upstream");
    let finished = stream.finish()?;
    anyhow::ensure!(finished.passthrough(), "the filter touched the stream");
    let degraded = vm.metrics().iter().any(|(name, _)| name.contains("degraded"));
    anyhow::ensure!(!degraded, "the filter did not read the stream");
    Ok(vm.fuel() - before)
}

/// Mean, rounded.
pub(crate) fn mean(values: &[u64]) -> u64 {
    let count = u64::try_from(values.len()).unwrap_or(u64::MAX).max(1);
    (values.iter().sum::<u64>() + count / 2) / count
}
