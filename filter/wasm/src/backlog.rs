//! Pieces of running answers that wait to be read.
//!
//! Between two pieces Envoy runs so much else that the filter's code comes from far each time. Reading 32 of
//! them at once costs a fraction of reading each when it comes (bench/README.md), and as the moment is noted
//! then, nothing that is measured differs.

use crate::sys::{self, Buffer};
use gaugeway_core::HostTime;
use std::time::Duration;

/// As many pieces wait at most: the worker is not held up for longer than some tens of microseconds.
const MAX_PIECES: usize = 32;
/// Longer pieces do not wait.
const MAX_PIECE: usize = 4 << 10;
/// Shorter ones do not either: an access log that is written right after `[DONE]` shall say how it went.
const MIN_PIECE: usize = 64;
/// As many bytes wait at most.
const MAX_BYTES: usize = 16 << 10;
/// A piece that comes so long after the oldest lets none wait.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Pieces in the order in which they came, of all streams.
pub(crate) struct Backlog {
    pieces: [Piece; MAX_PIECES],
    waiting: usize,
    bytes: Vec<u8>,
    /// No piece waits for longer.
    until: Option<HostTime>,
}

#[derive(Clone, Copy)]
struct Piece {
    stream: u32,
    /// Where its bytes end; they begin where those of the piece before end.
    end: usize,
    at: Option<HostTime>,
}

impl Backlog {
    pub(crate) const EMPTY: Self = Self {
        pieces: [Piece { stream: 0, end: 0, at: None }; MAX_PIECES],
        waiting: 0,
        bytes: Vec::new(),
        until: None,
    };

    /// Whether a piece of `size` bytes may wait.
    pub(crate) fn takes(size: usize) -> bool {
        (MIN_PIECE..=MAX_PIECE).contains(&size)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Keeps the piece of a response that is in the host's buffer now. Whether it is time to read.
    pub(crate) fn push(&mut self, stream: u32, at: Option<HostTime>, size: usize) -> bool {
        if self.waiting == 0 {
            // Without room the host's call fails, and the piece is empty.
            let _ = self.bytes.try_reserve_exact(MAX_BYTES);
            self.until = at.map(|at| at.later(MAX_WAIT));
        }
        sys::append(Buffer::ResponseBody, size, &mut self.bytes);
        if let Some(piece) = self.pieces.get_mut(self.waiting) {
            *piece = Piece { stream, end: self.bytes.len(), at };
            self.waiting = self.waiting.saturating_add(1);
        }
        self.waiting >= MAX_PIECES
            || self.bytes.len() > MAX_BYTES - MAX_PIECE
            || at.zip(self.until).is_none_or(|(at, until)| at >= until)
    }

    /// Hands each piece over. None is left.
    pub(crate) fn read(&mut self, mut read: impl FnMut(u32, Option<HostTime>, &[u8])) {
        let mut start = 0;
        for Piece { stream, end, at } in self.pieces.iter().take(self.waiting) {
            read(*stream, *at, self.bytes.get(start..*end).unwrap_or_default());
            start = *end;
        }
        self.waiting = 0;
        self.bytes.clear();
    }
}
