//! The pure core of the Gaugeway filter: bytes and times in, one record per stream out.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects, clippy::wildcard_enum_match_arm)]

mod outcome;
pub mod stat;

pub use outcome::{ErrorClass, FinishReason, Mode, Outcome, Phase, Source};
