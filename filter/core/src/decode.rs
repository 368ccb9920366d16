//! Content codings (RFC 9110, section 8.4.1), undone while the bytes go by.
//!
//! ```text
//! identity ─────────────────────────────────────────► out
//! gzip     ─► header, Inflate, trailer, next member ─► out
//! deflate  ─► zlib header or none, Inflate ──────────► out
//! br       ─► Brotli ────────────────────────────────► out
//! zstd     ─► frame, block, literals, sequences ─────► out
//! ```
//!
//! Whatever can be decoded from the bytes so far is handed out at once: when a server flushes after an
//! event, the event is out with the last byte of the flush, and its time is the client's.
//!
//! Checksums are not verified. Wrong bytes would be the client's to notice; here they would only make
//! a wrong number, and TCP has checked them once.

#[cfg(feature = "br")]
mod brotli;
#[cfg(feature = "gzip")]
mod deflate;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "gzip")]
mod inflate;
#[cfg(test)]
mod tests;
#[cfg(feature = "zstd")]
mod zstd;

/// The largest window that is kept of a `br` or `zstd` stream, in bytes. RFC 9659 allows no more to a
/// `zstd` content coding; `br` may announce 16 MiB, and is given up only when it needs them.
#[cfg(any(feature = "br", feature = "zstd"))]
const MAX_WINDOW: usize = 8 << 20;

/// No model answers with more than this; below it, the ratio does not matter.
pub(crate) const BOMB_BYTES: u64 = 64 << 20;

/// Text shrinks to a tenth, and the most repetitive event stream to a hundredth.
pub(crate) const BOMB_RATIO: u64 = 200;

/// Why a body is not decoded any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The bytes are not what the content coding says they are, or need a dictionary.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "br", feature = "zstd")),
        expect(dead_code, reason = "identity is never corrupt")
    )]
    Corrupt,
    /// A bomb, or a window over [`MAX_WINDOW`].
    TooLarge,
}

/// Undoes one content coding.
///
/// Memory grows with what was decoded, whatever the body announces, to 44 KiB for `gzip` and `deflate`, and
/// for `br` and `zstd` to a window of 8 MiB and less than half as much for tables and blocks.
pub(crate) struct Decoder {
    coding: Coding,
    budget: Budget,
    failed: Option<DecodeError>,
}

enum Coding {
    Identity,
    #[cfg(feature = "gzip")]
    Gzip(gzip::Gzip),
    #[cfg(feature = "gzip")]
    Deflate(deflate::Deflate),
    #[cfg(feature = "br")]
    Brotli(brotli::Brotli),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::Zstd>),
}

impl Decoder {
    /// The decoder for a `content-encoding`, where no header, an empty one and `identity` are the same.
    /// `None`: the coding is not known or not built in, or there are several.
    pub(crate) fn new(content_encoding: Option<&[u8]>) -> Option<Self> {
        let name = content_encoding.unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let coding = match name.as_slice() {
            b"" | b"identity" => Coding::Identity,
            #[cfg(feature = "gzip")]
            b"gzip" | b"x-gzip" => Coding::Gzip(gzip::Gzip::default()),
            #[cfg(feature = "gzip")]
            b"deflate" => Coding::Deflate(deflate::Deflate::default()),
            #[cfg(feature = "br")]
            b"br" => Coding::Brotli(brotli::Brotli::new()),
            #[cfg(feature = "zstd")]
            b"zstd" => Coding::Zstd(Box::default()),
            _ => return None,
        };
        Some(Self { coding, budget: Budget::default(), failed: None })
    }

    /// Whether bytes are handed out as they come.
    pub(crate) const fn is_identity(&self) -> bool {
        matches!(self.coding, Coding::Identity)
    }

    /// Takes the next bytes of the body and hands out what they decode to, in pieces of any size.
    ///
    /// # Errors
    ///
    /// What earlier calls decoded is out; what this one decoded before the error need not be. From then on
    /// every call fails alike.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(), DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.budget.read(bytes);
        let mut out = Out { sink: out, budget: &mut self.budget };
        let result = match &mut self.coding {
            Coding::Identity => out.put(bytes),
            #[cfg(feature = "gzip")]
            Coding::Gzip(gzip) => gzip.push(bytes, &mut out),
            #[cfg(feature = "gzip")]
            Coding::Deflate(deflate) => deflate.push(bytes, &mut out),
            #[cfg(feature = "br")]
            Coding::Brotli(brotli) => brotli.push(bytes, &mut out),
            #[cfg(feature = "zstd")]
            Coding::Zstd(zstd) => zstd.push(bytes, &mut out),
        };
        if let Err(error) = result {
            self.failed = Some(error);
            // Nothing more is decoded: the window goes back.
            self.coding = Coding::Identity;
        }
        result
    }
}

/// Where decoded bytes go, as long as there are not too many of them.
struct Out<'a> {
    sink: &'a mut dyn FnMut(&[u8]),
    budget: &'a mut Budget,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.budget.write(bytes)?;
        if !bytes.is_empty() {
            (self.sink)(bytes);
        }
        Ok(())
    }
}

/// Bytes in and out so far.
#[derive(Default)]
struct Budget {
    read: u64,
    written: u64,
}

impl Budget {
    fn read(&mut self, bytes: &[u8]) {
        self.read = self.read.saturating_add(bytes.len() as u64);
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        if self.written > BOMB_BYTES && self.written > self.read.saturating_mul(BOMB_RATIO) {
            return Err(DecodeError::TooLarge);
        }
        Ok(())
    }
}
