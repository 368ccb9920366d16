//! The host's functions as they are: raw imports that answer with a number.
//!
//! No status is an error here: wrappers that panic on one they do not expect (proxy-wasm-rust-sdk,
//! `hostcalls.rs`) cut all streams on the worker. Names and signatures are those of the proxy-wasm
//! ABI 0.2.1 and of WASI preview 1.
#![expect(unsafe_code, reason = "the ABI is a C interface")]

use std::cell::Cell;
use std::mem::{forget, replace, take};
use std::ops::Deref;
use std::ptr::null_mut;

/// The status of a call that worked.
const OK: u32 = 0;

mod import {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) safe fn proxy_record_metric(id: u32, value: u64) -> u32;
        pub(super) safe fn proxy_increment_metric(id: u32, by: i64) -> u32;
        pub(super) safe fn proxy_set_effective_context(id: u32) -> u32;
        pub(super) fn proxy_log(level: u32, text: *const u8, len: usize) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max: usize,
            data: *mut *mut u8,
            len: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_buffer_bytes(
            buffer: u32,
            start: usize,
            max: usize,
            data: *const u8,
            len: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(
            map: u32,
            key: *const u8,
            key_len: usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_value(
            map: u32,
            key: *const u8,
            key_len: usize,
            data: *mut *mut u8,
            len: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_property(
            path: *const u8,
            path_len: usize,
            data: *mut *mut u8,
            len: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_len: usize,
            data: *const u8,
            len: usize,
        ) -> u32;
        pub(super) fn proxy_define_metric(
            kind: u32,
            name: *const u8,
            name_len: usize,
            id: *mut u32,
        ) -> u32;
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    }
}

/// Which body a buffer call reads (`BufferType`).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    PluginConfiguration = 7,
}

/// Which headers a map call reads (`MapType`).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Map {
    RequestHeaders = 0,
    ResponseHeaders = 2,
}

/// Room for more than this goes back to the allocator once it was used.
const MAX_SPARE: usize = 16 << 10;

thread_local! {
    /// Where the bytes go that the next call hands over: behind those that are there. It is set and taken for
    /// each event, so what it replaces, always nothing, is forgotten and not freed.
    static TARGET: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Room that is lent. One is enough for all calls of all streams.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The host asks for room before it hands bytes over. Null when there is none left, which makes the call
/// fail and nothing else (`copyToPointerSize`, proxy-wasm-cpp-host `exports.cc`).
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut target = TARGET.take();
    let room = target.try_reserve_exact(size);
    let data = room.map_or(null_mut(), |()| target.spare_capacity_mut().as_mut_ptr().cast());
    forget(TARGET.replace(target));
    data
}

/// Lets a call append what it hands over to `target`. Whether it did.
fn fill(target: &mut Vec<u8>, call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> bool {
    let (mut data, mut len) = (null_mut(), 0);
    forget(TARGET.replace(take(target)));
    let status = call(&raw mut data, &raw mut len);
    forget(replace(target, TARGET.take()));
    let room = target.spare_capacity_mut();
    if status != OK || room.as_mut_ptr().cast() != data || len > room.len() {
        return false;
    }
    // SAFETY: the host has written these `len` bytes into the room that it had asked for.
    unsafe { target.set_len(target.len() + len) };
    true
}

/// Bytes that a call has handed over. Their room is lent: what is kept for longer is to be copied.
#[derive(Debug, Default)]
pub(crate) struct Bytes(Vec<u8>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if (1..=MAX_SPARE).contains(&self.0.capacity()) {
            self.0.clear();
            SPARE.set(take(&mut self.0));
        }
    }
}

/// Bytes that a call hands over; `None` when it fails or has none.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Bytes> {
    let mut bytes = Bytes(SPARE.take());
    fill(&mut bytes.0, call).then_some(bytes)
}

/// A number that a call hands over; `None` when it fails.
fn number<T: Default>(call: impl FnOnce(*mut T) -> u32) -> Option<T> {
    let mut value = T::default();
    (call(&raw mut value) == OK).then_some(value)
}

/// Up to `max` bytes from the start of a buffer.
pub(crate) fn buffer(buffer: Buffer, max: usize) -> Option<Bytes> {
    // SAFETY: both pointers are valid for writes during the call.
    bytes(|data, len| unsafe { import::proxy_get_buffer_bytes(buffer as u32, 0, max, data, len) })
}

/// Appends up to `max` bytes from the start of a buffer to `target`; nothing when the host has none.
pub(crate) fn append(buffer: Buffer, max: usize, target: &mut Vec<u8>) {
    // SAFETY: both pointers are valid for writes during the call.
    fill(target, |data, len| unsafe {
        import::proxy_get_buffer_bytes(buffer as u32, 0, max, data, len)
    });
}

/// Puts `data` in the place of the first `len` bytes of a buffer, which are all that it holds.
pub(crate) fn replace_buffer(buffer: Buffer, len: usize, data: &[u8]) {
    // SAFETY: `data` is readable for its length.
    let _status =
        unsafe { import::proxy_set_buffer_bytes(buffer as u32, 0, len, data.as_ptr(), data.len()) };
}

/// Removes a header.
pub(crate) fn remove_header(map: Map, name: &str) {
    // SAFETY: `name` is readable for its length.
    let _status =
        unsafe { import::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
}

/// The value of a header. The maps can be read in their own callback only.
#[inline(never)]
pub(crate) fn header(map: Map, name: &str) -> Option<Bytes> {
    let (name, name_len) = (name.as_ptr(), name.len());
    // SAFETY: `name` is readable for `name_len` bytes, the others are valid for writes.
    bytes(|data, len| unsafe {
        import::proxy_get_header_map_value(map as u32, name, name_len, data, len)
    })
}

/// The raw value of a property; path elements are joined with NUL.
pub(crate) fn property(path: &str) -> Option<Bytes> {
    let (path, path_len) = (path.as_ptr(), path.len());
    // SAFETY: `path` is readable for `path_len` bytes, the others are valid for writes.
    bytes(|data, len| unsafe { import::proxy_get_property(path, path_len, data, len) })
}

/// Properties that are read or set from now on are those of this stream, until the callback ends. `false`:
/// the host does not know it any more.
pub(crate) fn speak_for(stream: u32) -> bool {
    import::proxy_set_effective_context(stream) == OK
}

/// Sets a property. One that cannot be set stays unset.
pub(crate) fn set_property(path: &str, value: &str) {
    // SAFETY: both are readable for the lengths given.
    let _status = unsafe {
        import::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len())
    };
}

/// Writes a line to Envoy's log, at its level `warn` (3).
pub(crate) fn warn(text: &str) {
    // SAFETY: the text is readable for the length given.
    let _status = unsafe { import::proxy_log(3, text.as_ptr(), text.len()) };
}

/// The WASI monotonic clock in nanoseconds. Older hosts have none.
pub(crate) fn monotonic_time() -> Option<u64> {
    // SAFETY: the pointer is valid for writes during the call. 1 is CLOCK_MONOTONIC.
    number(|time| unsafe { import::clock_time_get(1, 1, time) }).filter(|time| *time > 0)
}

/// The host's wall clock in nanoseconds.
pub(crate) fn wall_time() -> Option<u64> {
    // SAFETY: the pointer is valid for writes during the call.
    number(|time| unsafe { import::proxy_get_current_time_nanoseconds(time) })
        .filter(|time| *time > 0)
}

/// Defines a stat; `kind` is 0 for a counter, 1 for a gauge, 2 for a histogram (`MetricType`). No stat has
/// the id 0 (proxy-wasm-cpp-host counts from 4), so a host that says so has defined nothing.
pub(crate) fn define_metric(kind: u32, name: &str) -> Option<u32> {
    // SAFETY: the name is readable for the length given, the pointer is valid for writes.
    number(|id| unsafe { import::proxy_define_metric(kind, name.as_ptr(), name.len(), id) })
        .filter(|id| *id > 0)
}

/// Adds to a counter, sets a gauge, records into a histogram. What fails is not recorded.
pub(crate) fn record_metric(id: u32, value: u64) {
    let _status = import::proxy_record_metric(id, value);
}

/// Moves a gauge. What fails is not recorded.
pub(crate) fn increment_metric(id: u32, by: i64) {
    let _status = import::proxy_increment_metric(id, by);
}
