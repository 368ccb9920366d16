//! What a token of each kind weighs against the others when used time is shared out.

use std::collections::BTreeMap;

use super::TokenType;

/// The heaviest weight that is accepted.
pub const MAX_WEIGHT: f64 = 1e6;
/// Weights are kept in millionths, so that shares are integers.
const MILLIONTHS: f64 = 1e6;

/// Weights of the three kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    uncached_input: u64,
    cached_input: u64,
    output: u64,
}

impl Weights {
    /// From config values; `None` unless each is 0 to [`MAX_WEIGHT`] and one is above 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    pub fn new(uncached_input: f64, cached_input: f64, output: f64) -> Option<Self> {
        let millionths = |weight: f64| {
            (0.0..=MAX_WEIGHT).contains(&weight).then(|| (weight * MILLIONTHS).round() as u64)
        };
        let weights = Self {
            uncached_input: millionths(uncached_input)?,
            cached_input: millionths(cached_input)?,
            output: millionths(output)?,
        };
        TokenType::ALL.iter().any(|kind| weights.millionths(*kind) > 0).then_some(weights)
    }

    /// All three times `factor`; `None` where one leaves the range or vanishes.
    pub fn scaled(self, factor: f64) -> Option<Self> {
        let scaled = TokenType::ALL.map(|kind| self.weight(kind) * factor);
        let [uncached_input, cached_input, output] = scaled;
        (factor > 0.0).then(|| Self::new(uncached_input, cached_input, output))?
    }

    /// The weight of one token, in millionths.
    pub(super) fn millionths(self, token_type: TokenType) -> u64 {
        match token_type {
            TokenType::UncachedInput => self.uncached_input,
            TokenType::CachedInput => self.cached_input,
            TokenType::Output => self.output,
        }
    }

    /// The weight of one token as it was configured.
    #[expect(clippy::cast_precision_loss, reason = "weights are below 2^53 millionths")]
    pub fn weight(self, token_type: TokenType) -> f64 {
        self.millionths(token_type) as f64 / MILLIONTHS
    }
}

impl Default for Weights {
    /// The medians of published prices: output costs about four times uncached input, cached input
    /// a tenth.
    fn default() -> Self {
        Self { uncached_input: 1_000_000, cached_input: 100_000, output: 4_000_000 }
    }
}

/// The weights of every model.
#[derive(Clone, Debug, Default)]
pub struct WeightTable {
    /// For models without weights of their own.
    pub default: Weights,
    /// By model, as configured.
    pub models: BTreeMap<String, Weights>,
    /// By model, as learned.
    pub learned: BTreeMap<String, Weights>,
}

impl WeightTable {
    /// The weights of a model: configured before learned before default.
    pub fn of(&self, model: &str) -> Weights {
        let own = self.models.get(model).or_else(|| self.learned.get(model));
        own.copied().unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_as_configured() {
        assert_eq!(Weights::new(1.0, 0.1, 4.0), Some(Weights::default()));
        assert_eq!(Weights::default().weight(TokenType::CachedInput), 0.1);
    }

    #[test]
    fn weights_that_cannot_split_do_not_exist() {
        assert_eq!(Weights::new(0.0, 0.0, 0.0), None);
        assert_eq!(Weights::new(-1.0, 0.0, 1.0), None);
        assert_eq!(Weights::new(f64::NAN, 0.0, 1.0), None);
        assert_eq!(Weights::new(2e6, 0.0, 1.0), None);
    }
}
