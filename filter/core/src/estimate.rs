//! Tokens of answers that did not say: worked out from what was seen, at the rates of the answers of
//! the same model that did say. Estimates are always marked as such.

use crate::record::Work;

/// Rates of one model, learnt from the answers that reported usage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    output: Totals,
    input: Totals,
}

#[derive(Clone, Debug, Default)]
struct Totals {
    tokens: u64,
    events: u64,
    bytes: u64,
}

/// Older answers fade: beyond this many tokens all totals are halved.
const MEMORY: u64 = 1 << 24;

impl Totals {
    fn learn(&mut self, tokens: u64, events: u64, bytes: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        self.events = self.events.saturating_add(events);
        self.bytes = self.bytes.saturating_add(bytes);
        while self.tokens.max(self.bytes) > MEMORY {
            self.tokens /= 2;
            self.events /= 2;
            self.bytes /= 2;
        }
    }

    /// `bytes` at the learnt rate, rounded to the nearest token.
    fn for_bytes(&self, bytes: u64) -> Option<u64> {
        let scaled = bytes.checked_mul(self.tokens)?;
        scaled.checked_add(self.bytes / 2)?.checked_div(self.bytes)
    }
}

impl Rates {
    /// Learns from an answer that reported its output tokens.
    pub(crate) fn learn_output(&mut self, work: Work, tokens: u64) {
        if work.content_bytes > 0 {
            self.output.learn(tokens, work.events, work.content_bytes);
        }
    }

    /// Learns from an answer that reported its input tokens.
    pub(crate) fn learn_input(&mut self, work: Work, tokens: u64) {
        if work.request_bytes > 0 {
            self.input.learn(tokens, 0, work.request_bytes);
        }
    }

    /// Output tokens. A server that sends one event per token, and one that nothing is known of yet, is
    /// believed to go on so; others (blocks, several tokens per event) are measured by bytes.
    pub(crate) fn output(&self, work: Work) -> Option<u64> {
        let difference = self.output.tokens.abs_diff(self.output.events);
        let one_per_event = difference <= self.output.events / 20;
        if work.events > 0 && one_per_event {
            return Some(work.events);
        }
        self.output.for_bytes(work.content_bytes).filter(|tokens| *tokens > 0)
    }

    /// Input tokens; `None` until an answer of the model has reported its own.
    pub(crate) fn input(&self, work: Work) -> Option<u64> {
        self.input.for_bytes(work.request_bytes).filter(|tokens| *tokens > 0)
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
    fn totals_fade_instead_of_overflowing() {
        let mut rates = Rates::default();
        for _ in 0..100 {
            rates.learn_output(work(1, u64::MAX / 2, 0), u64::MAX / 2);
        }
        assert_eq!(rates.output(work(0, 1_000, 0)), Some(1_000));
    }
}
