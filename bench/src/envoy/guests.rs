//! Two wasm modules to compare with, as small as they can be: what calling into a VM costs at least.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

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

/// The wasm modules that are compared, as files.
pub(crate) struct Modules {
    pub(crate) noop: PathBuf,
    pub(crate) read_only: PathBuf,
    pub(crate) read_only_sdk: PathBuf,
    pub(crate) gaugeway: PathBuf,
}

impl Modules {
    /// Writes the two to `dir`, and finds the others.
    pub(crate) fn write(dir: &Path, gaugeway: &Path, read_only_sdk: &Path) -> Result<Self> {
        let write = |name: &str, text: String| -> Result<PathBuf> {
            let bytes = wat::parse_str(text).with_context(|| format!("{name} is no module"))?;
            let file = dir.join(name);
            fs::write(&file, bytes)?;
            Ok(file)
        };
        let find = |file: &Path| {
            file.canonicalize().with_context(|| format!("cannot read {}", file.display()))
        };
        Ok(Self {
            noop: write("noop.wasm", format!("(module {EXPORTS}{NOOP})"))?,
            read_only: write("read.wasm", format!("(module {READ_IMPORTS}{EXPORTS}{READ})"))?,
            read_only_sdk: find(read_only_sdk)?,
            gaugeway: find(gaugeway)?,
        })
    }
}
