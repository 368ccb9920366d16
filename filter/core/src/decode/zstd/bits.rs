//! Bits, from either end.

/// Reads from the front, the low bits of a byte first: the descriptions of tables.
pub(super) struct Forward<'a> {
    bytes: &'a [u8],
    /// Bits that have been read.
    at: usize,
}

impl<'a> Forward<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 16, without reading them. There are zeros after the end.
    pub(super) fn peek(&self, count: u32) -> u32 {
        let next = |ahead: usize| {
            let index = (self.at >> 3).saturating_add(ahead);
            u32::from(self.bytes.get(index).copied().unwrap_or_default()) << (ahead << 3)
        };
        low_u32((next(0) | next(1) | next(2)) >> (self.at & 7), count)
    }

    pub(super) fn skip(&mut self, count: u32) {
        self.at = self.at.saturating_add(count as usize);
    }

    pub(super) fn read(&mut self, count: u32) -> u32 {
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// What comes after the byte that was last read from. `None` if more was read than there is.
    pub(super) fn rest(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.at.div_ceil(8)..)
    }
}

/// Reads from the back, the high bits of a byte first: everything that is entropy coded.
pub(super) struct Backward<'a> {
    bytes: &'a [u8],
    /// Bits that have not been read.
    left: usize,
    /// More was read than there was.
    overrun: bool,
}

impl<'a> Backward<'a> {
    /// `None` unless the last byte has the bit that marks where the stream starts.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let padding = bytes.last().filter(|&&last| last != 0)?.leading_zeros().saturating_add(1);
        let left = bytes.len().checked_mul(8)?.checked_sub(padding as usize)?;
        Some(Self { bytes, left, overrun: false })
    }

    /// The next `count` bits, at most 56, without reading them. There are zeros after the end.
    #[inline]
    pub(super) fn peek(&self, count: u32) -> u64 {
        let wanted = count as usize;
        let Some(from) = self.left.checked_sub(wanted) else {
            let missing = wanted.saturating_sub(self.left);
            return low(self.load(0), self.left) << (missing & 63);
        };
        low(self.load(from >> 3) >> (from & 7), wanted)
    }

    /// The eight bytes from `index` on, as a number.
    #[inline]
    fn load(&self, index: usize) -> u64 {
        let bytes = self.bytes.get(index..).unwrap_or_default();
        bytes
            .first_chunk()
            .map_or_else(|| super::little_endian(bytes), |&bytes| u64::from_le_bytes(bytes))
    }

    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        match self.left.checked_sub(count as usize) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                self.overrun = true;
            }
        }
    }

    #[inline]
    pub(super) fn read(&mut self, count: u32) -> u64 {
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// More was read than there was.
    pub(super) fn is_overrun(&self) -> bool {
        self.overrun
    }

    /// Everything was read, and no more than that.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0 && !self.overrun
    }
}

/// The low `count` bits, of fewer than 64.
fn low(bits: u64, count: usize) -> u64 {
    bits & !(u64::MAX << (count & 63))
}

/// The low `count` bits, of fewer than 32.
fn low_u32(bits: u32, count: u32) -> u32 {
    bits & !(u32::MAX << (count & 31))
}
