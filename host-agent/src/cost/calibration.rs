//! Learns what tokens weigh from how long pools were busy with them.
//!
//! Each minute in which a pool served one model alone is an equation: busy time = weights · tokens. The
//! sums of a month's equations are kept, and solved for weights that are not negative when the month
//! ends. The result is bounded, and in force for the whole next month, so that anybody can reproduce
//! its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CostKey, TokenType, Weights};

const KINDS: usize = TokenType::ALL.len();
/// The length of one observation: long enough for tokens and the work on them to fall together.
const OBSERVATION: Duration = Duration::from_mins(1);
/// Observations of a model before anything is concluded.
const MIN_OBSERVATIONS: u32 = 60;
/// How far a learned weight may be from the default one.
const BOUNDS: (f64, f64) = (0.25, 4.0);
/// Most models that are learned about.
const MAX_MODELS: usize = 64;
/// Three unknowns converge long before.
const ROUNDS: u32 = 1_000;

/// What has been learned. Saved with the state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// When the present period began, in Unix seconds; 0 before the first one.
    period_start: i64,
    /// The weights in force, in the order of [`TokenType::ALL`].
    in_force: BTreeMap<String, [f64; KINDS]>,
    /// This period's equations.
    models: BTreeMap<String, Sums>,
    /// Each pool's observation as it is made.
    #[serde(skip)]
    open: BTreeMap<usize, Observation>,
}

/// The normal equations of a least-squares fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    observations: u32,
    /// Products of token counts, each kind with each.
    tokens: [[f64; KINDS]; KINDS],
    /// Products of token counts and busy seconds.
    busy: [f64; KINDS],
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Observation {
    time: Duration,
    busy: Duration,
    tokens: BTreeMap<String, [f64; KINDS]>,
}

impl Calibration {
    /// The weights in force by model.
    pub(super) fn weights(&self) -> BTreeMap<String, Weights> {
        let weights = self.in_force.iter().filter_map(|(model, [uncached, cached, output])| {
            Some((model.clone(), Weights::new(*uncached, *cached, *output)?))
        });
        weights.collect()
    }

    /// Closes the period before when `start` begins a new one, and says whether it did. A model that
    /// was seen too little keeps the weights that it has.
    pub(super) fn begin(&mut self, start: i64, default: Weights) -> bool {
        let is_first = self.period_start == 0;
        if start <= self.period_start {
            return false;
        }
        self.period_start = start;
        if is_first {
            return false;
        }
        for (model, sums) in std::mem::take(&mut self.models) {
            let known = self.in_force.len() < MAX_MODELS || self.in_force.contains_key(&model);
            if sums.observations >= MIN_OBSERVATIONS && known {
                self.in_force.insert(model, sums.solve(default));
            }
        }
        true
    }

    /// Takes in what a pool did in a tick.
    pub(super) fn observe(
        &mut self,
        place: usize,
        elapsed: Duration,
        busy: Duration,
        tokens: &BTreeMap<CostKey, u64>,
    ) {
        let open = self.open.entry(place).or_default();
        open.time += elapsed;
        open.busy += busy;
        for (key, tokens) in tokens {
            let kinds = open.tokens.entry(key.model.clone()).or_default();
            for (kind, sum) in TokenType::ALL.iter().zip(kinds) {
                #[expect(clippy::cast_precision_loss, reason = "tokens of a minute")]
                if *kind == key.token_type {
                    *sum += *tokens as f64;
                }
            }
        }
        if open.time < OBSERVATION {
            return;
        }
        let Observation { busy, tokens, .. } = std::mem::take(open);
        // Busy time that models share cannot be told apart.
        let mut models = tokens.into_iter();
        let (Some((model, tokens)), None) = (models.next(), models.next()) else { return };
        if self.models.len() < MAX_MODELS || self.models.contains_key(&model) {
            self.models.entry(model).or_default().add(tokens, busy.as_secs_f64());
        }
    }
}

impl Sums {
    fn add(&mut self, tokens: [f64; KINDS], busy: f64) {
        self.observations = self.observations.saturating_add(1);
        for ((row, sum), count) in self.tokens.iter_mut().zip(&mut self.busy).zip(tokens) {
            for (product, other) in row.iter_mut().zip(tokens) {
                *product += count * other;
            }
            *sum += count * busy;
        }
    }

    /// The weights that fit best, scaled to the default ones and kept near them.
    fn solve(&self, default: Weights) -> [f64; KINDS] {
        let default = TokenType::ALL.map(|kind| default.weight(kind));
        let dot =
            |a: &[f64; KINDS], b: &[f64; KINDS]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        // Seconds per weighted token if the default weights were right.
        let squared: f64 =
            self.tokens.iter().zip(default).map(|(row, weight)| weight * dot(row, &default)).sum();
        let scale = dot(&self.busy, &default) / squared;
        if !(scale.is_finite() && scale > 0.0) {
            return default;
        }
        // From there on one unknown at a time, so that what the data cannot tell stays as it was.
        let mut seconds = default.map(|weight| weight * scale);
        for _ in 0..ROUNDS {
            for (kind, (row, busy)) in self.tokens.iter().zip(self.busy).enumerate() {
                let error = busy - dot(row, &seconds);
                if let (Some(own), Some(unknown)) = (row.get(kind), seconds.get_mut(kind))
                    && *own > 0.0
                {
                    *unknown = (*unknown + error / own).max(0.0);
                }
            }
        }
        let (least, most) = BOUNDS;
        let mut weights = default;
        for (weight, seconds) in weights.iter_mut().zip(seconds) {
            if *weight > 0.0 {
                *weight *= (seconds / (*weight * scale)).clamp(least, most);
            }
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::CostOutcome;

    const MONTH: i64 = 30 * 86_400;

    fn tokens(model: &str, counts: [u64; KINDS]) -> BTreeMap<CostKey, u64> {
        let line = |(token_type, count)| {
            let key = CostKey {
                model: model.to_owned(),
                tenant: None,
                token_type,
                outcome: CostOutcome::Ok,
            };
            (key, count)
        };
        TokenType::ALL.into_iter().zip(counts).map(line).collect()
    }

    /// Minutes of varied traffic that takes so many microseconds per token.
    fn after_a_month(minutes: u64, micros: [u64; KINDS]) -> Calibration {
        let mut calibration = Calibration::default();
        assert!(!calibration.begin(MONTH, Weights::default()));
        for minute in 0..minutes {
            let counts = [minute * 7 % 5 * 1_000, minute * 3 % 7 * 1_000, minute * 5 % 11 * 100];
            let busy: u64 = counts.iter().zip(micros).map(|(count, micros)| count * micros).sum();
            let busy = Duration::from_micros(busy);
            calibration.observe(0, OBSERVATION, busy, &tokens("m", counts));
        }
        calibration
    }

    #[track_caller]
    fn check(micros: [u64; KINDS], expected: [f64; KINDS]) {
        let mut calibration = after_a_month(500, micros);
        assert!(calibration.weights().is_empty(), "not before the month is over");
        assert!(calibration.begin(2 * MONTH, Weights::default()));
        let weights = calibration.weights()["m"];
        let scale = expected[0] / weights.weight(TokenType::UncachedInput);
        for (kind, expected) in TokenType::ALL.into_iter().zip(expected) {
            let found = weights.weight(kind) * scale;
            assert!((found - expected).abs() < 0.01 * expected, "{kind:?}: {found} {expected}");
        }
    }

    #[test]
    fn the_true_ratios_are_found() {
        check([1_000, 100, 4_000], [1.0, 0.1, 4.0]);
        check([1_000, 200, 8_000], [1.0, 0.2, 8.0]);
    }

    #[test]
    fn weights_stay_near_the_default() {
        let mut calibration = after_a_month(500, [1_000, 0, 900_000]);
        calibration.begin(2 * MONTH, Weights::default());
        let weights = calibration.weights()["m"];
        for kind in TokenType::ALL {
            let ratio = weights.weight(kind) / Weights::default().weight(kind);
            assert!((0.25..=4.0).contains(&ratio), "{kind:?}: {ratio}");
        }
    }

    #[test]
    fn too_little_and_mixed_traffic_teaches_nothing() {
        let mut little = after_a_month(u64::from(MIN_OBSERVATIONS) - 1, [1_000, 200, 8_000]);
        little.begin(2 * MONTH, Weights::default());
        assert!(little.weights().is_empty());
        let mut mixed = Calibration::default();
        mixed.begin(MONTH, Weights::default());
        for _ in 0..500 {
            let mut both = tokens("a", [1, 2, 3]);
            both.extend(tokens("b", [3, 2, 1]));
            mixed.observe(0, OBSERVATION, OBSERVATION, &both);
        }
        mixed.begin(2 * MONTH, Weights::default());
        assert!(mixed.weights().is_empty());
    }

    #[test]
    fn within_a_month_nothing_changes_and_a_restart_forgets_nothing() {
        let mut calibration = after_a_month(500, [1_000, 200, 8_000]);
        calibration.begin(2 * MONTH, Weights::default());
        let in_force = calibration.weights();
        calibration.observe(0, OBSERVATION, OBSERVATION, &tokens("m", [1, 1, 1]));
        assert!(!calibration.begin(2 * MONTH, Weights::default()));
        let saved = serde_json::to_string(&calibration).unwrap();
        let again: Calibration = serde_json::from_str(&saved).unwrap();
        assert_eq!(again.weights(), in_force);
        assert_eq!(again.models, calibration.models);
    }
}
