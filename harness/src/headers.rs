//! Header maps, and their form in guest memory.

use crate::abi::size32;

/// Headers or trailers in order. Names are lower-case, as in Envoy (`Http::LowerCaseString`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMap(Vec<(Vec<u8>, Vec<u8>)>);

impl HeaderMap {
    /// Takes names and values of any kind of bytes.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Self {
        let mut map = Self::default();
        for (name, value) in pairs {
            map.add(name.as_ref(), value.as_ref());
        }
        map
    }

    /// The first value of this name. Envoy's `getHeaderMapValue` gives the first one only.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let (_, value) = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_owned()));
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    pub(crate) fn replace(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Sum of all names and values: what `HeaderMap::byteSize` counts.
    pub(crate) fn byte_size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The form in guest memory (`marshalPairs`, proxy-wasm-cpp-host): a count, all lengths, then
    /// every name and value with a NUL behind it; numbers are 32-bit little-endian.
    pub(crate) fn marshal(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.0.len() * 10 + self.byte_size());
        bytes.extend(size32(self.0.len()).to_le_bytes());
        for (name, value) in self.iter() {
            bytes.extend(size32(name.len()).to_le_bytes());
            bytes.extend(size32(value.len()).to_le_bytes());
        }
        for (name, value) in self.iter() {
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(value);
            bytes.push(0);
        }
        bytes
    }

    /// The reverse of [`Self::marshal`]. `None` where a length leaves `bytes`.
    pub(crate) fn unmarshal(bytes: &[u8]) -> Option<Self> {
        let (count, mut lengths) = take_u32(bytes)?;
        let lengths_size = usize::try_from(count).ok()?.checked_mul(8)?;
        let mut data = lengths.get(lengths_size..)?;
        let mut map = Self::default();
        for _ in 0..count {
            let (name_size, rest) = take_u32(lengths)?;
            let (value_size, rest) = take_u32(rest)?;
            lengths = rest;
            let (name, rest) = take_terminated(data, name_size)?;
            let (value, rest) = take_terminated(rest, value_size)?;
            data = rest;
            map.add(name, value);
        }
        Some(map)
    }
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

fn take_terminated(bytes: &[u8], size: u32) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
    Some((text, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_form_has_counts_lengths_and_terminators() {
        let map = HeaderMap::new(&[("A", "xy")]);
        assert_eq!(map.marshal(), b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0xy\0");
        assert_eq!(HeaderMap::unmarshal(&map.marshal()), Some(map));
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        for bytes in
            [&b""[..], b"\x01\0\0\0", b"\xff\xff\xff\xff", b"\x01\0\0\0\x09\0\0\0\0\0\0\0a\0\0"]
        {
            assert_eq!(HeaderMap::unmarshal(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn names_match_in_any_case_and_replace_leaves_one() {
        let mut map = HeaderMap::new(&[("Accept", "a"), ("accept", "b")]);
        assert_eq!(map.get(b"ACCEPT"), Some(&b"a"[..]));
        map.replace(b"Accept", b"c");
        assert_eq!(map, HeaderMap::new(&[("accept", "c")]));
    }
}
