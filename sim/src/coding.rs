//! Content codings, streamed: what is put in comes out at once, so that a coded event is as prompt as a plain one.

use std::io::{self, Write};

use crate::outcome::spelled;

spelled! {
    /// A content coding, spelled as in `content-encoding`.
    Coding {
        /// None.
        Identity "identity"
        /// RFC 1952.
        Gzip "gzip"
        /// Deflate in a zlib wrapper, which is what HTTP means by the name (RFC 9110, 8.4.1.2).
        Deflate "deflate"
        /// Brotli, RFC 7932.
        Br "br"
        /// RFC 8878.
        Zstd "zstd"
    }
}

/// A coder that writes to memory.
trait Coder: Write + Send {
    /// What has come out and was not taken yet.
    fn out(&mut self) -> &mut Vec<u8>;
    /// Writes the end, and gives all that was not taken yet.
    fn end(self: Box<Self>) -> io::Result<Vec<u8>>;
}

macro_rules! coder {
    ($coder:ty, $end:expr) => {
        impl Coder for $coder {
            fn out(&mut self) -> &mut Vec<u8> {
                self.get_mut()
            }

            fn end(self: Box<Self>) -> io::Result<Vec<u8>> {
                let end: fn(Self) -> io::Result<Vec<u8>> = $end;
                end(*self)
            }
        }
    };
}

coder!(flate2::write::GzEncoder<Vec<u8>>, Self::finish);
coder!(flate2::write::ZlibEncoder<Vec<u8>>, Self::finish);
coder!(brotli::CompressorWriter<Vec<u8>>, |coder| Ok(coder.into_inner()));
coder!(zstd::stream::write::Encoder<'static, Vec<u8>>, Self::finish);
coder!(flate2::write::GzDecoder<Vec<u8>>, Self::finish);
coder!(flate2::write::ZlibDecoder<Vec<u8>>, Self::finish);
coder!(brotli::DecompressorWriter<Vec<u8>>, |coder| {
    coder.into_inner().map_err(|_| io::ErrorKind::UnexpectedEof.into())
});
coder!(zstd::stream::write::Decoder<'static, Vec<u8>>, |coder| Ok(coder.into_inner()));

/// One direction of a coding, piece by piece. [`Coding::Identity`] has no coder.
pub(crate) struct Transcoder(Option<Box<dyn Coder>>);

impl Transcoder {
    /// Nothing is changed.
    pub(crate) const PLAIN: Self = Self(None);

    /// Codes.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub(crate) fn encoder(coding: Coding) -> io::Result<Self> {
        // Quick and small: what is simulated is the wire, not the server's thrift.
        const BROTLI: (u32, u32) = (3, 18);
        let level = flate2::Compression::fast();
        Ok(Self(match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Box::new(flate2::write::GzEncoder::new(Vec::new(), level))),
            Coding::Deflate => Some(Box::new(flate2::write::ZlibEncoder::new(Vec::new(), level))),
            Coding::Br => {
                let (quality, window) = BROTLI;
                Some(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, quality, window)))
            }
            Coding::Zstd => Some(Box::new(zstd::stream::write::Encoder::new(Vec::new(), 1)?)),
        }))
    }

    /// Undoes a coding.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    pub(crate) fn decoder(coding: Coding) -> io::Result<Self> {
        Ok(Self(match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Box::new(flate2::write::GzDecoder::new(Vec::new()))),
            Coding::Deflate => Some(Box::new(flate2::write::ZlibDecoder::new(Vec::new()))),
            Coding::Br => Some(Box::new(brotli::DecompressorWriter::new(Vec::new(), 4096))),
            Coding::Zstd => Some(Box::new(zstd::stream::write::Decoder::new(Vec::new())?)),
        }))
    }

    /// Takes a piece and gives everything that can be known of the other side by now.
    ///
    /// # Errors
    ///
    /// The piece does not continue a valid coding.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let Some(coder) = &mut self.0 else { return Ok(bytes.to_vec()) };
        coder.write_all(bytes)?;
        coder.flush()?;
        Ok(std::mem::take(coder.out()))
    }

    /// Ends the coding and gives what is left.
    ///
    /// # Errors
    ///
    /// A decoder has not seen the end.
    pub(crate) fn end(&mut self) -> io::Result<Vec<u8>> {
        self.0.take().map_or(Ok(Vec::new()), Coder::end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_comes_out_as_soon_as_it_went_in() {
        for coding in Coding::ALL {
            let mut encoder = Transcoder::encoder(*coding).unwrap();
            let mut decoder = Transcoder::decoder(*coding).unwrap();
            for index in 0..50 {
                let event = format!("data: {{\"index\":{index},\"text\":\"wörter\"}}\n\n");
                let coded = encoder.piece(event.as_bytes()).unwrap();
                assert_eq!(decoder.piece(&coded).unwrap(), event.as_bytes(), "{coding} {index}");
            }
            let tail = encoder.end().unwrap();
            assert_eq!(decoder.piece(&tail).unwrap(), b"", "{coding}");
            assert_eq!(decoder.end().unwrap(), b"", "{coding}");
        }
    }
}
