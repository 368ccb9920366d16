//! How one simulated model behaves: how fast, how long, in whose dialect.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::spelled;

/// The most output tokens a simulated answer has; requests for more get this many.
pub const MAX_OUTPUT_TOKENS: u32 = 131_072;

spelled! {
    /// Whose habits the server follows when it writes.
    Style {
        /// The hosted API: the role chunk comes at once, reasoning is hidden but counted.
        OpenAi "openai"
        /// vLLM: the role chunk comes with the first token, the last token carries the finish reason.
        Vllm "vllm"
        /// llama.cpp: the role chunk has a null content, usage comes with timings.
        LlamaCpp "llamacpp"
    }
}

/// One model of the simulated server. [`ModelProfile::check`] says which values are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelProfile {
    /// The name that requests ask for.
    pub name: String,
    /// Whose habits it has.
    pub style: Style,
    /// Mean time to the first token, milliseconds.
    pub ttft_ms: f64,
    /// Standard deviation of the time to the first token, milliseconds; the tail is long, as prefill's is.
    pub ttft_jitter_ms: f64,
    /// Decoding speed after the first token.
    pub tokens_per_second: f64,
    /// Each gap between tokens is off by at most this share of its mean, 0 to 1.
    pub gap_jitter: f64,
    /// Output tokens where the request does not fix them, both ends included.
    pub output_tokens: (u32, u32),
    /// The share of the output that is reasoning, 0 to 1.
    pub reasoning_share: f64,
    /// The share of the prompt that the prefix cache holds, 0 to 1.
    pub cached_share: f64,
    /// Tokens that one event carries; more than 1 where the server batches its output.
    pub tokens_per_event: u32,
    /// Bytes of text per token.
    pub bytes_per_token: u32,
}

impl Default for ModelProfile {
    fn default() -> Self {
        Self {
            name: "sim".to_owned(),
            style: Style::Vllm,
            ttft_ms: 80.0,
            ttft_jitter_ms: 25.0,
            tokens_per_second: 80.0,
            gap_jitter: 0.2,
            output_tokens: (24, 160),
            reasoning_share: 0.0,
            cached_share: 0.0,
            tokens_per_event: 1,
            bytes_per_token: 4,
        }
    }
}

impl ModelProfile {
    /// The models that the server has when none are configured: small and large, plain and reasoning, three styles.
    pub fn catalogue() -> Vec<Self> {
        let base = Self::default();
        vec![
            Self { name: "llama-3.1-8b".to_owned(), cached_share: 0.5, ..base.clone() },
            Self {
                name: "qwen3-32b".to_owned(),
                ttft_ms: 180.0,
                ttft_jitter_ms: 60.0,
                tokens_per_second: 45.0,
                reasoning_share: 0.4,
                tokens_per_event: 2,
                ..base.clone()
            },
            Self {
                name: "gpt-4o-mini".to_owned(),
                style: Style::OpenAi,
                ttft_ms: 320.0,
                ttft_jitter_ms: 90.0,
                tokens_per_second: 70.0,
                ..base.clone()
            },
            Self {
                name: "o4-mini".to_owned(),
                style: Style::OpenAi,
                ttft_ms: 250.0,
                ttft_jitter_ms: 80.0,
                tokens_per_second: 110.0,
                reasoning_share: 0.5,
                ..base.clone()
            },
            Self {
                name: "smollm2-135m".to_owned(),
                style: Style::LlamaCpp,
                ttft_ms: 30.0,
                ttft_jitter_ms: 8.0,
                tokens_per_second: 85.0,
                ..base
            },
        ]
    }

    /// Output tokens where the request does not fix them.
    pub fn output_range(&self) -> RangeInclusive<u32> {
        self.output_tokens.0..=self.output_tokens.1
    }

    /// The mean gap between two tokens.
    pub fn mean_gap(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.tokens_per_second)
    }

    /// # Errors
    ///
    /// One sentence that names the model, the key and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let millis = |value: f64| (0.0..=600_000.0).contains(&value);
        let (least, most) = self.output_tokens;
        let rules = [
            (!self.name.is_empty(), "name", "must not be empty"),
            (millis(self.ttft_ms), "ttft_ms", "must be 0 to 600000"),
            (millis(self.ttft_jitter_ms), "ttft_jitter_ms", "must be 0 to 600000"),
            (
                (0.001..=1e6).contains(&self.tokens_per_second),
                "tokens_per_second",
                "must be 0.001 to 1000000",
            ),
            (share(self.gap_jitter), "gap_jitter", "must be 0 to 1"),
            (
                1 <= least && least <= most && most <= MAX_OUTPUT_TOKENS,
                "output_tokens",
                "must be [least, most] with 1 <= least <= most <= 131072",
            ),
            (share(self.reasoning_share), "reasoning_share", "must be 0 to 1"),
            (share(self.cached_share), "cached_share", "must be 0 to 1"),
            ((1..=1024).contains(&self.tokens_per_event), "tokens_per_event", "must be 1 to 1024"),
            ((1..=65_536).contains(&self.bytes_per_token), "bytes_per_token", "must be 1 to 65536"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, rule)) => Err(format!("model `{}`: {key} {rule}", self.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_keeps_its_own_rules() {
        for profile in ModelProfile::catalogue() {
            assert_eq!(profile.check(), Ok(()));
        }
    }

    #[test]
    fn a_bad_value_is_named() {
        let bad = [
            ModelProfile { tokens_per_second: 0.0, ..ModelProfile::default() },
            ModelProfile { tokens_per_second: f64::NAN, ..ModelProfile::default() },
            ModelProfile { output_tokens: (9, 3), ..ModelProfile::default() },
            ModelProfile { reasoning_share: 1.5, ..ModelProfile::default() },
        ];
        for profile in bad {
            assert!(profile.check().unwrap_err().starts_with("model `sim`: "));
        }
    }
}
