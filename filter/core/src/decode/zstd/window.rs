//! What was decoded last, for matches to copy from.

/// A ring of the last bytes, which grows with them up to its limit.
#[derive(Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    /// The oldest byte, once the ring is full; 0 before.
    start: usize,
    limit: usize,
}

impl Window {
    /// Forgets everything; from now on, `limit` bytes are kept.
    pub(super) fn reset(&mut self, limit: usize) {
        self.bytes.clear();
        self.start = 0;
        self.limit = limit;
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len());
        let (new, mut over) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.grow(new);
        while !over.is_empty() {
            let Some(oldest) = self.bytes.get_mut(self.start..) else { return };
            let size = oldest.len().min(over.len());
            let (Some(oldest), Some((piece, rest))) =
                (oldest.get_mut(..size), over.split_at_checked(size))
            else {
                return;
            };
            if size == 0 {
                return;
            }
            oldest.copy_from_slice(piece);
            over = rest;
            self.start = self.start.saturating_add(size);
            if self.start == self.bytes.len() {
                self.start = 0;
            }
        }
    }

    /// Appends without ever reserving more than the limit.
    fn grow(&mut self, bytes: &[u8]) {
        let needed = self.bytes.len().saturating_add(bytes.len());
        if needed > self.bytes.capacity() {
            let target =
                self.bytes.capacity().saturating_mul(2).clamp(needed, self.limit.max(needed));
            self.bytes.reserve_exact(target.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends the `size` bytes that start `back` bytes before the end. `None` if they are not all there.
    pub(super) fn copy(&self, back: usize, size: usize, to: &mut Vec<u8>) -> Option<()> {
        let older = self.bytes.get(self.start..)?;
        let newer = self.bytes.get(..self.start)?;
        let from = self.len().checked_sub(back)?;
        let to_end = older.len().saturating_sub(from).min(size);
        if to_end > 0 {
            to.extend_from_slice(older.get(from..from.saturating_add(to_end))?);
        }
        let rest = size.saturating_sub(to_end);
        let from = from.saturating_sub(older.len());
        to.extend_from_slice(newer.get(from..from.saturating_add(rest))?);
        Some(())
    }
}
