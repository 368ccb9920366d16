//! Histogram buckets. They contain every boundary that OpenTelemetry's GenAI conventions advise.

const MS: u64 = 1_000;
const S: u64 = 1_000_000;

/// Times to a first event: TTFB, TTFT, TTFO. Microseconds.
pub(super) const FIRST: &[u64] = &[
    MS,
    5 * MS,
    10 * MS,
    20 * MS,
    40 * MS,
    60 * MS,
    80 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    750 * MS,
    S,
    2_500 * MS,
    5 * S,
    7_500 * MS,
    10 * S,
    15 * S,
    20 * S,
    30 * S,
    45 * S,
    60 * S,
    120 * S,
];

/// Times between tokens or events: TPOT, inter-chunk. Microseconds.
pub(super) const BETWEEN: &[u64] = &[
    MS,
    2 * MS,
    5 * MS,
    10 * MS,
    15 * MS,
    20 * MS,
    25 * MS,
    30 * MS,
    40 * MS,
    50 * MS,
    75 * MS,
    100 * MS,
    150 * MS,
    200 * MS,
    300 * MS,
    400 * MS,
    500 * MS,
    750 * MS,
    S,
    2_500 * MS,
];

/// Whole requests and stalls. Microseconds, doubling from 10 ms.
pub(super) const DURATION: &[u64] = &[
    10 * MS,
    20 * MS,
    40 * MS,
    80 * MS,
    160 * MS,
    320 * MS,
    640 * MS,
    1_280 * MS,
    2_560 * MS,
    5_120 * MS,
    10_240 * MS,
    20_480 * MS,
    40_960 * MS,
    81_920 * MS,
    163_840 * MS,
    327_680 * MS,
];

/// Tokens of one request, times four from 1.
pub(super) const TOKENS: &[u64] =
    &[1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576];
