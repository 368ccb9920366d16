//! What a server says that an answer cost in tokens.

/// A count that servers report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Input,
    Output,
    Total,
    CacheRead,
    CacheWrite,
    Reasoning,
    AudioInput,
    AudioOutput,
    /// Input that tools added (Gemini).
    ToolInput,
}

const COUNTS: usize = 9;

/// The counts as they were reported, whatever they include. Every open stream has one, so which of them
/// have come is kept in bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reports {
    tokens: [u64; COUNTS],
    reported: u16,
}

impl Reports {
    /// Takes a count. Reports are cumulative, so the last one of a field stands.
    pub(crate) fn last(&mut self, count: Count, tokens: u64) {
        if let Some(slot) = self.tokens.get_mut(count as usize) {
            *slot = tokens;
            self.reported |= 1 << count as u16;
        }
    }

    /// Takes a count of a server that says 0 once it has said the number.
    pub(crate) fn largest(&mut self, count: Count, tokens: u64) {
        self.last(count, tokens.max(self.get(count).unwrap_or(0)));
    }

    /// Takes a count that stands only where no other has come.
    pub(crate) fn fallback(&mut self, count: Count, tokens: u64) {
        self.last(count, self.get(count).unwrap_or(tokens));
    }

    fn get(&self, count: Count) -> Option<u64> {
        let reported = self.reported & 1 << count as u16 != 0;
        self.tokens.get(count as usize).copied().filter(|_| reported)
    }
}

/// What a family of APIs means by its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accounting {
    /// Input and output include everything, but for servers whose total says otherwise.
    Inclusive,
    /// Input leaves out what the cache read and wrote (Anthropic, AWS).
    WithoutCache,
    /// Output leaves out reasoning, input leaves out tool prompts (Gemini).
    WithoutThoughts,
}

/// Token counts; `None` was not reported, which is not 0.
///
/// They are inclusive: input holds cached and audio tokens, output holds reasoning and audio tokens,
/// and the others are subsets of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens.
    pub input: Option<u64>,
    /// All output tokens.
    pub output: Option<u64>,
    /// Input read from the prompt cache.
    pub cache_read: Option<u64>,
    /// Input written to the prompt cache.
    pub cache_write: Option<u64>,
    /// Output spent on reasoning.
    pub reasoning: Option<u64>,
    /// Audio in the input.
    pub audio_input: Option<u64>,
    /// Audio in the output.
    pub audio_output: Option<u64>,
}

impl Usage {
    /// Inclusive counts from reported ones.
    pub(crate) fn new(reports: &Reports, accounting: Accounting) -> Self {
        let part = |count| reports.get(count).unwrap_or(0);
        let (input, output) = (reports.get(Count::Input), reports.get(Count::Output));
        let with = |sum: Option<u64>, counts: &[Count]| {
            sum.map(|sum| counts.iter().fold(sum, |sum, count| sum.saturating_add(part(*count))))
        };
        let (input, output) = match accounting {
            Accounting::WithoutCache => {
                (with(input, &[Count::CacheRead, Count::CacheWrite]), output)
            }
            Accounting::WithoutThoughts => {
                let thoughts = part(Count::Reasoning) > 0;
                let output = output.or_else(|| thoughts.then_some(0));
                (with(input, &[Count::ToolInput]), with(output, &[Count::Reasoning]))
            }
            Accounting::Inclusive => {
                // xAI leaves reasoning out of the output, Mistral audio out of the input. It shows in
                // the total, and only there.
                let adds_up = |input: Option<u64>, output: Option<u64>| {
                    let total = reports.get(Count::Total);
                    total.is_some() && input.zip(output).map(|(a, b)| a.saturating_add(b)) == total
                };
                let with_reasoning = with(output, &[Count::Reasoning]);
                let with_audio = with(input, &[Count::AudioInput]);
                if adds_up(input, output) {
                    (input, output)
                } else if adds_up(input, with_reasoning) {
                    (input, with_reasoning)
                } else if adds_up(with_audio, output) {
                    (with_audio, output)
                } else {
                    (input, output)
                }
            }
        };
        Self {
            input,
            output,
            cache_read: reports.get(Count::CacheRead),
            cache_write: reports.get(Count::CacheWrite),
            reasoning: reports.get(Count::Reasoning),
            audio_input: reports.get(Count::AudioInput),
            audio_output: reports.get(Count::AudioOutput),
        }
    }

    /// Tokens that came down the stream: reasoning that was not shown took no part in its pace.
    pub(crate) fn streamed_output(&self, reasoning_was_shown: bool) -> Option<u64> {
        let hidden = if reasoning_was_shown { 0 } else { self.reasoning.unwrap_or(0) };
        Some(self.output?.saturating_sub(hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accounting: Accounting, reported: &[(Count, u64)], input: u64, output: u64) {
        let mut reports = Reports::default();
        reported.iter().for_each(|(count, tokens)| reports.last(*count, *tokens));
        let usage = Usage::new(&reports, accounting);
        assert_eq!((usage.input, usage.output), (Some(input), Some(output)));
    }

    #[test]
    fn the_last_or_the_largest_report_stands() {
        let mut reports = Reports::default();
        for tokens in [9, 4, 7] {
            reports.last(Count::Output, tokens);
            reports.largest(Count::Input, tokens);
        }
        assert_eq!((reports.get(Count::Output), reports.get(Count::Input)), (Some(7), Some(9)));
        assert_eq!(reports.get(Count::Total), None);
    }

    #[test]
    fn what_is_left_out_is_added_where_the_family_leaves_it_out() {
        use Count::{
            AudioInput, CacheRead, CacheWrite, Input, Output, Reasoning, ToolInput, Total,
        };
        let counts = [(Input, 10), (CacheRead, 5), (CacheWrite, 3), (Output, 7)];
        check(Accounting::WithoutCache, &counts, 18, 7);
        check(Accounting::Inclusive, &counts, 10, 7);
        let counts = [(Input, 10), (ToolInput, 4), (Output, 7), (Reasoning, 2)];
        check(Accounting::WithoutThoughts, &counts, 14, 9);
        let counts =
            |total| [(Input, 10), (Output, 5), (Reasoning, 7), (AudioInput, 20), (Total, total)];
        check(Accounting::Inclusive, &counts(22), 10, 12);
        check(Accounting::Inclusive, &counts(15), 10, 5);
        check(Accounting::Inclusive, &counts(35), 30, 5);
        check(Accounting::Inclusive, &counts(99), 10, 5);
    }

    #[test]
    fn gemini_may_think_and_say_nothing() {
        check(Accounting::WithoutThoughts, &[(Count::Input, 3), (Count::Reasoning, 9)], 3, 9);
    }

    #[test]
    fn hidden_reasoning_was_not_streamed() {
        let usage = Usage { output: Some(12), reasoning: Some(7), ..Usage::default() };
        assert_eq!(
            (usage.streamed_output(false), usage.streamed_output(true)),
            (Some(5), Some(12))
        );
        assert_eq!(Usage::default().streamed_output(true), None);
    }
}
