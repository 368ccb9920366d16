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
}

/// Token counts; `None` was not reported, which is not 0.
///
/// In a [`Record`](crate::Record) they are inclusive: input holds cached and audio tokens, output
/// holds reasoning and audio tokens, and the others are subsets of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens.
    pub input: Option<u64>,
    /// All output tokens.
    pub output: Option<u64>,
    /// Input and output, as the server adds them up.
    pub total: Option<u64>,
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
    /// Takes one reported count. Reports are cumulative, so the last one of a field stands.
    pub(crate) fn report(&mut self, count: Count, tokens: u64) {
        let field = match count {
            Count::Input => &mut self.input,
            Count::Output => &mut self.output,
            Count::Total => &mut self.total,
            Count::CacheRead => &mut self.cache_read,
            Count::CacheWrite => &mut self.cache_write,
            Count::Reasoning => &mut self.reasoning,
            Count::AudioInput => &mut self.audio_input,
            Count::AudioOutput => &mut self.audio_output,
        };
        *field = Some(tokens);
    }

    /// The OpenAI family's counts as inclusive ones. They nearly always are; xAI leaves reasoning out
    /// of the output, which shows in the total.
    pub(crate) fn openai_inclusive(mut self) -> Self {
        if let (Some(input), Some(output), Some(total), Some(reasoning)) =
            (self.input, self.output, self.total, self.reasoning)
        {
            let with_reasoning = output.saturating_add(reasoning);
            if reasoning > 0 && input.saturating_add(with_reasoning) == total {
                self.output = Some(with_reasoning);
            }
        }
        self
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

    fn usage(input: u64, output: u64, total: u64, reasoning: u64) -> Usage {
        let (input, output, total) = (Some(input), Some(output), Some(total));
        Usage { input, output, total, reasoning: Some(reasoning), ..Usage::default() }
    }

    #[test]
    fn the_last_report_of_a_field_stands() {
        let mut usage = Usage::default();
        usage.report(Count::Output, 1);
        usage.report(Count::Output, 7);
        assert_eq!(usage, Usage { output: Some(7), ..Usage::default() });
    }

    #[test]
    fn reasoning_is_added_only_where_the_total_asks_for_it() {
        assert_eq!(usage(10, 5, 22, 7).openai_inclusive().output, Some(12));
        assert_eq!(usage(10, 12, 22, 7).openai_inclusive().output, Some(12));
        assert_eq!(usage(10, 5, 15, 0).openai_inclusive().output, Some(5));
    }

    #[test]
    fn hidden_reasoning_was_not_streamed() {
        assert_eq!(usage(10, 12, 22, 7).streamed_output(false), Some(5));
        assert_eq!(usage(10, 12, 22, 7).streamed_output(true), Some(12));
        assert_eq!(Usage::default().streamed_output(true), None);
    }
}
