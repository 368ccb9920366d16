//! The `gzip` coding (RFC 1952): any number of members, each a header, a deflate stream and a trailer.

use super::inflate::{Inflate, Inflated};
use super::{DecodeError, Out};

/// The start of every member: the magic number and the only method there is.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// The length of the header up to its optional fields.
const FIXED_HEADER: u8 = 10;

/// The checksum and the size.
const TRAILER: u8 = 8;

const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Decodes a body.
#[derive(Default)]
pub(super) struct Gzip {
    part: Part,
    /// The flags of the header that is being read, less those whose fields have been.
    flags: u8,
    /// One member has been decoded: what comes next need not be another.
    ended_once: bool,
}

enum Part {
    /// So much of the fixed header has been read.
    Header(u8),
    /// The low byte of the extra field's length comes next.
    ExtraLow,
    ExtraHigh(u8),
    /// So many bytes are to be passed over before the next optional field.
    Skip(u16),
    /// A text goes on until its zero byte.
    Text,
    Body(Inflate),
    /// So much of the trailer has been read.
    Trailer(u8),
    /// After the last member comes rubbish, which clients ignore as well.
    Rubbish,
}

impl Default for Part {
    fn default() -> Self {
        Self::Header(0)
    }
}

impl Gzip {
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        while !bytes.is_empty() {
            if let Part::Body(inflate) = &mut self.part {
                match inflate.push(bytes, out)? {
                    Inflated::More => return Ok(()),
                    Inflated::End(rest) => {
                        bytes = rest;
                        self.part = Part::Trailer(0);
                        self.ended_once = true;
                    }
                }
            } else if let Some((&byte, rest)) = bytes.split_first() {
                bytes = rest;
                self.part = self.after(byte)?;
            }
        }
        Ok(())
    }

    /// The part that follows one more byte outside the deflate stream.
    fn after(&mut self, byte: u8) -> Result<Part, DecodeError> {
        Ok(match self.part {
            Part::Header(at) => {
                let wrong = MAGIC.get(usize::from(at)).is_some_and(|&magic| magic != byte);
                if wrong && self.ended_once {
                    return Ok(Part::Rubbish);
                }
                if wrong {
                    return Err(DecodeError::Corrupt);
                }
                if usize::from(at) == MAGIC.len() {
                    if byte & RESERVED != 0 {
                        return Err(DecodeError::Corrupt);
                    }
                    self.flags = byte;
                }
                match at.saturating_add(1) {
                    FIXED_HEADER => self.next_field(),
                    at => Part::Header(at),
                }
            }
            Part::ExtraLow => Part::ExtraHigh(byte),
            Part::ExtraHigh(low) => self.skip(u16::from_le_bytes([low, byte])),
            Part::Skip(left) => self.skip(left.saturating_sub(1)),
            Part::Text if byte == 0 => self.next_field(),
            Part::Text => Part::Text,
            Part::Trailer(at) => match at.saturating_add(1) {
                TRAILER => Part::Header(0),
                at => Part::Trailer(at),
            },
            Part::Body(_) | Part::Rubbish => Part::Rubbish,
        })
    }

    fn skip(&mut self, left: u16) -> Part {
        if left == 0 { self.next_field() } else { Part::Skip(left) }
    }

    /// The next optional field of the header in their order, or the deflate stream.
    fn next_field(&mut self) -> Part {
        for (flag, part) in [
            (EXTRA, Part::ExtraLow),
            (NAME, Part::Text),
            (COMMENT, Part::Text),
            (HEADER_CRC, Part::Skip(2)),
        ] {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                return part;
            }
        }
        Part::Body(Inflate::new())
    }
}
