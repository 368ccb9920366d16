//! What the fuzz targets call, one function each: bytes go in, and what must hold for all bytes is
//! asserted. The seeds in `fuzz/corpus/` are read by a plain test here as well.
//!
//! Every input but a name's begins with a byte that says how the rest is cut. Cut or whole, it must come
//! to the same.

use crate::aws::{AwsFrames, Frames, Headers};
use crate::decode::{BOMB_BYTES, BOMB_RATIO, DecodeError, Decoder};
use crate::degraded::Degraded;
use crate::dialect::{Dialect, Field};
use crate::endpoint::Api;
use crate::json::{Scanner, Sink, Value};
use crate::observer::{End, Observer};
use crate::record::Record;
use crate::sse::{Dispatch, Events, Sse};
use crate::stat::{self, Label, MAX_VALUE_BYTES, ParsedName};
use crate::{Ending, HostTime, RequestHead, ResponseHead};

/// Server-sent events.
pub fn sse(input: &[u8]) {
    same_in_pieces(input, |pieces| {
        let (mut sse, mut seen) = (Sse::new(), Seen::default());
        pieces.iter().for_each(|piece| sse.push(piece, &mut seen));
        sse.finish(&mut seen);
        seen
    });
}

/// JSON, as each API's events and answers are read.
pub fn json(input: &[u8]) {
    let Some((which, input)) = input.split_first() else { return };
    let Some(api) = Api::ALL.get(usize::from(*which >> 1)) else { return };
    let Dialect { event, answer, .. } = Dialect::of(*api);
    let shape = if which & 1 == 0 { event } else { answer };
    same_in_pieces(input, |pieces| {
        let (mut scanner, mut seen) = (Scanner::new(shape), Seen::default());
        for piece in pieces {
            let _beyond_the_document = scanner.push(piece, &mut seen);
        }
        scanner.finish(&mut seen);
        (seen, scanner.is_done(), scanner.is_broken(), scanner.is_untouched())
    });
}

/// AWS event streams.
pub fn aws(input: &[u8]) {
    same_in_pieces(input, |pieces| {
        let (mut frames, mut seen) = (AwsFrames::new(), Seen::default());
        pieces.iter().for_each(|piece| frames.push(piece, &mut seen));
        (seen, frames.is_broken())
    });
}

/// The `gzip` coding.
pub fn decode_gzip(input: &[u8]) {
    decode(b"gzip", input);
}

/// The `br` coding.
pub fn decode_br(input: &[u8]) {
    decode(b"br", input);
}

/// The `zstd` coding.
pub fn decode_zstd(input: &[u8]) {
    decode(b"zstd", input);
}

fn decode(coding: &[u8], input: &[u8]) {
    let decode = |pieces: &[&[u8]]| {
        let Some(mut decoder) = Decoder::new(Some(coding)) else {
            return Err(DecodeError::Corrupt);
        };
        let (mut text, mut read) = (Vec::new(), 0_u64);
        for piece in pieces {
            read = read.saturating_add(piece.len() as u64);
            decoder.push(piece, &mut |bytes| text.extend_from_slice(bytes))?;
            let limit = BOMB_BYTES.max(read.saturating_mul(BOMB_RATIO));
            assert!(text.len() as u64 <= limit, "{} bytes out of {read}", text.len());
        }
        Ok(text)
    };
    let Some((step, body)) = input.split_first() else { return };
    let (whole, cut) = (decode(&[body]), decode(&pieces(*step, body)));
    // How much a bomb may grow before it is one depends on how much of it has come.
    if whole != Err(DecodeError::TooLarge) && cut != Err(DecodeError::TooLarge) {
        assert_eq!(whole, cut);
    }
}

/// A whole stream: lines with path, status, content type, content encoding and request body, then the
/// response body.
pub fn observer(input: &[u8]) {
    let mut parts = input.splitn(6, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (path, status, media, coding, request, response) =
        (part(), part(), part(), part(), part(), part());
    let status = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok());
    let head = RequestHead { method: b"POST", path, ..RequestHead::default() };
    let watch = |response: &[&[u8]]| -> Option<(Record, u64)> {
        let at = Some(HostTime::from_nanos(1));
        let mut observer = Observer::start(at, &head)?;
        observer.request_chunk(request);
        observer.response_head(&ResponseHead {
            status: status.unwrap_or(0),
            content_type: Some(media).filter(|media| !media.is_empty()),
            content_encoding: Some(coding).filter(|coding| !coding.is_empty()),
            ..ResponseHead::default()
        });
        for piece in response {
            observer.response_chunk(at, piece, End::More);
            observer.so_far(at, &Ending::default());
        }
        observer.response_chunk(at, b"", End::Last);
        let events = observer.generated_events();
        Some((observer.finish(at, &Ending::default())?, events))
    };
    let Some((step, body)) = response.split_first() else { return };
    let (whole, cut) = (watch(&[body]), watch(&pieces(*step, body)));
    // What came before the fault need not be the same.
    let corrupt = |seen: &Option<(Record, u64)>| {
        seen.as_ref().is_some_and(|(record, _)| {
            record.degraded.contains(Degraded::ResponseCorrupt)
                || record.degraded.contains(Degraded::ResponseTooLarge)
        })
    };
    if !corrupt(&whole) && !corrupt(&cut) {
        assert_eq!(whole, cut);
    }
}

/// The codec of stat names: any values make a name that comes apart into clean ones, and any text can be
/// taken apart.
pub fn stat_name(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _any = stat::parse(&text);
    let values: Vec<&str> = text.split('\n').take(Label::ALL.len()).collect();
    let labels = || Label::ALL.iter().copied().zip(values.iter().copied());
    let name = stat::encode("gaugeway_requests_total", labels());
    let clean: Vec<_> = labels()
        .map(|(label, value)| (label.name(), stat::clean_value(value.as_bytes())))
        .collect();
    assert!(clean.iter().all(|(_, value)| (1..=MAX_VALUE_BYTES).contains(&value.len())));
    let labels = clean.iter().map(|(label, value)| (*label, value.as_str())).collect();
    assert_eq!(stat::parse(&name), Some(ParsedName { stat: "gaugeway_requests_total", labels }));
}

/// Whether the rest of the input comes to the same whole and cut as its first byte says.
fn same_in_pieces<T: PartialEq + std::fmt::Debug>(input: &[u8], read: impl Fn(&[&[u8]]) -> T) {
    if let Some((step, body)) = input.split_first() {
        assert_eq!(read(&[body]), read(&pieces(*step, body)));
    }
}

/// Pieces of one length, with an empty one after each.
fn pieces(step: u8, body: &[u8]) -> Vec<&[u8]> {
    body.chunks(usize::from(step).saturating_add(1)).flat_map(|piece| [piece, &[]]).collect()
}

/// What a reader has told.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// The payload of the event that is open.
    open: Vec<u8>,
    told: Vec<String>,
}

impl Events for Seen {
    fn data(&mut self, piece: &[u8]) {
        self.open.extend_from_slice(piece);
    }

    fn dispatch(&mut self, event: &Dispatch) {
        let data = std::mem::take(&mut self.open);
        self.told.push(format!("{event:?} {data:?}"));
    }
}

impl Frames for Seen {
    fn payload(&mut self, piece: &[u8]) {
        self.open.extend_from_slice(piece);
    }

    fn end(&mut self, headers: &Headers<'_>) {
        let payload = std::mem::take(&mut self.open);
        let names = [&b":message-type"[..], b":event-type", b":exception-type", b":error-code"];
        self.told.push(format!("{:?} {payload:?}", names.map(|name| headers.text(name))));
    }
}

impl Sink for Seen {
    fn value(&mut self, field: Field, value: Value<'_>) {
        self.told.push(format!("{field:?} {value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Each function and the folder of its seeds.
    type Target = (&'static str, fn(&[u8]));
    const TARGETS: &[Target] = &[
        ("sse", super::sse),
        ("json", super::json),
        ("aws", super::aws),
        ("decode_gzip", super::decode_gzip),
        ("decode_br", super::decode_br),
        ("decode_zstd", super::decode_zstd),
        ("observer", super::observer),
        ("stat_name", super::stat_name),
    ];

    #[test]
    fn every_seed_passes() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, target) in TARGETS {
            let seeds: Vec<_> = std::fs::read_dir(corpus.join(name))
                .unwrap_or_else(|error| panic!("no seeds for {name}: {error}"))
                .map(|seed| seed.unwrap().path())
                .collect();
            assert!(seeds.len() >= 3, "{name} has too few seeds");
            for seed in seeds {
                println!("{}", seed.display());
                target(&std::fs::read(&seed).unwrap());
            }
        }
    }
}
