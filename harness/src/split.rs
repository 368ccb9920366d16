//! Ways to cut a body into chunks.

use std::str::FromStr;
use std::time::Duration;

use crate::wasi::splitmix;

/// How the bytes of an exchange reach the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// As they arrived.
    Whole,
    /// Byte by byte.
    Bytes,
    /// Once whole, then once for each single cut.
    Every,
    /// Cut at random, with empty chunks in between; the same seed gives the same cuts.
    Random(u64),
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let random = |text: &str| text.strip_prefix("random:")?.parse().ok();
        match text {
            "whole" => Ok(Self::Whole),
            "bytes" => Ok(Self::Bytes),
            "every" => Ok(Self::Every),
            _ => random(text).map(Self::Random).ok_or_else(|| {
                "expected whole, bytes, every or random:SEED with a number".to_owned()
            }),
        }
    }
}

/// Offsets at which a body is cut: sorted, and a repeated one makes an empty chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cuts(Vec<usize>);

impl Cuts {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Between all bytes.
    pub(crate) fn bytes(length: usize) -> Self {
        Self((1..length).collect())
    }

    /// The `number`th of the single cuts; in a body with fewer the count begins again.
    pub(crate) fn single(number: usize, length: usize) -> Self {
        let cut = length.checked_sub(1).and_then(|cuts| number.checked_rem(cuts));
        Self(cut.map(|cut| cut + 1).into_iter().collect())
    }

    /// About one cut for eight bytes, a quarter of them doubled.
    pub(crate) fn random(seed: &mut u64, length: usize) -> Self {
        let mut cuts = Vec::new();
        for offset in 0..=length {
            match splitmix(seed) % 32 {
                0..3 => cuts.push(offset),
                3 => cuts.extend([offset, offset]),
                _ => {}
            }
        }
        Self(cuts)
    }

    /// The chunks of `body`, each with the time at which it arrives. Cutting never moves a byte in time.
    pub(crate) fn chunks<'a>(
        &self,
        body: &'a [u8],
        arrivals: &[(Duration, usize)],
    ) -> Vec<(Duration, &'a [u8])> {
        let mut chunks = Vec::new();
        let mut cuts = self.0.iter().copied().peekable();
        let mut start = 0;
        for &(at, end) in arrivals {
            while let Some(cut) = cuts.next_if(|&cut| cut < end) {
                chunks.extend(body.get(start..cut).map(|chunk| (at, chunk)));
                start = cut;
            }
            chunks.extend(body.get(start..end).map(|chunk| (at, chunk)));
            start = end;
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_millis(5);

    fn texts<'a>(
        cuts: &Cuts,
        body: &'a str,
        arrivals: &[(Duration, usize)],
    ) -> Vec<(Duration, &'a str)> {
        let chunks = cuts.chunks(body.as_bytes(), arrivals);
        chunks.into_iter().map(|(at, bytes)| (at, std::str::from_utf8(bytes).unwrap())).collect()
    }

    #[test]
    fn reads_its_names() {
        assert_eq!("random:7".parse(), Ok(Split::Random(7)));
        assert_eq!("every".parse(), Ok(Split::Every));
        assert!("random".parse::<Split>().is_err());
        assert!("random:x".parse::<Split>().is_err());
    }

    #[test]
    fn cuts_refine_arrivals_and_keep_their_times() {
        let arrivals = [(NOW, 2), (LATER, 4)];
        assert_eq!(texts(&Cuts::none(), "abcd", &arrivals), [(NOW, "ab"), (LATER, "cd")]);
        let bytes = texts(&Cuts::bytes(4), "abcd", &arrivals);
        assert_eq!(bytes[..2], [(NOW, "a"), (NOW, "b")]);
        assert_eq!(bytes.last(), Some(&(LATER, "d")));
        let doubled = Cuts(vec![1, 1]);
        assert_eq!(texts(&doubled, "ab", &[(NOW, 2)]), [(NOW, "a"), (NOW, ""), (NOW, "b")]);
    }

    #[test]
    fn single_cuts_wrap_around_and_need_two_bytes() {
        assert_eq!([0, 1, 2].map(|n| Cuts::single(n, 3).0), [vec![1], vec![2], vec![1]]);
        assert_eq!(Cuts::single(5, 1), Cuts::none());
        assert_eq!(Cuts::single(5, 0), Cuts::none());
    }

    #[test]
    fn random_cuts_lose_no_byte_repeat_with_the_seed_and_leave_empty_chunks() {
        let body = "x".repeat(1000);
        let cut = |mut seed: u64| texts(&Cuts::random(&mut seed, 1000), &body, &[(NOW, 1000)]);
        let chunks = cut(1);
        assert_eq!(chunks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>(), 1000);
        assert!(chunks.iter().any(|(_, chunk)| chunk.is_empty()));
        assert_eq!(cut(1), chunks);
        assert_ne!(cut(2), chunks);
    }
}
