//! The `br` coding (RFC 7932).

use super::{DecodeError, MAX_WINDOW, Out};
use brotli_decompressor::{
    Allocator, BrotliDecoderErrorCode, BrotliDecoderTakeOutput, BrotliDecompressStream,
    BrotliResult, BrotliState, SliceWrapper, SliceWrapperMut,
};

/// Decodes a body.
pub(super) struct Brotli(Box<BrotliState<Heap, Heap, Heap>>);

impl Brotli {
    pub(super) fn new() -> Self {
        // Strict: without the large windows that only files use.
        Self(Box::new(BrotliState::new_strict(Heap, Heap, Heap)))
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Result<(), DecodeError> {
        let (mut left, mut at) = (bytes.len(), 0);
        loop {
            // Without room for output, everything stays in the window, where it is read in place.
            let result = BrotliDecompressStream(
                &mut left,
                &mut at,
                bytes,
                &mut 0,
                &mut 0,
                &mut [],
                &mut 0,
                &mut self.0,
            );
            let mut any_size = 0;
            out.put(BrotliDecoderTakeOutput(&mut self.0, &mut any_size))?;
            match result {
                BrotliResult::NeedsMoreOutput => {}
                // After the end comes rubbish, which clients ignore as well.
                BrotliResult::NeedsMoreInput | BrotliResult::ResultSuccess => return Ok(()),
                BrotliResult::ResultFailure => return Err(self.error()),
            }
        }
    }

    fn error(&self) -> DecodeError {
        use BrotliDecoderErrorCode::{
            BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_1, BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_2,
        };
        let too_large = matches!(
            self.0.error_code,
            BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_1 | BROTLI_DECODER_ERROR_ALLOC_RING_BUFFER_2
        );
        if too_large { DecodeError::TooLarge } else { DecodeError::Corrupt }
    }
}

/// Memory for the decoder, which asks for its window, as far as it is used, and for its tables.
struct Heap;

/// What the decoder wants after its window, for copies that overshoot.
const SLACK: usize = 1 << 10;

impl<T: Clone + Default> Allocator<T> for Heap {
    type AllocatedMemory = Memory<T>;

    /// Gives nothing when asked for too much, which the decoder reports as an error.
    fn alloc_cell(&mut self, len: usize) -> Memory<T> {
        let within = len <= MAX_WINDOW.saturating_add(SLACK);
        Memory(vec![T::default(); if within { len } else { 0 }].into_boxed_slice())
    }

    fn free_cell(&mut self, _: Memory<T>) {}
}

#[derive(Default)]
struct Memory<T>(Box<[T]>);

impl<T> SliceWrapper<T> for Memory<T> {
    fn slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> SliceWrapperMut<T> for Memory<T> {
    fn slice_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
