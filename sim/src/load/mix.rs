//! In which proportions requests go how: `ok=70,abort=20,http:429=5,error_in_stream=5`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::fault::{HttpFault, StreamFault};
use crate::plan::{Plan, Stage};

/// A kind of plan whose numbers are drawn per request, or a plan with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipe {
    Abort,
    Truncate,
    Stall,
    ErrorInStream,
    Http,
    Exactly(Plan),
}

/// Weighted ways for a request to go.
///
/// `abort`, `truncate`, `stall`, `error_in_stream` and `http` draw what they leave open; every full plan, such as
/// `http:429:insufficient_quota`, is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    parts: Vec<(Recipe, u32)>,
    /// More than 0.
    total: u32,
}

impl Mix {
    /// Nothing goes wrong.
    pub fn ok() -> Self {
        Self { parts: vec![(Recipe::Exactly(Plan::Ok), 1)], total: 1 }
    }

    /// Draws one way for a request of so many output tokens.
    pub(super) fn draw(&self, output_tokens: u32, rng: &mut StdRng) -> Plan {
        let mut ticket = rng.random_range(0..self.total);
        let part = self.parts.iter().find(|(_, weight)| {
            let hit = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            hit
        });
        part.map_or(Plan::Ok, |(recipe, _)| recipe.draw(output_tokens, rng))
    }

    /// Whether a server that knows nothing of plans can play its part.
    pub(super) fn is_possible_for_real_servers(&self) -> bool {
        let possible = |recipe: &Recipe| {
            matches!(
                recipe,
                Recipe::Abort | Recipe::Exactly(Plan::Ok) | Recipe::Exactly(Plan::Abort(_))
            )
        };
        self.parts.iter().all(|(recipe, _)| possible(recipe))
    }
}

impl Recipe {
    fn draw(self, output_tokens: u32, rng: &mut StdRng) -> Plan {
        // Plans count events, and an answer can have fewer events than tokens: reasoning can be hidden, tokens can
        // share an event. In the first quarter of the tokens there is an event to be had all the same.
        let early = (output_tokens / 4).max(1);
        match self {
            Self::Exactly(plan) => plan,
            Self::Abort => Plan::Abort(Stage::Events(rng.random_range(1..=early))),
            Self::Truncate => Plan::Truncate { after: rng.random_range(0..=early) },
            Self::Stall => Plan::Stall {
                after: rng.random_range(1..=early),
                pause: Duration::from_millis(rng.random_range(200..=1200)),
            },
            Self::ErrorInStream => Plan::ErrorInStream {
                after: rng.random_range(0..=early),
                shape: pick(StreamFault::ALL, rng),
            },
            Self::Http => pick(HttpFault::ALL, rng).map_or(Plan::Ok, Plan::Http),
        }
    }
}

fn pick<T: Copy>(all: &[T], rng: &mut StdRng) -> Option<T> {
    all.get(rng.random_range(0..all.len().max(1))).copied()
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "abort" => Self::Abort,
            "truncate" => Self::Truncate,
            "stall" => Self::Stall,
            "error_in_stream" => Self::ErrorInStream,
            "http" => Self::Http,
            plan => Self::Exactly(plan.parse()?),
        })
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut total: u32 = 0;
        for part in text.split(',') {
            let (recipe, weight) = part
                .split_once('=')
                .ok_or_else(|| format!("mix `{part}`: write it as PLAN=WEIGHT"))?;
            let weight: u32 = weight
                .trim()
                .parse()
                .map_err(|_| format!("mix `{part}`: the weight must be a whole number"))?;
            total = total
                .checked_add(weight)
                .ok_or_else(|| format!("mix `{text}`: the weights are too large"))?;
            parts.push((recipe.trim().parse()?, weight));
        }
        if total == 0 {
            return Err(format!("mix `{text}`: all weights are 0"));
        }
        Ok(Self { parts, total })
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abort => f.write_str("abort"),
            Self::Truncate => f.write_str("truncate"),
            Self::Stall => f.write_str("stall"),
            Self::ErrorInStream => f.write_str("error_in_stream"),
            Self::Http => f.write_str("http"),
            Self::Exactly(plan) => write!(f, "{plan}"),
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (recipe, weight)) in self.parts.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{recipe}={weight}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn shares_come_out_as_asked() {
        let mix: Mix = "ok=70,abort=20,http:429:insufficient_quota=10".parse().unwrap();
        let mut rng = StdRng::seed_from_u64(3);
        let plans: Vec<_> = (0..10_000).map(|_| mix.draw(40, &mut rng)).collect();
        let share = |is: fn(&Plan) -> bool| plans.iter().filter(|plan| is(plan)).count();
        assert!((6800..7200).contains(&share(|plan| *plan == Plan::Ok)));
        assert!((1800..2200).contains(&share(|plan| matches!(plan, Plan::Abort(_)))));
        assert!((850..1150).contains(&share(|plan| *plan == Plan::Http(HttpFault::Quota))));
    }

    #[test]
    fn a_client_never_plans_to_stay_for_all_of_it() {
        let mix: Mix = "abort=1".parse().unwrap();
        let mut rng = StdRng::seed_from_u64(3);
        for tokens in 4..50 {
            match mix.draw(tokens, &mut rng) {
                Plan::Abort(Stage::Events(after)) => {
                    assert!(after <= tokens / 4, "{after} of {tokens}")
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_mix_reads_back_and_wrong_ones_are_refused() {
        let text = "ok=70,abort=20,http:429:insufficient_quota=3,stall=2,truncate=5";
        assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        for (text, reason) in
            [("ok", "PLAN=WEIGHT"), ("ok=x", "whole number"), ("ok=0", "0"), ("nap=3", "no plan")]
        {
            assert!(text.parse::<Mix>().unwrap_err().contains(reason), "{text}");
        }
    }
}
