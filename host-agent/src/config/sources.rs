//! The sections of what is read and kept beside the gateway and the GPUs: engines and budgets.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Refusal;
use crate::budget::BudgetSpec;
use crate::cost::NanoDollars;
use crate::engines::EngineConfig;

/// Each engine is a page to fetch at every tick.
const MAX_ENGINES: usize = 64;
/// Each budget is saved at every tick.
const MAX_BUDGETS: usize = 256;
const MAX_BUDGET_DOLLARS: f64 = 1e9;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEngine {
    name: String,
    url: String,
    upstream: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBudget {
    name: String,
    limit_usd: f64,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    tenants: Vec<String>,
}

pub(super) fn engines(raw: Vec<RawEngine>) -> Result<Vec<EngineConfig>, Refusal> {
    if raw.len() > MAX_ENGINES {
        return Err(Refusal::new("engines", format!("at most {MAX_ENGINES}")));
    }
    let mut names = BTreeSet::new();
    let check = |(place, engine): (usize, RawEngine)| {
        let key = |key: &str| format!("engines[{place}].{key}");
        check_name(&key("name"), &engine.name, &mut names)?;
        let url = engine.url.parse().map_err(|why: String| Refusal::new(key("url"), why))?;
        Ok(EngineConfig { name: engine.name, url, upstream: engine.upstream })
    };
    raw.into_iter().enumerate().map(check).collect()
}

pub(super) fn budgets(raw: Vec<RawBudget>) -> Result<Vec<BudgetSpec>, Refusal> {
    if raw.len() > MAX_BUDGETS {
        return Err(Refusal::new("budgets", format!("at most {MAX_BUDGETS}")));
    }
    let mut names = BTreeSet::new();
    let check = |(place, budget): (usize, RawBudget)| {
        let key = |key: &str| format!("budgets[{place}].{key}");
        check_name(&key("name"), &budget.name, &mut names)?;
        let limit = limit(budget.limit_usd).ok_or_else(|| {
            let reason = format!("must be above 0 and at most {MAX_BUDGET_DOLLARS}");
            Refusal::new(key("limit_usd"), reason)
        })?;
        let RawBudget { name, models, tenants, .. } = budget;
        Ok(BudgetSpec { name, limit, models, tenants })
    };
    raw.into_iter().enumerate().map(check).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range was checked"
)]
fn limit(dollars: f64) -> Option<NanoDollars> {
    let in_range = dollars > 0.0 && dollars <= MAX_BUDGET_DOLLARS;
    in_range.then(|| NanoDollars((dollars * 1e9).round() as u64))
}

fn check_name(key: &str, name: &str, names: &mut BTreeSet<String>) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::new(key, "must not be empty"));
    }
    if !names.insert(name.to_owned()) {
        return Err(Refusal::new(key, format!("another one is called `{name}`")));
    }
    Ok(())
}

/// Reads `UTC`, `+02:00` or `-05:30` as seconds ahead of UTC.
pub(super) fn utc_offset(text: &str) -> Result<i64, Refusal> {
    if text == "UTC" {
        return Ok(0);
    }
    let parse = || {
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |digits: &str| {
            let two_digits =
                digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse::<i64>().ok().filter(|_| two_digits)
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    };
    let reason = format!("`{text}` is neither UTC nor an offset like +02:00");
    parse().ok_or_else(|| Refusal::new("utc_offset", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        for (text, seconds) in [("UTC", 0), ("+02:00", 7200), ("-05:30", -19_800)] {
            assert_eq!(utc_offset(text), Ok(seconds));
        }
        for bad in ["", "2", "+2:00", "+02", "+15:00", "+02:60", "é02:00", "+0a:00", "Z"] {
            assert!(utc_offset(bad).is_err(), "{bad}");
        }
    }
}
