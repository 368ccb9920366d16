//! Huffman codes for literals (RFC 8878, section 4.2).

use super::bits::Backward;
use super::fse::Fse;

/// No code is longer, in bits.
const MAX_BITS: u32 = 11;

/// A table with a row for each number of `bits` bits that can come next.
pub(super) struct Huffman {
    rows: Vec<Row>,
    bits: u32,
}

#[derive(Clone, Copy, Default)]
struct Row {
    symbol: u8,
    bits: u8,
}

impl Huffman {
    /// Reads the description of a code, and gives what comes after it.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&header, rest) = bytes.split_first()?;
        let (weights, rest) = match header.checked_sub(127) {
            None => {
                let (coded, rest) = rest.split_at_checked(usize::from(header))?;
                (read_coded_weights(coded)?, rest)
            }
            Some(count) => {
                let count = usize::from(count);
                let (pairs, rest) = rest.split_at_checked(count.div_ceil(2))?;
                let halves = pairs.iter().flat_map(|&pair| [pair >> 4, pair & 0xf]);
                (halves.take(count).collect(), rest)
            }
        };
        Some((Self::new(weights)?, rest))
    }

    /// The code in which a symbol of weight `w` has `1 << w >> 1` of the rows. The weight of the last
    /// symbol is what is left of them.
    fn new(mut weights: Vec<u8>) -> Option<Self> {
        let rows_of = |weight: u8| 1_usize.checked_shl(u32::from(weight)).map(|rows| rows >> 1);
        let mut used = 0_usize;
        for &weight in &weights {
            used = used.checked_add(rows_of(weight)?)?;
        }
        let bits = used.checked_ilog2()?.checked_add(1).filter(|&bits| bits <= MAX_BITS)?;
        let size = 1_usize.checked_shl(bits)?;
        let left = size.checked_sub(used).filter(|left| left.is_power_of_two())?;
        weights.push(u8::try_from(left.ilog2()).ok()?.checked_add(1)?);

        let mut rows = Vec::with_capacity(size);
        for weight in 1..=u8::try_from(bits).ok()? {
            let row_bits = u8::try_from(bits).ok()?.checked_add(1)?.checked_sub(weight)?;
            for (symbol, _) in (0..=255).zip(&weights).filter(|&(_, &other)| other == weight) {
                let row = Row { symbol, bits: row_bits };
                rows.resize(rows.len().checked_add(rows_of(weight)?)?, row);
            }
        }
        (rows.len() == size).then_some(Self { rows, bits })
    }

    /// Decodes `count` symbols, which must be all there is in the stream.
    pub(super) fn decode(&self, stream: &[u8], count: usize, to: &mut Vec<u8>) -> Option<()> {
        let mut bits = Backward::new(stream)?;
        for _ in 0..count {
            let row = self.rows.get(usize::try_from(bits.peek(self.bits)).ok()?)?;
            bits.skip(u32::from(row.bits));
            to.push(row.symbol);
        }
        bits.is_spent().then_some(())
    }
}

/// Weights are coded by two states that take turns, until one of them finds no more bits.
fn read_coded_weights(bytes: &[u8]) -> Option<Vec<u8>> {
    const MAX_LOG: u32 = 6;
    const MAX_WEIGHTS: usize = 255;
    let (fse, stream) = Fse::read(bytes, MAX_LOG, usize::from(u8::MAX))?;
    let mut bits = Backward::new(stream)?;
    let (mut this, mut other) = (fse.start(&mut bits), fse.start(&mut bits));
    let mut weights = Vec::new();
    while !bits.is_overrun() {
        if weights.len() >= MAX_WEIGHTS {
            return None;
        }
        weights.push(this.symbol());
        this.step(&mut bits);
        std::mem::swap(&mut this, &mut other);
    }
    weights.push(this.symbol());
    Some(weights)
}
