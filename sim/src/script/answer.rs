//! What one answer holds and how fast it comes: drawn once, from a seed, before the first byte.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Ask, Finish};
use crate::profile::{MAX_OUTPUT_TOKENS, ModelProfile, Style};
use crate::served::Usage;
use crate::wire::Api;

/// Everything about one answer that is decided before it starts.
#[derive(Debug)]
pub struct Answer {
    /// What the server states, where it states usage.
    pub usage: Usage,
    /// Tokens that are generated but never shown: the reasoning of a hosted model.
    pub hidden_tokens: u32,
    /// Tokens that are shown as reasoning.
    pub reasoning_tokens: u32,
    /// Tokens that are shown as answer or tool call.
    pub answer_tokens: u32,
    /// Whether it calls a tool.
    pub calls_tool: bool,
    /// Why it ends.
    pub finish: Finish,
    /// Time to the first token, shown or hidden.
    pub(super) prefill: Duration,
    /// Draws the gaps between tokens.
    gaps: StdRng,
}

impl Answer {
    /// Decides the answer to one request. The same seed gives the same answer.
    pub fn draw(profile: &ModelProfile, ask: &Ask, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let drawn = rng.random_range(profile.output_range());
        let limit = ask.max_tokens.unwrap_or(MAX_OUTPUT_TOKENS).min(MAX_OUTPUT_TOKENS);
        let output = match ask.api {
            Api::Chat | Api::Completions => ask.exact_tokens.unwrap_or(drawn).min(limit).max(1),
            Api::Embeddings => 0,
        };
        // Only a chat tells reasoning from answer, and at least one token of it is answer: a model that only reasons
        // is a fault of its own.
        let reasons = ask.api == Api::Chat && profile.reasoning_share > 0.0;
        let reasoning = match reasons {
            true => portion(output, profile.reasoning_share).min(output.saturating_sub(1)),
            false => 0,
        };
        let caches = ask.api != Api::Embeddings && profile.cached_share > 0.0;
        let hides = profile.style == Style::OpenAi;
        Self {
            usage: Usage {
                input: ask.input_tokens.into(),
                output: output.into(),
                cached: caches.then(|| portion(ask.input_tokens, profile.cached_share).into()),
                reasoning: reasons.then(|| reasoning.into()),
            },
            hidden_tokens: if hides { reasoning } else { 0 },
            reasoning_tokens: if hides { 0 } else { reasoning },
            answer_tokens: output - reasoning,
            calls_tool: ask.tools,
            finish: match (ask.max_tokens, ask.tools) {
                (Some(max), _) if max <= output => Finish::Length,
                (_, true) => Finish::ToolCalls,
                (_, false) => Finish::Stop,
            },
            prefill: draw_prefill(profile, &mut rng),
            gaps: rng,
        }
    }

    /// When a unary answer is due: once its last token exists.
    pub fn ready_at(mut self, profile: &ModelProfile) -> Duration {
        let tokens = self.hidden_tokens + self.reasoning_tokens + self.answer_tokens;
        (1..tokens).fold(self.prefill, |at, _| at + self.gap(profile))
    }

    /// The time that the next token takes.
    pub(super) fn gap(&mut self, profile: &ModelProfile) -> Duration {
        let swing = profile.gap_jitter;
        profile.mean_gap().mul_f64(self.gaps.random_range(1.0 - swing..=1.0 + swing))
    }
}

/// A shifted exponential: the mean and the deviation that were asked for, and prefill's long tail to the right.
fn draw_prefill(profile: &ModelProfile, rng: &mut StdRng) -> Duration {
    // Without this cap one request in a thousand would wait for seven deviations and more.
    const LONGEST_TAIL: f64 = 5.0;
    let uniform: f64 = rng.random();
    let tail = (-(1.0 - uniform).ln()).min(LONGEST_TAIL);
    let millis = profile.ttft_ms + profile.ttft_jitter_ms * (tail - 1.0);
    Duration::from_secs_f64(millis.max(0.0) / 1000.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share is 0 to 1, so the product lies between 0 and a u32"
)]
fn portion(whole: u32, share: f64) -> u32 {
    (f64::from(whole) * share).round() as u32
}
