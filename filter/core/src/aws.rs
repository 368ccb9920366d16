//! AWS event stream (`application/vnd.amazon.eventstream`): binary frames, read as they pass by.
//!
//! A frame is `u32 total | u32 headers | u32 crc of these | headers | payload | u32 crc of all`, big
//! endian. The checksum of the lengths is verified, because everything that follows depends on them;
//! that of the whole frame is not: it comes when the payload has long been read.

/// Frames are at most this large (AWS SDKs: 24 MiB); a larger one is no frame.
const MAX_FRAME: u32 = 24 << 20;

/// As many bytes of a frame's headers are kept. Those that matter come first and are short.
const MAX_HEADERS: usize = 512;

/// Takes the frames.
pub(crate) trait Frames {
    /// A piece of the frame's payload.
    fn payload(&mut self, piece: &[u8]);
    /// The frame is complete.
    fn end(&mut self, headers: &Headers<'_>);
}

/// Reads a stream in any number of pieces.
#[derive(Debug)]
pub(crate) struct AwsFrames {
    part: Part,
    /// The prelude, and then the start of the headers, as far as they have come.
    kept: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Prelude,
    Headers {
        left: u32,
        payload: u32,
    },
    Payload {
        left: u32,
    },
    Checksum {
        left: u32,
    },
    /// The bytes are no frames.
    Broken,
}

impl AwsFrames {
    pub(crate) fn new() -> Self {
        Self { part: Part::Prelude, kept: Vec::new() }
    }

    /// Whether the bytes are no frames.
    pub(crate) fn is_broken(&self) -> bool {
        self.part == Part::Broken
    }

    /// Reads the next piece of the stream.
    pub(crate) fn push(&mut self, piece: &[u8], frames: &mut dyn Frames) {
        let mut rest = piece;
        while !rest.is_empty() {
            match self.part {
                Part::Broken => return,
                Part::Prelude => {
                    let missing = PRELUDE.saturating_sub(self.kept.len());
                    let (taken, tail) = rest.split_at(missing.min(rest.len()));
                    self.kept.extend_from_slice(taken);
                    rest = tail;
                    if self.kept.len() == PRELUDE {
                        self.part = prelude(&self.kept).unwrap_or(Part::Broken);
                        self.kept.clear();
                    }
                }
                Part::Headers { left, payload } => {
                    let (taken, tail, left) = split(rest, left);
                    let room = MAX_HEADERS.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(taken.get(..room).unwrap_or(taken));
                    rest = tail;
                    self.part = Part::Headers { left, payload };
                }
                Part::Payload { left } => {
                    let (taken, tail, left) = split(rest, left);
                    frames.payload(taken);
                    rest = tail;
                    self.part = Part::Payload { left };
                }
                Part::Checksum { left } => {
                    let (_, tail, left) = split(rest, left);
                    rest = tail;
                    self.part = Part::Checksum { left };
                }
            }
            self.advance(frames);
        }
    }

    /// Goes on to the next part when the present one is complete.
    fn advance(&mut self, frames: &mut dyn Frames) {
        if let Part::Headers { left: 0, payload } = self.part {
            self.part = Part::Payload { left: payload };
        }
        if self.part == (Part::Payload { left: 0 }) {
            self.part = Part::Checksum { left: 4 };
        }
        if self.part == (Part::Checksum { left: 0 }) {
            frames.end(&Headers(&self.kept));
            self.kept.clear();
            self.part = Part::Prelude;
        }
    }
}

const PRELUDE: usize = 12;

fn split(piece: &[u8], left: u32) -> (&[u8], &[u8], u32) {
    let taken = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    let (head, tail) = piece.split_at(taken);
    (head, tail, left.saturating_sub(u32::try_from(taken).unwrap_or(left)))
}

fn prelude(bytes: &[u8]) -> Option<Part> {
    let word = |at: usize| {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(*bytes))
    };
    let (total, headers, checksum) = (word(0)?, word(4)?, word(8)?);
    if total > MAX_FRAME || crc32(bytes.get(..8)?) != checksum {
        return None;
    }
    let payload = total.checked_sub(headers)?.checked_sub(16)?;
    Some(Part::Headers { left: headers, payload })
}

/// CRC-32 as in zlib, bit by bit: it is taken of eight bytes per frame.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = crc & 1;
            crc >>= 1;
            if odd == 1 {
                crc ^= 0xEDB8_8320;
            }
        }
    }
    !crc
}

/// The headers of a frame, or their first [`MAX_HEADERS`] bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// The value of a header that is a string.
    pub(crate) fn text(self, name: &[u8]) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while let Some((found, value, tail)) = header(rest) {
            if found == name {
                return value;
            }
            rest = tail;
        }
        None
    }
}

/// A header's name, its value when that is a string, and what follows it.
type Header<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

/// Splits off the first header.
fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let (len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*len))?;
    let (kind, rest) = rest.split_first()?;
    let fixed = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => {
            let (len, rest) = rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            return Some((name, Some(value).filter(|_| *kind == 7), rest));
        }
        _ => return None,
    };
    Some((name, None, rest.get(fixed..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame with string headers.
    pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).unwrap());
            head.extend(name.as_bytes());
            head.push(7);
            head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            head.extend(value.as_bytes());
        }
        let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
        let mut frame = total.to_be_bytes().to_vec();
        frame.extend(u32::try_from(head.len()).unwrap().to_be_bytes());
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend(head);
        frame.extend(payload);
        frame.extend(crc32(&frame).to_be_bytes());
        frame
    }

    #[derive(Default)]
    struct Seen {
        payload: Vec<u8>,
        frames: Vec<String>,
    }

    impl Frames for Seen {
        fn payload(&mut self, piece: &[u8]) {
            self.payload.extend(piece);
        }
        fn end(&mut self, headers: &Headers<'_>) {
            let kind = headers.text(b":event-type").unwrap_or(b"-");
            let payload = std::mem::take(&mut self.payload);
            self.frames.push(format!(
                "{}={}",
                String::from_utf8_lossy(kind),
                String::from_utf8_lossy(&payload)
            ));
        }
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
        let (mut aws, mut seen) = (AwsFrames::new(), Seen::default());
        for piece in pieces {
            aws.push(piece, &mut seen);
        }
        (seen.frames, aws.is_broken())
    }

    #[test]
    fn frames_in_any_cut() {
        let headers = [(":content-type", "application/json"), (":event-type", "metadata")];
        let stream =
            [frame(&headers, b"{}"), frame(&[], b""), frame(&headers, &[b'x'; 300])].concat();
        let whole = read([stream.as_slice()]);
        assert_eq!(
            whole,
            (
                vec!["metadata={}".into(), "-=".into(), format!("metadata={}", "x".repeat(300))],
                false
            )
        );
        assert_eq!(read(stream.chunks(1)), whole);
        for cut in 0..stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(read([head, &[], tail]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn lengths_with_a_wrong_checksum_are_no_frame() {
        let mut stream = frame(&[], b"{}");
        stream[9] ^= 1;
        assert_eq!(read([stream.as_slice()]), (vec![], true));
    }

    #[test]
    fn a_checksum_as_zlib_has_it() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_cut_read_the_same(bytes: Vec<u8>, size in 1_usize..9) {
            let stream = [frame(&[(":event-type", "x")], &bytes), bytes].concat();
            prop_assert_eq!(read(stream.chunks(size)), read([stream.as_slice()]));
        }
    }
}
