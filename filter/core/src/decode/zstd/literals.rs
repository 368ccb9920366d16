//! The literals of a block (RFC 8878, section 3.1.1.3.1): bytes that no match copies.

use super::huffman::Huffman;
use super::{MAX_BLOCK, little_endian, to_usize};

/// The literals of one block, and the code that the next one may use again.
#[derive(Default)]
pub(super) struct Literals {
    bytes: Vec<u8>,
    huffman: Option<Huffman>,
}

impl Literals {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the code, at the start of a frame.
    pub(super) fn reset(&mut self) {
        self.huffman = None;
    }

    /// Reads the section at the start of a block, and gives what comes after it.
    pub(super) fn read<'a>(&mut self, block: &'a [u8]) -> Option<&'a [u8]> {
        self.bytes.clear();
        let &first = block.first()?;
        let format = first >> 2 & 3;
        match first & 3 {
            0 => {
                let (size, rest) = plain_size(format, block)?;
                let (stored, rest) = rest.split_at_checked(size)?;
                self.bytes.extend_from_slice(stored);
                Some(rest)
            }
            1 => {
                let (size, rest) = plain_size(format, block)?;
                let (&byte, rest) = rest.split_first()?;
                self.bytes.resize(size, byte);
                Some(rest)
            }
            kind => self.read_coded(kind == 2, format, block),
        }
    }

    /// Reads what is coded with a code of its own, or with that of the block before.
    fn read_coded<'a>(&mut self, own: bool, format: u8, block: &'a [u8]) -> Option<&'a [u8]> {
        let (length, bits) = match format {
            0 | 1 => (3, 10),
            2 => (4, 14),
            _ => (5, 18),
        };
        let (header, rest) = block.split_at_checked(length)?;
        let sizes = little_endian(header) >> 4;
        let mask = !(u64::MAX << (bits & 63));
        let size = to_usize(sizes & mask);
        let (mut streams, rest) = rest.split_at_checked(to_usize(sizes >> (bits & 63) & mask))?;
        if size > MAX_BLOCK {
            return None;
        }
        if own {
            let (huffman, after) = Huffman::read(streams)?;
            self.huffman = Some(huffman);
            streams = after;
        }
        let huffman = self.huffman.as_ref()?;
        if format == 0 {
            huffman.decode(streams, size, &mut self.bytes)?;
            return Some(rest);
        }
        // Four streams, each with a quarter, after the lengths of the first three.
        let (lengths, mut streams) = streams.split_at_checked(6)?;
        let quarter = size.div_ceil(4);
        for length in lengths.chunks(2) {
            let (stream, after) = streams.split_at_checked(to_usize(little_endian(length)))?;
            huffman.decode(stream, quarter, &mut self.bytes)?;
            streams = after;
        }
        huffman.decode(streams, size.checked_sub(self.bytes.len())?, &mut self.bytes)?;
        Some(rest)
    }
}

/// The size of literals that are not coded, and what comes after it.
fn plain_size(format: u8, block: &[u8]) -> Option<(usize, &[u8])> {
    let (length, flags) = match format {
        0 | 2 => (1, 3),
        1 => (2, 4),
        _ => (3, 4),
    };
    let (header, rest) = block.split_at_checked(length)?;
    let size = to_usize(little_endian(header) >> (flags & 7));
    (size <= MAX_BLOCK).then_some((size, rest))
}
