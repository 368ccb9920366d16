//! The header of a frame (RFC 8878, section 3.1.1.1).

use super::{little_endian, to_usize};
use crate::decode::{DecodeError, MAX_WINDOW};

/// The first byte of a frame header.
#[derive(Clone, Copy)]
pub(super) struct Descriptor(u8);

impl Descriptor {
    /// `None` if the reserved bit is set.
    pub(super) fn new(byte: u8) -> Option<Self> {
        (byte & 1 << 3 == 0).then_some(Self(byte))
    }

    pub(super) fn has_checksum(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// The frame is one segment: its size is its window.
    fn is_single_segment(self) -> bool {
        self.0 & 1 << 5 != 0
    }

    fn window_bytes(self) -> usize {
        usize::from(!self.is_single_segment())
    }

    fn dictionary_bytes(self) -> usize {
        match self.0 & 3 {
            3 => 4,
            bytes => usize::from(bytes),
        }
    }

    fn size_bytes(self) -> usize {
        match self.0 >> 6 {
            0 => usize::from(self.is_single_segment()),
            1 => 2,
            2 => 4,
            _ => 8,
        }
    }

    /// The length of the rest of the header, in bytes.
    pub(super) fn rest(self) -> usize {
        self.window_bytes()
            .saturating_add(self.dictionary_bytes())
            .saturating_add(self.size_bytes())
    }

    /// The window that the rest of the header announces, in bytes.
    pub(super) fn window(self, rest: &[u8]) -> Result<usize, DecodeError> {
        let (window, rest) =
            rest.split_at_checked(self.window_bytes()).ok_or(DecodeError::Corrupt)?;
        let (dictionary, size) =
            rest.split_at_checked(self.dictionary_bytes()).ok_or(DecodeError::Corrupt)?;
        if little_endian(dictionary) != 0 {
            return Err(DecodeError::Corrupt);
        }
        let bytes = match window.first() {
            Some(&window) => {
                let base = 1_u64 << 10 << (window >> 3);
                base.saturating_add((base >> 3).saturating_mul(u64::from(window & 7)))
            }
            // Two bytes are offset so that they say what one cannot.
            None if size.len() == 2 => little_endian(size).saturating_add(256),
            None => little_endian(size),
        };
        if bytes > MAX_WINDOW as u64 {
            return Err(DecodeError::TooLarge);
        }
        Ok(to_usize(bytes))
    }
}
