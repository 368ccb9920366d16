//! The sequences of a block (RFC 8878, section 3.1.1.3.2): so many literals, then a match, and again.

use super::bits::Backward;
use super::fse::{Fse, State};

/// How a symbol becomes a number: a base, and so many bits to be added to it.
type Code = (u32, u8);

const LITERAL_CODES: [Code; 36] = [
    (0, 0),
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 0),
    (12, 0),
    (13, 0),
    (14, 0),
    (15, 0),
    (16, 1),
    (18, 1),
    (20, 1),
    (22, 1),
    (24, 2),
    (28, 2),
    (32, 3),
    (40, 3),
    (48, 4),
    (64, 6),
    (128, 7),
    (256, 8),
    (512, 9),
    (1024, 10),
    (2048, 11),
    (4096, 12),
    (8192, 13),
    (16384, 14),
    (32768, 15),
    (65536, 16),
];

const MATCH_CODES: [Code; 53] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 0),
    (12, 0),
    (13, 0),
    (14, 0),
    (15, 0),
    (16, 0),
    (17, 0),
    (18, 0),
    (19, 0),
    (20, 0),
    (21, 0),
    (22, 0),
    (23, 0),
    (24, 0),
    (25, 0),
    (26, 0),
    (27, 0),
    (28, 0),
    (29, 0),
    (30, 0),
    (31, 0),
    (32, 0),
    (33, 0),
    (34, 0),
    (35, 1),
    (37, 1),
    (39, 1),
    (41, 1),
    (43, 2),
    (47, 2),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 5),
    (131, 7),
    (259, 8),
    (515, 9),
    (1027, 10),
    (2051, 11),
    (4099, 12),
    (8195, 13),
    (16387, 14),
    (32771, 15),
    (65539, 16),
];

/// The largest symbol of an offset: so many bits are read, below a leading one.
const MAX_OFFSET_CODE: usize = 31;

const LITERAL_SHARES: [i16; 36] = [
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1,
    -1, -1, -1, -1,
];

const MATCH_SHARES: [i16; 53] = [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
];

const OFFSET_SHARES: [i16; 29] =
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1];

/// One of the three kinds of numbers.
struct Kind {
    /// The shares that need no description, and the bits of their states.
    predefined: (&'static [i16], u32),
    max_log: u32,
    max_symbol: usize,
}

const LITERALS: Kind =
    Kind { predefined: (&LITERAL_SHARES, 6), max_log: 9, max_symbol: LITERAL_CODES.len() - 1 };
const OFFSETS: Kind =
    Kind { predefined: (&OFFSET_SHARES, 5), max_log: 8, max_symbol: MAX_OFFSET_CODE };
const MATCHES: Kind =
    Kind { predefined: (&MATCH_SHARES, 6), max_log: 9, max_symbol: MATCH_CODES.len() - 1 };

/// One step of a block.
pub(super) struct Sequence {
    /// Bytes to copy from the literals.
    pub(super) literals: usize,
    /// How far back to copy from after that, in bytes.
    pub(super) offset: usize,
    /// Bytes to copy from there.
    pub(super) length: usize,
}

/// The tables and offsets that the next block may use again.
pub(super) struct Sequences {
    literals: Option<Fse>,
    offsets: Option<Fse>,
    matches: Option<Fse>,
    recent: Recent,
}

impl Default for Sequences {
    fn default() -> Self {
        Self { literals: None, offsets: None, matches: None, recent: Recent([1, 4, 8]) }
    }
}

impl Sequences {
    /// Reads the section that ends a block, and hands out one sequence after the other.
    pub(super) fn read(
        &mut self,
        section: &[u8],
        mut each: impl FnMut(&Sequence) -> Option<()>,
    ) -> Option<()> {
        let (count, rest) = read_count(section)?;
        if count == 0 {
            return rest.is_empty().then_some(());
        }
        let (&modes, rest) = rest.split_first()?;
        if modes & 3 != 0 {
            return None;
        }
        let rest = LITERALS.read(modes >> 6, rest, &mut self.literals)?;
        let rest = OFFSETS.read(modes >> 4 & 3, rest, &mut self.offsets)?;
        let rest = MATCHES.read(modes >> 2 & 3, rest, &mut self.matches)?;

        let mut bits = Backward::new(rest)?;
        let mut literals = self.literals.as_ref()?.start(&mut bits);
        let mut offsets = self.offsets.as_ref()?.start(&mut bits);
        let mut matches = self.matches.as_ref()?.start(&mut bits);
        for left in (0..count).rev() {
            let offset = read_offset(&offsets, &mut bits)?;
            let length = read_number(&MATCH_CODES, &matches, &mut bits)?;
            let literal = read_number(&LITERAL_CODES, &literals, &mut bits)?;
            let offset = self.recent.resolve(offset, literal == 0)?;
            if left > 0 {
                literals.step(&mut bits);
                matches.step(&mut bits);
                offsets.step(&mut bits);
            }
            if bits.is_overrun() {
                return None;
            }
            each(&Sequence { literals: literal, offset, length })?;
        }
        bits.is_spent().then_some(())
    }
}

/// The number of sequences, and what comes after it.
fn read_count(section: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = section.split_first()?;
    match first {
        0..=127 => Some((usize::from(first), rest)),
        128..=254 => {
            let (&low, rest) = rest.split_first()?;
            Some((usize::from(u16::from_be_bytes([first & 0x7f, low])), rest))
        }
        255 => {
            let (number, rest) = rest.split_first_chunk()?;
            Some((usize::from(u16::from_le_bytes(*number)).saturating_add(0x7f00), rest))
        }
    }
}

impl Kind {
    /// Finds the table that a mode means, and gives what comes after its description.
    fn read<'a>(&self, mode: u8, bytes: &'a [u8], table: &mut Option<Fse>) -> Option<&'a [u8]> {
        match mode {
            0 => {
                let (shares, log) = self.predefined;
                *table = Some(Fse::new(shares, log)?);
                Some(bytes)
            }
            1 => {
                let (&symbol, rest) = bytes.split_first()?;
                *table = Some(Fse::constant(symbol));
                Some(rest)
            }
            2 => {
                let (fse, rest) = Fse::read(bytes, self.max_log, self.max_symbol)?;
                *table = Some(fse);
                Some(rest)
            }
            _ => table.is_some().then_some(bytes),
        }
    }
}

fn read_number(codes: &[Code], state: &State<'_>, bits: &mut Backward<'_>) -> Option<usize> {
    let &(base, more) = codes.get(usize::from(state.symbol()))?;
    usize::try_from(u64::from(base).checked_add(bits.read(u32::from(more)))?).ok()
}

fn read_offset(state: &State<'_>, bits: &mut Backward<'_>) -> Option<usize> {
    let code = u32::from(state.symbol());
    if code as usize > MAX_OFFSET_CODE {
        return None;
    }
    usize::try_from(1_u64.checked_shl(code)? | bits.read(code)).ok()
}

/// The last three offsets, the latest first.
struct Recent([usize; 3]);

impl Recent {
    /// The offset that was meant: numbers up to three say a recent one. After no literals the latest
    /// would only have made the last match longer, so they say the next ones, and then the byte after it.
    fn resolve(&mut self, number: usize, no_literals: bool) -> Option<usize> {
        let [first, second, third] = self.0;
        let (offset, recent) = match number.checked_sub(3) {
            Some(offset) if offset > 0 => (offset, [offset, first, second]),
            _ => match number.saturating_add(usize::from(no_literals)) {
                1 => (first, self.0),
                2 => (second, [second, first, third]),
                3 => (third, [third, first, second]),
                _ => {
                    let offset = first.checked_sub(1).filter(|&offset| offset > 0)?;
                    (offset, [offset, first, second])
                }
            },
        };
        self.0 = recent;
        Some(offset)
    }
}
