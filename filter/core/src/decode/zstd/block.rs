//! One block: literals and matches, put together.

use super::DecodeError;
use super::literals::Literals;
use super::sequences::{Sequence, Sequences};
use super::window::Window;

/// The block that was decoded last, and what the next one may use again.
#[derive(Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    literals: Literals,
    sequences: Sequences,
}

impl Block {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets what the last frame has left.
    pub(super) fn reset(&mut self) {
        self.literals.reset();
        self.sequences = Sequences::default();
    }

    /// Decodes a block that is one byte, `size` times.
    pub(super) fn repeat(&mut self, byte: u8, size: usize) {
        self.bytes.clear();
        self.bytes.resize(size, byte);
    }

    /// Decodes a compressed block to at most `max` bytes.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        window: &Window,
        max: usize,
    ) -> Result<(), DecodeError> {
        self.bytes.clear();
        self.join(block, window, max).ok_or(DecodeError::Corrupt)
    }

    fn join(&mut self, block: &[u8], window: &Window, max: usize) -> Option<()> {
        let section = self.literals.read(block)?;
        let mut literals = self.literals.bytes();
        let bytes = &mut self.bytes;
        self.sequences.read(section, |sequence| {
            let (new, rest) = literals.split_at_checked(sequence.literals)?;
            literals = rest;
            bytes.extend_from_slice(new);
            if sequence.length > max.checked_sub(bytes.len())? {
                return None;
            }
            copy_match(sequence, window, bytes)
        })?;
        bytes.extend_from_slice(literals);
        (bytes.len() <= max).then_some(())
    }
}

/// Copies from the block, and from the window before it.
fn copy_match(sequence: &Sequence, window: &Window, bytes: &mut Vec<u8>) -> Option<()> {
    let mut left = sequence.length;
    if let Some(back) = sequence.offset.checked_sub(bytes.len()).filter(|&back| back > 0) {
        let size = back.min(left);
        window.copy(back, size, bytes)?;
        left = left.saturating_sub(size);
    }
    // A match may overlap what it makes: then each round can copy more.
    let start = bytes.len().saturating_sub(sequence.offset);
    while left > 0 {
        let size = left.min(bytes.len().checked_sub(start)?);
        bytes.extend_from_within(start..start.checked_add(size)?);
        left = left.saturating_sub(size);
    }
    Some(())
}
