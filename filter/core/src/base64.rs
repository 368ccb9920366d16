//! Base64 (RFC 4648) as it passes by, within a JSON string.

/// Decodes a text in any number of pieces. Whatever is no Base64 digit, such as the backslash of an
/// escaped slash or padding, is passed over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Base64 {
    bits: u32,
    digits: u8,
}

impl Base64 {
    /// Decodes a piece and hands on what is complete.
    pub(crate) fn push(&mut self, piece: &[u8], mut out: impl FnMut(&[u8])) {
        let mut buffer = [0; 192];
        let mut filled = 0_usize;
        for byte in piece {
            let Some(digit) = digit(*byte) else { continue };
            self.bits = self.bits << 6 | u32::from(digit);
            self.digits = self.digits.saturating_add(1);
            if self.digits < 4 {
                continue;
            }
            let [_, bytes @ ..] = self.bits.to_be_bytes();
            if let Some(slot) = buffer.get_mut(filled..filled.saturating_add(3)) {
                slot.copy_from_slice(&bytes);
            }
            filled = filled.saturating_add(3);
            *self = Self::default();
            if filled == buffer.len() {
                out(&buffer);
                filled = 0;
            }
        }
        out(buffer.get(..filled).unwrap_or_default());
    }

    /// Ends the text: hands on the one or two bytes that the last digits stand for.
    pub(crate) fn finish(&mut self, mut out: impl FnMut(&[u8])) {
        let Self { bits, digits } = std::mem::take(self);
        match digits {
            2 => out(&[low_byte(bits >> 4)]),
            3 => out(&[low_byte(bits >> 10), low_byte(bits >> 2)]),
            _ => {}
        }
    }
}

fn low_byte(bits: u32) -> u8 {
    let [.., low] = bits.to_be_bytes();
    low
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => byte.checked_sub(b'A'),
        b'a'..=b'z' => byte.checked_sub(b'a')?.checked_add(26),
        b'0'..=b'9' => byte.checked_sub(b'0')?.checked_add(52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let (mut base64, mut decoded) = (Base64::default(), Vec::new());
        for piece in pieces {
            base64.push(piece, |bytes| decoded.extend_from_slice(bytes));
        }
        base64.finish(|bytes| decoded.extend_from_slice(bytes));
        String::from_utf8(decoded).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_in_any_cut() {
        let rfc = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (text, plain) in rfc {
            assert_eq!(decode([text.as_bytes()]), plain);
            assert_eq!(decode(text.as_bytes().chunks(1)), plain);
        }
        assert_eq!(decode([&b"Pz8\\/"[..]]), "???");
    }

    #[test]
    fn long_texts() {
        assert_eq!(decode(["Zm9v".repeat(500).as_bytes()]), "foo".repeat(500));
    }
}
