//! A reader of server-sent events, as simple as a client may be: it holds the bytes until a blank line comes.

/// Longest event that is waited for; a longer one is not an event stream.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// Bytes that have not become an event yet.
#[derive(Debug, Default)]
pub(super) struct SseReader {
    carry: Vec<u8>,
    /// How far the carry is known to hold no blank line.
    searched: usize,
}

impl SseReader {
    /// Takes the next bytes and gives the data of each event that they complete. Both LF and CRLF end a line.
    pub(super) fn push(&mut self, bytes: &[u8], mut on_data: impl FnMut(&str)) {
        self.carry.extend(bytes.iter().filter(|byte| **byte != b'\r'));
        let mut start = 0;
        let mut from = self.searched;
        while let Some(end) = find_blank_line(&self.carry, from) {
            let event = self.carry.get(start..end).unwrap_or_default();
            if let Some(data) = data(event) {
                on_data(&data);
            }
            start = end + 2;
            from = start;
        }
        self.carry.drain(..start);
        if self.carry.len() > MAX_EVENT_BYTES {
            self.carry.clear();
        }
        self.searched = self.carry.len().saturating_sub(1);
    }
}

fn find_blank_line(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(2).position(|pair| pair == b"\n\n").map(|offset| from + offset)
}

/// The joined `data` fields; none for a comment or an event without data.
fn data(event: &[u8]) -> Option<String> {
    let event = String::from_utf8_lossy(event);
    let lines: Vec<_> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|value| value.strip_prefix(' ').unwrap_or(value))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\n\ndata: {\"a\":\"ö\"}\r\n\r\nevent: error\ndata:x\ndata: y\n\ndata: [DONE]\n\ndata: lost";

    fn read(size: usize) -> Vec<String> {
        let mut reader = SseReader::default();
        let mut events = Vec::new();
        for piece in STREAM.as_bytes().chunks(size) {
            reader.push(piece, |data| events.push(data.to_owned()));
        }
        events
    }

    #[test]
    fn events_do_not_depend_on_where_the_bytes_are_cut() {
        for size in 1..=STREAM.len() {
            assert_eq!(read(size), ["{\"a\":\"ö\"}", "x\ny", "[DONE]"], "{size}");
        }
    }
}
