//! Tokens of answers that did not say: worked out from what was seen, at the rates of the answers of
//! the same model that did say. Estimates are always marked as such.

use crate::record::Work;

/// Rates of one model, learnt from the answers that reported usage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    output_by_event: Rate,
    output_by_byte: Rate,
    input_by_byte: Rate,
}

/// Tokens for so many events or bytes.
#[derive(Clone, Debug, Default)]
struct Rate {
    tokens: u64,
    units: u64,
}

/// Older answers fade: beyond this many tokens all totals are halved.
const MEMORY: u64 = 1 << 24;

impl Rate {
    fn learn(&mut self, tokens: u64, units: u64) {
        if units == 0 {
            return;
        }
        self.tokens = self.tokens.saturating_add(tokens);
        self.units = self.units.saturating_add(units);
        while self.tokens.max(self.units) > MEMORY {
            self.tokens /= 2;
            self.units /= 2;
        }
    }

    /// `units` at the learnt rate, rounded to the nearest token.
    fn tokens_of(&self, units: u64) -> Option<u64> {
        let scaled = units.checked_mul(self.tokens)?;
        scaled.checked_add(self.units / 2)?.checked_div(self.units).filter(|tokens| *tokens > 0)
    }

    /// Whether it is one token per unit, give or take 5 %; true of a rate that nothing is known of.
    fn is_one(&self) -> bool {
        self.tokens.abs_diff(self.units) <= self.units / 20
    }
}

impl Rates {
    /// Learns from an answer that reported its output tokens. One in a single piece has no events, and
    /// says nothing of how many tokens an event holds.
    pub(crate) fn learn_output(&mut self, work: Work, tokens: u64) {
        self.output_by_event.learn(tokens, work.events);
        self.output_by_byte.learn(tokens, work.content_bytes);
    }

    /// Learns from an answer that reported its input tokens.
    pub(crate) fn learn_input(&mut self, work: Work, tokens: u64) {
        self.input_by_byte.learn(tokens, work.request_bytes);
    }

    /// Output tokens. A server that sends one event per token, and one that nothing is known of yet, is
    /// believed to go on so; others (blocks, several tokens per event) are measured by bytes.
    pub(crate) fn output(&self, work: Work) -> Option<u64> {
        if work.events > 0 && self.output_by_event.is_one() {
            return Some(work.events);
        }
        self.output_by_byte.tokens_of(work.content_bytes)
    }

    /// Input tokens; `None` until an answer of the model has reported its own.
    pub(crate) fn input(&self, work: Work) -> Option<u64> {
        self.input_by_byte.tokens_of(work.request_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(events: u64, content_bytes: u64, request_bytes: u64) -> Work {
        Work { events, content_bytes, request_bytes }
    }

    #[test]
    fn events_are_tokens_until_a_report_says_otherwise() {
        let mut rates = Rates::default();
        assert_eq!(rates.output(work(7, 30, 0)), Some(7));
        rates.learn_output(work(100, 400, 0), 102);
        assert_eq!(rates.output(work(7, 900, 0)), Some(7));
        rates.learn_output(work(100, 4_000, 0), 1_000);
        assert_eq!(rates.output(work(7, 440, 0)), Some(110));
    }

    #[test]
    fn answers_in_one_piece_do_not_blur_the_tokens_of_an_event() {
        let mut rates = Rates::default();
        rates.learn_output(work(100, 400, 0), 100);
        rates.learn_output(work(0, 500, 0), 100);
        assert_eq!(rates.output(work(7, 30, 0)), Some(7));
    }

    #[test]
    fn input_is_unknown_before_the_first_report() {
        let mut rates = Rates::default();
        assert_eq!(rates.input(work(0, 0, 500)), None);
        rates.learn_input(work(0, 0, 1_000), 250);
        assert_eq!(rates.input(work(0, 0, 500)), Some(125));
        assert_eq!(rates.input(work(0, 0, 0)), None);
    }

    #[test]
    fn an_answer_in_one_piece_without_a_rate_is_not_guessed() {
        assert_eq!(Rates::default().output(work(0, 300, 100)), None);
    }

    #[test]
    fn rates_fade_instead_of_overflowing() {
        let mut rates = Rates::default();
        for _ in 0..100 {
            rates.learn_output(work(1, u64::MAX / 2, 0), u64::MAX / 2);
        }
        assert_eq!(rates.output(work(0, 1_000, 0)), Some(1_000));
    }
}
