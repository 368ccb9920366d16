//! What money is attributed to.

use gaugeway_core::Outcome;

/// One line of the attribution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CostKey {
    /// The model as the filter labels it.
    pub model: String,
    /// The tenant, where the filter knows one.
    pub tenant: Option<String>,
    /// Which tokens.
    pub token_type: TokenType,
    /// What became of the request.
    pub outcome: CostOutcome,
}

/// Kinds of tokens that cost differently. Unlike the filter's counters they do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenType {
    /// Input that the model had to read.
    UncachedInput,
    /// Input that came from the prompt cache.
    CachedInput,
    /// Output, reasoning included.
    Output,
}

impl TokenType {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::UncachedInput, Self::CachedInput, Self::Output];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UncachedInput => "uncached_input",
            Self::CachedInput => "cached_input",
            Self::Output => "output",
        }
    }
}

/// Outcomes as far as money is concerned: what was useful and what was waste.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CostOutcome {
    /// The answer is complete.
    Ok,
    /// The client left.
    Aborted,
    /// The answer failed or broke off.
    Error,
}

impl CostOutcome {
    /// From the filter's outcome label. An outcome that is not known is no success.
    pub fn from_label(outcome: Option<&str>) -> Self {
        match outcome {
            Some(text) if text == Outcome::Success.as_str() => Self::Ok,
            Some(text) if text == Outcome::ClientAbort.as_str() => Self::Aborted,
            Some(_) | None => Self::Error,
        }
    }

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Aborted => "aborted",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_of_the_filter_has_its_place() {
        let mapped: Vec<_> = Outcome::ALL
            .iter()
            .map(|outcome| CostOutcome::from_label(Some(outcome.as_str())).as_str())
            .collect();
        assert_eq!(mapped, ["ok", "error", "aborted", "error"]);
    }
}
