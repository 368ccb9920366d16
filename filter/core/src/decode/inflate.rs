//! Deflate (RFC 1951): the format inside `gzip` and `deflate`.

use super::{DecodeError, Out};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_IGNORE_ADLER32, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// How far back a match can reach.
const MAX_WINDOW: usize = 32 << 10;

/// An answer of a few hundred tokens fits.
const FIRST_WINDOW: usize = 4 << 10;

/// Decodes one deflate stream.
pub(super) struct Inflate {
    state: Box<DecompressorOxide>,
    /// What was decoded last. It doubles from [`FIRST_WINDOW`] to [`MAX_WINDOW`] and is a ring from then on.
    window: Vec<u8>,
    /// Where in the window the next byte goes.
    at: usize,
    ring: bool,
}

/// What became of the input.
pub(super) enum Inflated<'a> {
    /// All of it was read, and the stream goes on.
    More,
    /// The stream has ended, and these bytes come after it.
    End(&'a [u8]),
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self { state: Box::default(), window: vec![0; FIRST_WINDOW], at: 0, ring: false }
    }

    pub(super) fn push<'a>(
        &mut self,
        mut bytes: &'a [u8],
        out: &mut Out<'_>,
    ) -> Result<Inflated<'a>, DecodeError> {
        loop {
            let mut flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_IGNORE_ADLER32;
            if !self.ring {
                flags |= TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
            }
            let (status, read, written) =
                decompress(&mut self.state, bytes, &mut self.window, self.at, flags);
            bytes = bytes.get(read..).ok_or(DecodeError::Corrupt)?;
            let end = self.at.saturating_add(written);
            out.put(self.window.get(self.at..end).ok_or(DecodeError::Corrupt)?)?;
            self.at = end;
            let full = self.at == self.window.len();
            if full {
                self.make_room();
            }
            if status == TINFLStatus::NeedsMoreInput {
                return Ok(Inflated::More);
            }
            if status == TINFLStatus::Done {
                return Ok(Inflated::End(bytes));
            }
            // All else is an error, and so is to stop for room that is there: this would never end.
            if status != TINFLStatus::HasMoreOutput || !full {
                return Err(DecodeError::Corrupt);
            }
        }
    }

    fn make_room(&mut self) {
        if self.window.len() < MAX_WINDOW {
            let size = self.window.len().saturating_mul(2);
            self.window.reserve_exact(self.window.len());
            self.window.resize(size, 0);
        } else {
            self.ring = true;
            self.at = 0;
        }
    }
}
