//! Dollars per million tokens over a sliding window, for people to read. Rules use the counters.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{NanoDollars, TokenType};

/// The window slides in this many steps.
const SLOTS: u32 = 12;
const MILLION: f64 = 1e6;

/// Dollars per million tokens of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitCost {
    /// By what the tokens used.
    pub usage: f64,
    /// With idle, pending and unattributed money spread over all that was used, so that it adds up
    /// to the bill.
    pub allocation: f64,
}

/// The unit costs of one model; absent where there were too few tokens to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelUnitCosts {
    /// By kind of token.
    pub by_type: BTreeMap<TokenType, UnitCost>,
    /// Over all kinds.
    pub all: Option<UnitCost>,
}

#[derive(Debug)]
pub(super) struct Window {
    step: Duration,
    in_step: Duration,
    min_tokens: u64,
    /// The youngest slot last; never empty, at most [`SLOTS`].
    slots: VecDeque<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    bill: NanoDollars,
    lines: BTreeMap<(String, TokenType), Line>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    cost: NanoDollars,
    tokens: u64,
}

impl Line {
    fn add(&mut self, other: Self) {
        self.cost += other.cost;
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

impl Window {
    /// A window over `length`, silent about a model below `min_tokens`.
    pub(super) fn new(length: Duration, min_tokens: u64) -> Self {
        Self {
            step: length / SLOTS,
            in_step: Duration::ZERO,
            min_tokens: min_tokens.max(1),
            slots: [Slot::default()].into(),
        }
    }

    /// Moves on by one tick that was billed `bill`.
    pub(super) fn advance(&mut self, elapsed: Duration, bill: NanoDollars) {
        self.in_step += elapsed;
        if self.in_step > self.step {
            self.in_step = Duration::ZERO;
            self.slots.push_back(Slot::default());
            if self.slots.len() > SLOTS as usize {
                self.slots.pop_front();
            }
        }
        if let Some(slot) = self.slots.back_mut() {
            slot.bill += bill;
        }
    }

    /// Counts tokens and what they cost.
    pub(super) fn add(
        &mut self,
        model: &str,
        token_type: TokenType,
        cost: NanoDollars,
        tokens: u64,
    ) {
        if let Some(slot) = self.slots.back_mut() {
            slot.lines
                .entry((model.to_owned(), token_type))
                .or_default()
                .add(Line { cost, tokens });
        }
    }

    /// The unit costs of each model in the window.
    pub(super) fn unit_costs(&self) -> BTreeMap<String, ModelUnitCosts> {
        let mut lines = BTreeMap::<&(String, TokenType), Line>::new();
        for (key, line) in self.slots.iter().flat_map(|slot| &slot.lines) {
            lines.entry(key).or_default().add(*line);
        }
        let bill: NanoDollars = self.slots.iter().map(|slot| slot.bill).sum();
        let attributed: NanoDollars = lines.values().map(|line| line.cost).sum();
        let overhead = bill.dollars() / attributed.dollars();
        let unit = |line: &Line| self.unit_cost(line, overhead);

        let mut totals = BTreeMap::<&str, Line>::new();
        let mut costs = BTreeMap::<String, ModelUnitCosts>::new();
        for ((model, token_type), line) in lines {
            totals.entry(model).or_default().add(line);
            if let Some(cost) = unit(&line) {
                costs.entry(model.clone()).or_default().by_type.insert(*token_type, cost);
            }
        }
        for (model, total) in totals {
            if let Some(cost) = unit(&total) {
                costs.entry(model.to_owned()).or_default().all = Some(cost);
            }
        }
        costs
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio for reading")]
    fn unit_cost(&self, line: &Line, overhead: f64) -> Option<UnitCost> {
        let usage = line.cost.dollars() / line.tokens as f64 * MILLION;
        let allocation = usage * overhead;
        (line.tokens >= self.min_tokens && allocation.is_finite())
            .then_some(UnitCost { usage, allocation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn dollars_per_million_tokens() {
        let mut window = Window::new(HOUR, 1000);
        window.advance(Duration::from_secs(5), NanoDollars(8_000_000));
        window.add("m", TokenType::Output, NanoDollars(3_000_000), 1000);
        window.add("m", TokenType::UncachedInput, NanoDollars(1_000_000), 999);
        let costs = window.unit_costs();
        let m = &costs["m"];
        // 3 milli-dollars for 1000 tokens; the bill was twice what was used.
        assert_eq!(m.by_type[&TokenType::Output], UnitCost { usage: 3.0, allocation: 6.0 });
        assert!(!m.by_type.contains_key(&TokenType::UncachedInput), "too few tokens to say");
        assert_eq!(m.all.map(|cost| (cost.usage * 1999.0).round()), Some(4000.0));
    }

    #[test]
    fn nothing_is_said_without_use() {
        let mut window = Window::new(HOUR, 1);
        window.advance(Duration::from_secs(5), NanoDollars(8));
        window.add("m", TokenType::Output, NanoDollars(0), 5);
        assert!(window.unit_costs().is_empty());
    }

    #[test]
    fn old_slots_leave() {
        let mut window = Window::new(HOUR, 1);
        window.add("m", TokenType::Output, NanoDollars(5), 5);
        for _ in 0..2 * SLOTS {
            window.advance(HOUR / SLOTS, NanoDollars(1));
        }
        assert_eq!(window.slots.len(), SLOTS as usize);
        assert!(window.unit_costs().is_empty());
    }
}
