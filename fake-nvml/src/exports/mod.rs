//! The C functions.

mod device;
mod events;
mod getters;
mod gpm;
mod mig;
mod processes;
mod system;

use std::ffi::{c_char, c_uint};

use nvml_wrapper_sys::bindings::nvmlReturn_t;

use crate::call::{INSUFFICIENT_SIZE, INVALID_ARGUMENT, NOT_SUPPORTED};
use crate::script::Value;

/// Writes to an out parameter.
///
/// # Safety
/// `out` is null or leads to room for a `T`.
unsafe fn put<T>(out: *mut T, value: T) -> Result<(), nvmlReturn_t> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: it is not null, so by contract there is room for it.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a C string.
///
/// # Safety
/// `out` is null or leads to `length` bytes.
unsafe fn put_text(out: *mut c_char, length: c_uint, text: &str) -> Result<(), nvmlReturn_t> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if text.len() >= length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    let bytes = text.as_bytes();
    // SAFETY: by contract there are `length` bytes, which is more than the text has, and the text is not
    // among them.
    unsafe { out.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: as above, and one byte is left.
    let end = unsafe { out.add(bytes.len()) };
    // SAFETY: as above.
    unsafe { end.write(0) };
    Ok(())
}

/// A value that the script may lack.
fn scripted(value: Option<&Value>, second: f64) -> Result<u64, nvmlReturn_t> {
    value.map(|value| value.count(second)).ok_or(NOT_SUPPORTED)
}

fn narrow(count: u64) -> c_uint {
    c_uint::try_from(count).unwrap_or(c_uint::MAX)
}
