//! The `zstd` coding (RFC 8878): any number of frames, each a header, blocks and perhaps a checksum.
//!
//! The decoder is our own because a frame is followed while it grows. The one that is well kept,
//! `ruzstd`, holds the last window's worth of output back until the frame ends, and a whole answer
//! is less than that: its first token would seem to come with its last.
//!
//! ```text
//! bytes ─► Zstd (frames, blocks) ─► Block::decode ─► literals ─► huffman ─┐
//!                                              └───► sequences ─► fse ────┴─► copies from block and Window
//! ```

mod bits;
mod block;
mod fse;
mod header;
mod huffman;
mod literals;
mod sequences;
mod window;

use self::block::Block;
use self::header::Descriptor;
use self::window::Window;
use super::{DecodeError, Out};
use std::mem;

const MAGIC: u64 = 0xfd2f_b528;

/// Frames to be passed over have this magic number, less its last four bits.
const SKIPPABLE: u64 = 0x184d_2a50;

/// No block decodes to more, and none takes more than this to say it, in bytes.
const MAX_BLOCK: usize = 128 << 10;

/// Decodes a body.
#[derive(Default)]
pub(super) struct Zstd {
    next: Next,
    /// The start of the part that comes next, when the input ended within it.
    carry: Vec<u8>,
    frame: Frame,
    /// A frame has begun: what comes after one need not be another.
    begun: bool,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Next {
    /// A part that is only of use in one piece.
    Part(Part),
    /// So many bytes of a stored block, which are handed out as they come.
    Stored(usize),
    /// So many bytes that say nothing.
    Skip(usize),
    /// After the last frame comes rubbish, which clients ignore as well.
    Rubbish,
}

#[derive(Clone, Copy)]
enum Part {
    Magic,
    /// The first byte of the frame header, which says how long the rest is.
    Descriptor,
    FrameHeader(Descriptor),
    BlockHeader,
    /// One byte that stands for so many.
    Repeated(usize),
    /// A block in so many bytes.
    Compressed(usize),
    SkipSize,
}

/// What a frame keeps between its blocks.
#[derive(Default)]
struct Frame {
    window: Window,
    block: Block,
    /// No block may be larger, in bytes.
    max_block: usize,
    checksum: bool,
    /// The block that is being read is the last one.
    last_block: bool,
}

impl Default for Next {
    fn default() -> Self {
        Self::Part(Part::Magic)
    }
}

impl Zstd {
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        while !bytes.is_empty() {
            self.next = match self.next {
                Next::Part(part) => {
                    let piece = take(&mut bytes, part.size().saturating_sub(self.carry.len()));
                    self.read(part, piece, out)?
                }
                Next::Stored(left) => {
                    let piece = take(&mut bytes, left);
                    out.put(piece)?;
                    self.frame.window.push(piece);
                    match left.saturating_sub(piece.len()) {
                        0 => self.frame.after_block(),
                        left => Next::Stored(left),
                    }
                }
                Next::Skip(left) => {
                    let piece = take(&mut bytes, left);
                    skip(left.saturating_sub(piece.len()))
                }
                Next::Rubbish => return Ok(()),
            };
        }
        Ok(())
    }

    /// Reads a part if this piece makes it whole.
    fn read(&mut self, part: Part, piece: &[u8], out: &mut Out<'_>) -> Result<Next, DecodeError> {
        if piece.len() == part.size() {
            return self.read_whole(part, piece, out);
        }
        self.carry.extend_from_slice(piece);
        if self.carry.len() < part.size() {
            return Ok(Next::Part(part));
        }
        let mut carry = mem::take(&mut self.carry);
        let next = self.read_whole(part, &carry, out)?;
        carry.clear();
        self.carry = carry;
        Ok(next)
    }

    fn read_whole(
        &mut self,
        part: Part,
        bytes: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Next, DecodeError> {
        let first = bytes.first().copied().unwrap_or_default();
        match part {
            Part::Magic => self.after_magic(little_endian(bytes)),
            Part::Descriptor => {
                let descriptor = Descriptor::new(first).ok_or(DecodeError::Corrupt)?;
                Ok(Next::Part(Part::FrameHeader(descriptor)))
            }
            Part::FrameHeader(descriptor) => {
                self.frame.begin(descriptor, descriptor.window(bytes)?);
                Ok(Next::Part(Part::BlockHeader))
            }
            Part::BlockHeader => self.frame.begin_block(little_endian(bytes)),
            Part::Repeated(size) => {
                self.frame.block.repeat(first, size);
                self.frame.put_block(out)
            }
            Part::Compressed(_) => {
                let frame = &mut self.frame;
                frame.block.decode(bytes, &frame.window, frame.max_block)?;
                frame.put_block(out)
            }
            Part::SkipSize => Ok(skip(to_usize(little_endian(bytes)))),
        }
    }

    fn after_magic(&mut self, magic: u64) -> Result<Next, DecodeError> {
        let next = match magic {
            MAGIC => Next::Part(Part::Descriptor),
            _ if magic & !0xf == SKIPPABLE => Next::Part(Part::SkipSize),
            _ if self.begun => Next::Rubbish,
            _ => return Err(DecodeError::Corrupt),
        };
        self.begun = true;
        Ok(next)
    }
}

impl Part {
    /// How long it is, in bytes. A part is never empty.
    fn size(self) -> usize {
        match self {
            Self::Magic | Self::SkipSize => 4,
            Self::FrameHeader(descriptor) => descriptor.rest(),
            Self::BlockHeader => 3,
            Self::Compressed(size) => size,
            Self::Descriptor | Self::Repeated(_) => 1,
        }
    }
}

fn skip(left: usize) -> Next {
    if left == 0 { Next::default() } else { Next::Skip(left) }
}

impl Frame {
    fn begin(&mut self, descriptor: Descriptor, window: usize) {
        self.window.reset(window);
        self.block.reset();
        self.max_block = window.min(MAX_BLOCK);
        self.checksum = descriptor.has_checksum();
    }

    fn begin_block(&mut self, header: u64) -> Result<Next, DecodeError> {
        self.last_block = header & 1 != 0;
        let size = to_usize(header >> 3);
        if size > self.max_block {
            return Err(DecodeError::Corrupt);
        }
        match header >> 1 & 3 {
            0 if size == 0 => Ok(self.after_block()),
            0 => Ok(Next::Stored(size)),
            1 => Ok(Next::Part(Part::Repeated(size))),
            2 if size > 0 => Ok(Next::Part(Part::Compressed(size))),
            _ => Err(DecodeError::Corrupt),
        }
    }

    /// Hands out the block that was decoded.
    fn put_block(&mut self, out: &mut Out<'_>) -> Result<Next, DecodeError> {
        out.put(self.block.bytes())?;
        self.window.push(self.block.bytes());
        Ok(self.after_block())
    }

    fn after_block(&self) -> Next {
        match (self.last_block, self.checksum) {
            (false, _) => Next::Part(Part::BlockHeader),
            (true, true) => Next::Skip(4),
            (true, false) => Next::default(),
        }
    }
}

/// So many bytes off the front, or all of them.
fn take<'a>(bytes: &mut &'a [u8], at_most: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(at_most).unwrap_or((bytes, &[]));
    *bytes = rest;
    taken
}

/// A number of up to eight bytes.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// A size, where one that memory cannot hold is as good as the largest.
fn to_usize(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
