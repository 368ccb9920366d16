//! The harness against small guests, each of which exercises a rule, and against what Envoy itself
//! answered to the same guests.
#![cfg(test)]

mod cli;
mod envoy;
mod faults;
mod guests;
mod loading;
mod streams;
mod vm;
