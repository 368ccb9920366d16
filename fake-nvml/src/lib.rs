//! A `libnvidia-ml.so` that follows a script; README.md explains the script.
//!
//! ```text
//! exports::*  one C function each ─► call::answer  rules, then the scripted value at this moment
//! script      the file             state            the clock, event sets, samples
//! ```

mod call;
mod exports;
mod script;
mod state;
