//! Finite state entropy (RFC 8878, section 4.1): one symbol and one state after another.

use super::bits::{Backward, Forward};

/// A table with a row for each state.
#[derive(Clone, Default)]
pub(super) struct Fse {
    rows: Vec<Row>,
    /// Bits of a state.
    log: u32,
}

#[derive(Clone, Copy, Default)]
struct Row {
    symbol: u8,
    /// So many bits are added to `base` to make the next state.
    bits: u8,
    base: u16,
}

impl Fse {
    /// The table that has but one symbol.
    pub(super) fn constant(symbol: u8) -> Self {
        Self { rows: vec![Row { symbol, bits: 0, base: 0 }], log: 0 }
    }

    /// Reads the description of a table, and gives what comes after it.
    pub(super) fn read(bytes: &[u8], max_log: u32, max_symbol: usize) -> Option<(Self, &[u8])> {
        let mut bits = Forward::new(bytes);
        let log = bits.read(4).saturating_add(5);
        if log > max_log {
            return None;
        }
        let mut shares = Vec::with_capacity(max_symbol.saturating_add(1));
        // States to be given out.
        let mut left = 1_i32.checked_shl(log)?;
        while left > 0 {
            let share = read_share(&mut bits, u32::try_from(left).ok()?);
            left = left.checked_sub(share.abs())?;
            shares.push(i16::try_from(share).ok()?);
            if share == 0 {
                // Two bits say how many more have none; three of them are followed by two more bits.
                loop {
                    let more = bits.read(2);
                    shares.extend((0..more).map(|_| 0));
                    if more != 3 || shares.len() > max_symbol {
                        break;
                    }
                }
            }
            if shares.len() > max_symbol.saturating_add(1) {
                return None;
            }
        }
        Some((Self::new(&shares, log)?, bits.rest()?))
    }

    /// The table in which each symbol has its share of the `1 << log` states, all of which are shared
    /// out. A share of -1 is one state, from which any state follows.
    pub(super) fn new(shares: &[i16], log: u32) -> Option<Self> {
        let size = 1_usize.checked_shl(log)?;
        let mut rows = vec![Row::default(); size];
        let mut next = [0_u16; 256];
        let mut high = size;
        for (symbol, &share) in (0_u8..=255).zip(shares) {
            *next.get_mut(usize::from(symbol))? = share.unsigned_abs();
            if share < 0 {
                high = high.checked_sub(1)?;
                rows.get_mut(high)?.symbol = symbol;
            }
        }
        // The others are spread over what is left.
        let step = (size >> 1).saturating_add(size >> 3).saturating_add(3);
        let after = |at: usize| at.saturating_add(step) & size.saturating_sub(1);
        let mut at = 0;
        for (symbol, &share) in (0_u8..=255).zip(shares) {
            for _ in 0..share.max(0) {
                rows.get_mut(at)?.symbol = symbol;
                at = after(at);
                while at >= high {
                    at = after(at);
                }
            }
        }
        for row in &mut rows {
            let next = next.get_mut(usize::from(row.symbol))?;
            let state = *next;
            *next = next.checked_add(1)?;
            let bits = log.checked_sub(state.checked_ilog2()?)?;
            row.bits = u8::try_from(bits).ok()?;
            let base = usize::from(state).checked_shl(bits)?.checked_sub(size)?;
            row.base = u16::try_from(base).ok()?;
        }
        Some(Self { rows, log })
    }

    pub(super) fn start(&self, bits: &mut Backward<'_>) -> State<'_> {
        let index = usize::try_from(bits.read(self.log)).unwrap_or_default();
        State { fse: self, row: self.row(index) }
    }

    #[inline]
    fn row(&self, index: usize) -> Row {
        self.rows.get(index).copied().unwrap_or_default()
    }
}

/// The share of the next symbol, when `left` states are to be given out.
fn read_share(bits: &mut Forward<'_>, left: u32) -> i32 {
    // The share plus one is at most this, which is no power of two: low numbers take a bit less.
    let most = left.saturating_add(1);
    let width = most.checked_ilog2().unwrap_or_default().saturating_add(1);
    let half = 1_u32.checked_shl(width.saturating_sub(1)).unwrap_or_default();
    let short = half.saturating_mul(2).saturating_sub(1).saturating_sub(most);
    let value = bits.peek(width);
    let low = value & half.saturating_sub(1);
    let number = if low < short {
        bits.skip(width.saturating_sub(1));
        low
    } else {
        bits.skip(width);
        if value < half { value } else { value.saturating_sub(short) }
    };
    i32::try_from(number).unwrap_or_default().saturating_sub(1)
}

/// One walk through a table.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    fse: &'a Fse,
    row: Row,
}

impl State<'_> {
    #[inline]
    pub(super) fn symbol(&self) -> u8 {
        self.row.symbol
    }

    #[inline]
    pub(super) fn step(&mut self, bits: &mut Backward<'_>) {
        let more = usize::try_from(bits.read(u32::from(self.row.bits))).unwrap_or_default();
        self.row = self.fse.row(usize::from(self.row.base).saturating_add(more));
    }
}
