//! Two wasm modules to compare with, as small as they can be: what calling into a VM costs at least.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;

/// Exports that a filter of streams has; each answers Continue.
const EXPORTS: &str = r#"
  (memory (export "memory") 32)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_delete") (param i32))"#;

const NOOP: &str = r#"
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.const 0))"#;

const READ_IMPORTS: &str = r#"
  (import "env" "proxy_get_buffer_bytes"
    (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))"#;

const READ: &str = r#"
  (func (export "proxy_on_response_body") (param $id i32) (param $size i32) (param $end i32) (result i32)
    (drop (call $get_buffer (i32.const 1) (i32.const 0) (local.get $size) (i32.const 16) (i32.const 20)))
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 32)))
    (i32.const 0))"#;

/// Writes `noop.wasm` and `read.wasm`.
pub(crate) fn write(dir: &Path) -> Result<()> {
    let modules = [
        ("noop.wasm", format!("(module {EXPORTS}{NOOP})")),
        ("read.wasm", format!("(module {READ_IMPORTS}{EXPORTS}{READ})")),
    ];
    for (name, text) in modules {
        let bytes = wat::parse_str(text).with_context(|| format!("{name} is no module"))?;
        fs::write(dir.join(name), bytes)?;
    }
    Ok(())
}
