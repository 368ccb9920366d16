use super::{BOMB_BYTES, DecodeError, Decoder, MAX_WINDOW};
use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::collection::vec;
use proptest::prelude::*;
use std::io::Write;

/// What every coding must give back: events that repeat themselves, some of them not ASCII.
fn events() -> Vec<Vec<u8>> {
    (0..12)
        .map(|n| {
            let text = ["Hel", "lo", " w\u{f6}rld", "\u{1f600}", "!"][n % 5];
            let choice =
                format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"n":{}}}"#, n * n * 7919);
            format!("data: {{\"id\":\"chatcmpl-{n:03}\",\"choices\":[{choice}]}}\n\n").into_bytes()
        })
        .collect()
}

/// Bytes in which there is little to find.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(size)
    .collect()
}

/// One way to encode a body.
struct Encoder {
    name: &'static str,
    coding: &'static str,
    /// Encodes pieces, and flushes after each.
    flushing: fn(&[Vec<u8>]) -> Vec<Vec<u8>>,
}

/// Writes pieces through an encoder, and says what each flush gave, and then the end.
macro_rules! flushed {
    ($pieces:expr, $encoder:expr, $($finish:tt)*) => {{
        let mut encoder = $encoder;
        let mut seen = 0;
        let mut out = Vec::new();
        for piece in $pieces {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
            out.push(encoder.get_ref()[seen..].to_vec());
            seen = encoder.get_ref().len();
        }
        out.push(encoder.$($finish)*[seen..].to_vec());
        out
    }};
}

fn gzip(pieces: &[Vec<u8>], level: Compression) -> Vec<Vec<u8>> {
    flushed!(pieces, GzEncoder::new(Vec::new(), level), finish().unwrap())
}

fn zlib(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    flushed!(pieces, ZlibEncoder::new(Vec::new(), Compression::best()), finish().unwrap())
}

fn bare_deflate(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    flushed!(pieces, DeflateEncoder::new(Vec::new(), Compression::default()), finish().unwrap())
}

fn brotli(pieces: &[Vec<u8>], quality: u32, window_bits: u32) -> Vec<Vec<u8>> {
    let encoder = CompressorWriter::new(Vec::new(), 4096, quality, window_bits);
    flushed!(pieces, encoder, into_inner())
}

fn zstd(pieces: &[Vec<u8>], level: i32) -> Vec<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level).unwrap();
    encoder.include_checksum(true).unwrap();
    flushed!(pieces, encoder, finish().unwrap())
}

#[rustfmt::skip]
const ENCODERS: [Encoder; 12] = [
    Encoder { name: "gzip", coding: "gzip", flushing: |pieces| gzip(pieces, Compression::default()) },
    Encoder { name: "gzip, stored", coding: "x-gzip", flushing: |pieces| gzip(pieces, Compression::none()) },
    Encoder { name: "deflate, zlib", coding: "deflate", flushing: zlib },
    Encoder { name: "deflate, bare", coding: "Deflate", flushing: bare_deflate },
    Encoder { name: "br 1", coding: "br", flushing: |pieces| brotli(pieces, 1, 18) },
    Encoder { name: "br 5", coding: "BR", flushing: |pieces| brotli(pieces, 5, 22) },
    Encoder { name: "br 11", coding: "br", flushing: |pieces| brotli(pieces, 11, 24) },
    Encoder { name: "zstd -5", coding: "zstd", flushing: |pieces| zstd(pieces, -5) },
    Encoder { name: "zstd 1", coding: " zstd ", flushing: |pieces| zstd(pieces, 1) },
    Encoder { name: "zstd 3", coding: "zstd", flushing: |pieces| zstd(pieces, 3) },
    Encoder { name: "zstd 12", coding: "zstd", flushing: |pieces| zstd(pieces, 12) },
    Encoder { name: "zstd 19", coding: "zstd", flushing: |pieces| zstd(pieces, 19) },
];

impl Encoder {
    fn whole(&self, body: &[u8]) -> Vec<u8> {
        (self.flushing)(&[body.to_vec()]).concat()
    }
}

fn decoder(coding: &str) -> Decoder {
    Decoder::new(Some(coding.as_bytes())).unwrap()
}

/// Decodes pieces until one fails.
fn decode<'a>(
    coding: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Result<(), DecodeError>) {
    let (mut decoder, mut out) = (decoder(coding), Vec::new());
    let result = pieces
        .into_iter()
        .try_for_each(|piece| decoder.push(piece, &mut |bytes| out.extend_from_slice(bytes)));
    (out, result)
}

#[track_caller]
fn check(coding: &str, body: &[u8], expected: &[u8]) {
    let whole = decode(coding, [body]);
    assert!(whole == (expected.to_vec(), Ok(())), "whole: {:?}", whole.1);
    let bytewise = decode(coding, body.chunks(1));
    assert!(bytewise == whole, "byte by byte: {:?}", bytewise.1);
}

#[test]
fn the_coding_is_found_by_its_name() {
    for known in ["", " ", "identity", "Identity", "gzip", "X-GZIP", "deflate", " br ", "zstd"] {
        assert!(Decoder::new(Some(known.as_bytes())).is_some(), "{known}");
    }
    assert!(Decoder::new(None).is_some());
    for unknown in ["compress", "gzip, br", "identity, gzip", "dcz", "zst", "gzip;q=1"] {
        assert!(Decoder::new(Some(unknown.as_bytes())).is_none(), "{unknown}");
    }
}

#[test]
fn identity_is_handed_through_as_it_comes() {
    let mut decoder = Decoder::new(None).unwrap();
    let body = b"data: x\n\n";
    let mut seen = Vec::new();
    decoder.push(body, &mut |bytes| seen.push(bytes.as_ptr_range())).unwrap();
    assert_eq!(seen, [body.as_ptr_range()]);
}

#[test]
fn every_encoder_is_understood() {
    let bodies = [
        Vec::new(),
        b"x".to_vec(),
        events().concat(),
        vec![b'a'; 300_000],
        noise(140_000),
        (0..8_000_u32)
            .flat_map(|n| format!("{:x} ", n.wrapping_mul(2_654_435_761)).into_bytes())
            .collect(),
        [noise(40_000), events().concat(), noise(40_000), noise(1000)].concat(),
    ];
    for encoder in &ENCODERS {
        for (n, body) in bodies.iter().enumerate() {
            let encoded = encoder.whole(body);
            let (out, result) = decode(encoder.coding, [encoded.as_slice()]);
            assert_eq!(result, Ok(()), "{}, body {n}", encoder.name);
            assert!(out == *body, "{}, body {n}", encoder.name);
            let size = if encoded.len() < 10_000 { 1 } else { 997 };
            let (out, result) = decode(encoder.coding, encoded.chunks(size));
            assert_eq!(result, Ok(()), "{}, body {n} by {size}", encoder.name);
            assert!(out == *body, "{}, body {n} by {size}", encoder.name);
        }
    }
}

#[test]
fn an_event_is_out_when_it_was_flushed() {
    let events = events();
    for encoder in &ENCODERS {
        let mut decoder = decoder(encoder.coding);
        for (event, piece) in events.iter().zip((encoder.flushing)(&events)) {
            let mut out = Vec::new();
            decoder.push(&piece, &mut |bytes| out.extend_from_slice(bytes)).unwrap();
            assert_eq!(out, *event, "{}", encoder.name);
        }
    }
}

#[test]
fn any_single_cut_gives_the_same() {
    let events = events();
    for encoder in &ENCODERS {
        let encoded = (encoder.flushing)(&events).concat();
        for cut in 0..=encoded.len() {
            let (left, right) = encoded.split_at(cut);
            let (out, result) = decode(encoder.coding, [left, right]);
            assert_eq!(result, Ok(()), "{} cut at {cut}", encoder.name);
            assert!(out == events.concat(), "{} cut at {cut}", encoder.name);
        }
    }
}

#[test]
fn what_came_before_a_truncation_is_out() {
    let body = events().concat();
    for encoder in &ENCODERS {
        let encoded = (encoder.flushing)(&events()).concat();
        for end in 0..encoded.len() {
            let (out, result) = decode(encoder.coding, [&encoded[..end]]);
            assert_eq!(result, Ok(()), "{} up to {end}", encoder.name);
            assert!(body.starts_with(&out), "{} up to {end}", encoder.name);
        }
    }
}

/// A gzip member with every optional field.
fn member_with_all_fields(body: &[u8]) -> Vec<u8> {
    let plain = ENCODERS[0].whole(body);
    let mut member = vec![0x1f, 0x8b, 8, 0b1_1111, 1, 2, 3, 4, 2, 3];
    member.extend_from_slice(&[5, 0]);
    member.extend_from_slice(b"extra");
    member.extend_from_slice(b"name\0comment\0");
    member.extend_from_slice(&[0xab, 0xcd]);
    member.extend_from_slice(&plain[10..]);
    member
}

#[test]
fn gzip_members_and_their_headers_are_passed_over() {
    let all = member_with_all_fields(b"one ");
    check("gzip", &all, b"one ");
    let mut no_extra = all.clone();
    no_extra[10] = 0;
    no_extra.drain(12..17);
    check("gzip", &no_extra, b"one ");

    let two = ENCODERS[0].whole(b"two");
    check("gzip", &[all.clone(), two.clone()].concat(), b"one two");
    check("gzip", &[all.clone(), vec![0; 40]].concat(), b"one ");
    check("gzip", &[all, b"\x1f\x8brubbish".to_vec(), two].concat(), b"one ");
}

#[test]
fn bytes_after_the_end_are_ignored() {
    for encoder in ENCODERS.iter().filter(|encoder| !encoder.coding.contains("gzip")) {
        let body =
            [encoder.whole(b"all there is"), b"rubbish, with more than one word".to_vec()].concat();
        let (out, result) = decode(encoder.coding, [body.as_slice()]);
        assert_eq!((out.as_slice(), result), (&b"all there is"[..], Ok(())), "{}", encoder.name);
    }
}

#[test]
fn zstd_frames_follow_one_another() {
    let zstd = |level, body: &[u8]| zstd::encode_all(body, level).unwrap();
    let long = events().concat();
    let skipped = [&0x184d_2a5f_u32.to_le_bytes()[..], &5_u32.to_le_bytes(), b"12345"].concat();
    let empty = [&0x184d_2a50_u32.to_le_bytes()[..], &0_u32.to_le_bytes()].concat();
    let body = [skipped, zstd(3, &long), empty, zstd(19, b"second"), zstd(1, &long)].concat();
    check("zstd", &body, &[&long[..], b"second", &long].concat());
}

/// A zstd frame with a window of 1 KiB and these blocks.
fn frame(blocks: &[&[u8]]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0][..], &blocks.concat()].concat()
}

#[test]
fn zstd_blocks_keep_to_their_frame() {
    // (what is wrong, the body, what is out before the error)
    let cases: [(&str, Vec<u8>, &[u8]); 7] = [
        ("a reserved block", frame(&[&[6, 0, 0]]), b""),
        ("a block over the window", frame(&[&[0x0b, 0x20, 0], b"x"]), b""),
        ("the magic number", b"\x28\xb5\x2f\xfe".to_vec(), b""),
        ("a reserved bit", b"\x28\xb5\x2f\xfd\x08".to_vec(), b""),
        ("a dictionary", b"\x28\xb5\x2f\xfd\x01\x00\x07".to_vec(), b""),
        (
            "no table to repeat",
            frame(&[&[0b1000, 0, 0], b"x", &[5 | 32, 0, 0, 0, 1, 0xff, 1]]),
            b"x",
        ),
        ("no code to use again", frame(&[&[45, 0, 0, 3, 0, 0, 0, 0]]), b""),
    ];
    for (what, body, before) in cases {
        assert_eq!(
            decode("zstd", [body.as_slice()]),
            (before.to_vec(), Err(DecodeError::Corrupt)),
            "{what}"
        );
    }
}

#[test]
fn what_is_not_of_the_coding_is_corrupt() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let (out, result) = decode(coding, [&b"<html>This is not compressed at all</html>"[..]]);
        assert_eq!((out.len(), result), (0, Err(DecodeError::Corrupt)), "{coding}");
    }
}

#[test]
fn an_error_stays() {
    for encoder in &ENCODERS {
        let mut decoder = decoder(encoder.coding);
        assert!(decoder.push(&[0xff; 64], &mut |_| {}).is_err(), "{}", encoder.name);
        let again =
            decoder.push(&encoder.whole(b"x"), &mut |_| panic!("nothing comes after an error"));
        assert_eq!(again, Err(DecodeError::Corrupt), "{}", encoder.name);
    }
}

#[test]
fn windows_are_limited_where_they_are_kept() {
    let long = [&noise(MAX_WINDOW + 100_000)[..], b"end"].concat();
    // Announced: 16 MiB, which `br` may, and `zstd` not.
    let wide = |limit: usize| brotli(&[long[..limit].to_vec()], 1, 24).concat();
    check_whole("br", &wide(100_000), &long[..100_000], Ok(()));
    let (out, result) = decode("br", wide(long.len()).chunks(1 << 16));
    assert_eq!(result, Err(DecodeError::TooLarge));
    assert!(out.len() <= MAX_WINDOW && long.starts_with(&out));

    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(b"short").unwrap();
    check_whole("zstd", &encoder.finish().unwrap(), b"", Err(DecodeError::TooLarge));
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(23).unwrap();
    encoder.long_distance_matching(true).unwrap();
    let twice = [&long[..], &long[..4_000_000]].concat();
    encoder.write_all(&twice).unwrap();
    check_whole("zstd", &encoder.finish().unwrap(), &twice, Ok(()));
}

#[track_caller]
fn check_whole(coding: &str, body: &[u8], expected: &[u8], result: Result<(), DecodeError>) {
    let decoded = decode(coding, [body]);
    assert_eq!(decoded.1, result);
    assert!(decoded.0 == expected);
}

#[test]
fn bombs_are_cut() {
    let pieces = vec![vec![0; 6 << 20]; 12];
    let names = ["gzip", "deflate, zlib", "br 5", "zstd 3"];
    for encoder in ENCODERS.iter().filter(|encoder| names.contains(&encoder.name)) {
        let (mut decoder, mut written) = (decoder(encoder.coding), 0_u64);
        let results: Vec<_> = (encoder.flushing)(&pieces)
            .iter()
            .map(|piece| decoder.push(piece, &mut |bytes| written += bytes.len() as u64))
            .collect();
        assert_eq!(results.last(), Some(&Err(DecodeError::TooLarge)), "{}", encoder.name);
        assert_eq!(results.first(), Some(&Ok(())), "{}", encoder.name);
        assert!(written <= BOMB_BYTES, "{}", encoder.name);
    }
}

#[test]
fn a_long_answer_is_no_bomb() {
    let event = events().concat();
    let piece: Vec<u8> = event.iter().copied().cycle().take(12 << 20).collect();
    let (mut decoder, mut written) = (decoder("gzip"), 0_u64);
    let pieces: Vec<Vec<u8>> =
        (0..6).map(|n| [noise(100_000 + n), piece.clone()].concat()).collect();
    for piece in (ENCODERS[0].flushing)(&pieces) {
        decoder.push(&piece, &mut |bytes| written += bytes.len() as u64).unwrap();
    }
    assert!(written > BOMB_BYTES);
}

/// Cuts a body after each of these many bytes, over and over.
fn cut<'a>(body: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut pieces) = (body, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

type Decoded = (Vec<u8>, Result<(), DecodeError>);

/// The same, but that an error may keep back what its piece had decoded to before it.
fn agree(one: &Decoded, other: &Decoded) -> bool {
    let prefix = one.0.starts_with(&other.0) || other.0.starts_with(&one.0);
    one.1 == other.1 && prefix && (one.1.is_err() || one.0 == other.0)
}

/// Text with something to find in it, of up to 64 KiB.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    vec((vec(any::<u8>(), 0..40), 1_usize..60), 0..30)
        .prop_map(|runs| runs.into_iter().flat_map(|(run, times)| run.repeat(times)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_body_cut_anywhere(
        body in bodies(),
        sizes in vec(1_usize..300, 1..8),
        encoder in 0..ENCODERS.len(),
        flush_at in vec(1_usize..2000, 1..4),
    ) {
        let encoder = &ENCODERS[encoder];
        let flushes: Vec<Vec<u8>> = cut(&body, &flush_at).into_iter().map(<[u8]>::to_vec).collect();
        let encoded = (encoder.flushing)(&flushes).concat();
        prop_assert_eq!(decode(encoder.coding, cut(&encoded, &sizes)), (body, Ok(())));
    }

    #[test]
    fn any_bytes_are_survived(
        bytes in vec(any::<u8>(), 0..2000),
        sizes in vec(1_usize..300, 1..8),
        coding in 0..4_usize,
        valid_start: bool,
    ) {
        let starts: [(_, &[u8]); 4] = [
            ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\0"),
            ("deflate", b"\x78\x9c"),
            ("br", b"\x0b"),
            ("zstd", b"\x28\xb5\x2f\xfd\0\x58"),
        ];
        let (coding, start) = starts[coding];
        let body = [if valid_start { start } else { &[] }, &bytes].concat();
        prop_assert!(agree(&decode(coding, cut(&body, &sizes)), &decode(coding, [body.as_slice()])));
    }

    #[test]
    fn any_damage_is_survived(
        body in bodies(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        sizes in vec(1_usize..300, 1..8),
        encoder in 0..ENCODERS.len(),
    ) {
        let encoder = &ENCODERS[encoder];
        let mut encoded = encoder.whole(&body);
        for (at, byte) in damage {
            let at = at.index(encoded.len());
            encoded[at] = byte;
        }
        let whole = decode(encoder.coding, [encoded.as_slice()]);
        prop_assert!(agree(&decode(encoder.coding, cut(&encoded, &sizes)), &whole));
    }
}
