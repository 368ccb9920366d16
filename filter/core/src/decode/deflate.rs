//! The `deflate` coding, which is a zlib stream (RFC 1950) by the book and bare deflate from some servers.

use super::inflate::{Inflate, Inflated};
use super::{DecodeError, Out};

/// Decodes a body of either form, told apart by its first two bytes.
#[derive(Default)]
pub(super) enum Deflate {
    #[default]
    Start,
    /// What may be the first byte of a zlib header.
    Header(u8),
    Body(Inflate),
    /// After the end come a checksum and, it may be, rubbish.
    Ended,
}

impl Deflate {
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        loop {
            match self {
                Self::Start => {
                    let Some((&first, rest)) = bytes.split_first() else { return Ok(()) };
                    bytes = rest;
                    *self = Self::Header(first);
                }
                Self::Header(first) => {
                    let Some(&second) = bytes.first() else { return Ok(()) };
                    let mut inflate = Inflate::new();
                    if is_zlib(*first, second) {
                        bytes = bytes.get(1..).unwrap_or_default();
                        if second & PRESET_DICTIONARY != 0 {
                            return Err(DecodeError::Corrupt);
                        }
                    } else if let Inflated::End(_) = inflate.push(&[*first], out)? {
                        return Err(DecodeError::Corrupt);
                    }
                    *self = Self::Body(inflate);
                }
                Self::Body(inflate) => {
                    if let Inflated::End(_) = inflate.push(bytes, out)? {
                        *self = Self::Ended;
                    }
                    return Ok(());
                }
                Self::Ended => return Ok(()),
            }
        }
    }
}

/// The flag of a stream that starts from a dictionary, which HTTP has no way to name.
const PRESET_DICTIONARY: u8 = 0x20;

/// Method 8, a window of at most 32 KiB, and a check that makes the pair a multiple of 31. Read as bare
/// deflate such a pair starts a stored block whose padding is not zero, which no encoder writes.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}
