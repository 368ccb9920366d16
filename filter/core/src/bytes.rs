//! Comparing and searching bytes sixteen at a time.
//!
//! What is called for every event of every stream. In wasm, with SIMD, a comparison of sixteen bytes is
//! one instruction; the comparison and the loops that the compiler makes otherwise take single bytes.

/// Whether two slices hold the same.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<16>(), b.last_chunk::<16>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    let ((a, _), (b, _)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let ((a_fours, a_rest), (b_fours, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let fours = a_fours
        .iter()
        .zip(b_fours)
        .all(|([a, b, c, d], [e, f, g, h])| equal(a, e) & equal(b, f) & equal(c, g) & equal(d, h));
    fours && a_rest.iter().zip(b_rest).all(|(a, b)| equal(a, b)) && equal(a_last, b_last)
}

fn equal(a: &[u8; 16], b: &[u8; 16]) -> bool {
    u128::from_ne_bytes(*a) == u128::from_ne_bytes(*b)
}

/// The text of a JSON string that goes on until its closing quote, and what follows that quote. `None`
/// where there is none, or where a control character, which must not stand in a string, comes first.
pub(crate) fn text_and_rest(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    match find_quote(piece, false) {
        Quote::At { at, controls: false } => {
            Some((piece.get(..at)?, piece.get(at.saturating_add(1)..)?))
        }
        Quote::At { .. } | Quote::Beyond { .. } => None,
    }
}

/// Where a JSON string ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// At its closing quote; whether there were control characters before.
    At { at: usize, controls: bool },
    /// Not in this piece; whether the byte that comes next is escaped.
    Beyond { escaped: bool },
}

/// Finds the quote that closes a string. `escaped` is whether the first byte of the piece is.
pub(crate) fn find_quote(piece: &[u8], escaped: bool) -> Quote {
    let mut escaped = escaped.then_some(0);
    let (mut from, mut controls) = (0_usize, false);
    let (chunks, tail) = piece.as_chunks::<16>();
    let mut last = [b'x'; 16];
    for (slot, byte) in last.iter_mut().zip(tail) {
        *slot = *byte;
    }
    for chunk in chunks.iter().chain([&last]) {
        let mut specials = find_specials(chunk);
        while let Ok(bit) = usize::try_from(specials.trailing_zeros())
            && specials != 0
        {
            specials &= specials.saturating_sub(1);
            let at = from.saturating_add(bit);
            match chunk.get(bit) {
                Some(b'"' | b'\\') if escaped == Some(at) => {}
                Some(b'"') => return Quote::At { at, controls },
                Some(b'\\') => escaped = at.checked_add(1),
                _ => controls = true,
            }
        }
        from = from.saturating_add(16);
    }
    Quote::Beyond { escaped: escaped == Some(piece.len()) }
}

/// A bit for each quote, backslash and control character, the lowest for the first byte.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn find_specials(bytes: &[u8; 16]) -> u16 {
    use std::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128_or};
    let bytes = u128::from_le_bytes(*bytes);
    #[expect(clippy::cast_possible_truncation, reason = "each half in turn")]
    let bytes = u64x2(bytes as u64, (bytes >> 64) as u64);
    let quotes = u8x16_eq(bytes, u8x16_splat(b'"'));
    let backslashes = u8x16_eq(bytes, u8x16_splat(b'\\'));
    let controls = u8x16_lt(bytes, u8x16_splat(b' '));
    u8x16_bitmask(v128_or(v128_or(quotes, backslashes), controls))
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn find_specials(bytes: &[u8; 16]) -> u16 {
    let is_special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    // Mostly there is none, and that the compiler can see at a glance: this loop has no other result.
    if !bytes.iter().fold(false, |any, byte| any | is_special(*byte)) {
        return 0;
    }
    bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u16::from(is_special(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_same_is_what_is_equal(a in prop::collection::vec(0_u8..2, 0..200), at: prop::sample::Index) {
            prop_assert!(same(&a, &a.clone()));
            prop_assert!(a.is_empty() || !same(&a, &a[1..]));
            if !a.is_empty() {
                let mut b = a.clone();
                b[at.index(a.len())] ^= 0x80;
                prop_assert!(!same(&a, &b));
            }
        }

        #[test]
        fn text_ends_at_the_first_quote_that_is_not_escaped(
            text in r#"([a-zé]|\\[nu"\\]){0,80}"#,
            rest in "[a-z\"\n]{0,40}",
        ) {
            let whole = format!("{text}\"{rest}");
            let expected = Some((text.as_bytes(), rest.as_bytes()));
            prop_assert_eq!(text_and_rest(whole.as_bytes()), expected);
            prop_assert_eq!(text_and_rest(text.as_bytes()), None);
        }

        #[test]
        fn control_characters_end_no_text(text in "[a-z]{0,80}", control in 0_u8..32, escaped: bool) {
            let escape = if escaped { "\\" } else { "" };
            let whole = format!("{text}{escape}{}\"", char::from(control));
            prop_assert_eq!(text_and_rest(whole.as_bytes()), None);
        }
    }
}
