//! AWS event streams, written from text.

/// Frames from lines, each of which is one of:
///
/// ```text
/// event TYPE JSON        an event with this payload
/// chunk JSON             InvokeModel's: the JSON in Base64, in an envelope
/// exception TYPE JSON    an exception
/// cut N                  takes the last N bytes off
/// ```
pub fn from_text(text: &str) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ').expect("a kind and more");
        let typed = || rest.split_once(' ').expect("a type and a payload");
        match kind {
            "event" => stream.extend(event(typed().0, typed().1)),
            "chunk" => {
                let envelope = format!(r#"{{"bytes":"{}","p":"abcd"}}"#, base64(rest.as_bytes()));
                stream.extend(event("chunk", &envelope));
            }
            "exception" => {
                let (name, payload) = typed();
                let headers = [(":exception-type", name), JSON, (":message-type", "exception")];
                stream.extend(frame(&headers, payload.as_bytes()));
            }
            "cut" => {
                let bytes: usize = rest.parse().expect("a number of bytes");
                stream.truncate(stream.len() - bytes);
            }
            other => panic!("no such frame: {other}"),
        }
    }
    stream
}

const JSON: (&str, &str) = (":content-type", "application/json");

fn event(name: &str, payload: &str) -> Vec<u8> {
    frame(&[(":event-type", name), JSON, (":message-type", "event")], payload.as_bytes())
}

/// `u32 total | u32 headers | u32 crc of these | headers | payload | u32 crc of all`, big endian; a header
/// is its name behind a length of one byte, type 7, and its text behind a length of two bytes.
fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("a short name"));
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).expect("a short value").to_be_bytes());
        head.extend(value.as_bytes());
    }
    let size = |bytes: usize| u32::try_from(bytes).expect("a small frame").to_be_bytes();
    let mut frame = size(16 + head.len() + payload.len()).to_vec();
    frame.extend(size(head.len()));
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

/// As in zlib.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xEDB8_8320))
    })
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!([&b"f"[..], b"fo", b"foo"].map(base64), ["Zg==", "Zm8=", "Zm9v"]);
        assert_eq!(frame(&[], b"").len(), 16);
        let cut = from_text("event a {}\ncut 3\n");
        assert_eq!(cut.len(), from_text("event a {}\n").len() - 3);
    }
}
