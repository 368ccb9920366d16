//! The inside of a JSON string or number.

use crate::bytes::{Quote, find_quote};

/// Undoes JSON escapes in place. An escape that was cut off at the end is dropped; a surrogate, alone
/// or in a pair, becomes `?`: captured texts are identifiers and messages, kept for labels and classes.
pub(super) fn unescape(text: &mut Vec<u8>) {
    let Some(first) = memchr::memchr(b'\\', text) else { return };
    let mut rest = text.split_off(first).into_iter();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => text.push(b'\n'),
            Some(b't') => text.push(b'\t'),
            Some(b'r') => text.push(b'\r'),
            Some(b'b' | b'f') => text.push(b' '),
            Some(b'u') => {
                let digits: Vec<u8> = rest.by_ref().take(4).collect();
                let Some(code) = hex4(&digits) else { return };
                let character = char::from_u32(code).unwrap_or('?');
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some(other) => text.push(other),
            None => return,
        }
    }
}

fn hex4(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 4)?;
    u32::from_str_radix(digits, 16).ok()
}

/// The non-negative integer that a JSON number stands for. Servers also write counts as `3.0` and
/// durations as `5e9`; a fraction that is not zero, a sign or more than 2^53 is no count.
///
/// Written by hand because the standard float parser alone would be a tenth of the filter.
pub(super) fn count(number: &[u8]) -> Option<u64> {
    let (number, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (number.get(..at)?, digits(strip_plus(number.get(at..)?.get(1..)?))?),
        None => (number, 0),
    };
    let (whole, fraction) = match memchr::memchr(b'.', number) {
        Some(at) => (number.get(..at)?, number.get(at..)?.get(1..)?),
        None => (number, &b"0"[..]),
    };
    if fraction.is_empty() || fraction.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(exponent).ok()?)?;
    digits(whole)?.checked_mul(scale).filter(|count| *count <= 1 << 53)
}

fn strip_plus(number: &[u8]) -> &[u8] {
    number.strip_prefix(b"+").unwrap_or(number)
}

fn digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Where a piece of a string ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StringEnd<'p> {
    /// At its closing quote; the rest of the piece follows.
    Closed(&'p [u8]),
    /// In the middle, after a lone backslash.
    Escaped,
    /// In the middle.
    Open,
}

/// Splits a piece that starts inside a string into what belongs to the string and how it ends.
pub(super) fn string_part(piece: &[u8], escaped: bool) -> (&[u8], StringEnd<'_>) {
    match find_quote(piece, escaped) {
        Quote::At { at, .. } => match piece.split_at_checked(at) {
            Some((inside, [_, tail @ ..])) => (inside, StringEnd::Closed(tail)),
            _ => (piece, StringEnd::Open),
        },
        Quote::Beyond { escaped: true } => (piece, StringEnd::Escaped),
        Quote::Beyond { escaped: false } => (piece, StringEnd::Open),
    }
}

/// Appends as much of `bytes` as fits under `cap`. A carry that is full holds `cap` bytes, so that the
/// kept start is the same however the text was cut.
pub(super) fn keep(carry: &mut Vec<u8>, bytes: &[u8], cap: usize) {
    let room = cap.saturating_sub(carry.len());
    carry.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(escaped: &str, plain: &str) {
        let mut text = escaped.as_bytes().to_vec();
        unescape(&mut text);
        assert_eq!(String::from_utf8_lossy(&text), plain);
    }

    #[test]
    fn escapes() {
        check_text("plain", "plain");
        check_text(r"meta-llama\/Llama", "meta-llama/Llama");
        check_text(r#"a\"b\\c\nd"#, "a\"b\\c\nd");
        check_text(r"\u0067pt", "gpt");
        check_text(r"\ud83d\ude00!", "??!");
        check_text(r"cut\", "cut");
        check_text(r"cut\u00", "cut");
        check_text(r"bad\u00zz", "bad");
    }

    #[test]
    fn counts() {
        assert_eq!(count(b"42"), Some(42));
        assert_eq!(count(b"3.0"), Some(3));
        assert_eq!(count(b"5e9"), Some(5_000_000_000));
        assert_eq!(count(b"2.0E+3"), Some(2_000));
        assert_eq!(count(b"9007199254740992"), Some(1 << 53));
        for bad in [
            "-1",
            "1.5",
            "1e-3",
            "1e400",
            "1e4000000000",
            "9007199254740993",
            "99999999999999999999",
            "",
            "-",
            "1.",
            ".0",
            "e5",
            "1e",
            "nan",
            "inf",
        ] {
            assert_eq!(count(bad.as_bytes()), None, "{bad}");
        }
    }
}
