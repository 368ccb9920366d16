//! A whole streamed answer as data: which event is due when.
//!
//! Deadlines are offsets from the moment the request was received, worked out before the first byte is sent, so a
//! late event does not push back those that follow it.

mod answer;

pub use answer::Answer;

use std::time::Duration;

use crate::fault::StreamFault;
use crate::outcome::Mode;
use crate::plan::{Plan, Stage};
use crate::profile::{ModelProfile, Style};
use crate::served::Usage;
use crate::wire::Api;

/// How long what follows its abort is held back from a client that announced it, so that a busy machine cannot turn
/// the abort into another.
pub const ABORT_GRACE: Duration = Duration::from_secs(10);

/// What a generated event holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Words of the answer.
    Text,
    /// Words of the reasoning that precedes it.
    Reasoning,
    /// The name of the tool that is called.
    ToolName,
    /// A piece of the tool call's arguments.
    ToolArguments,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// The request's token limit.
    Length,
    /// The model called a tool.
    ToolCalls,
}

impl Finish {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
        }
    }
}

/// One event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The role, with nothing generated.
    Role,
    /// Something generated.
    Generated {
        /// What kind of thing.
        channel: Channel,
        /// The number of its first token in the answer, from 0.
        index: u32,
        /// Tokens in it, at least 1.
        tokens: u32,
        /// The finish reason, where it shares the event with the last token.
        finish: Option<Finish>,
    },
    /// The finish reason by itself.
    Finish(Finish),
    /// The token counts.
    Usage(Usage),
    /// An error.
    Fault(StreamFault, Usage),
    /// `[DONE]`.
    Done,
    /// No event: the connection is cut, in HTTP/2 the stream.
    Cut(Cut),
    /// No event: the body ends here.
    End,
}

/// How a server breaks off. As the error of a service or of a body it makes hyper give up the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// It closes the connection.
    #[error("the plan closes the connection here")]
    Close,
    /// It resets the connection.
    #[error("the plan resets the connection here")]
    Reset,
}

/// An event and when it is due, counted from the moment the request was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Duration,
    /// What.
    pub event: Event,
}

/// What a request asks for, as far as the answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which API it goes to.
    pub api: Api,
    /// Streamed or in one piece.
    pub mode: Mode,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// Whether it offers tools. The simulated model always calls one that is offered.
    pub tools: bool,
    /// The most output tokens it wants.
    pub max_tokens: Option<u32>,
    /// The exact number of output tokens ([`OUTPUT_HEADER`](crate::plan::OUTPUT_HEADER)).
    pub exact_tokens: Option<u32>,
    /// Tokens of its prompt.
    pub input_tokens: u32,
}

impl Answer {
    /// The stream's events under a plan, in order.
    pub fn script(self, profile: &ModelProfile, ask: &Ask, plan: Plan) -> Vec<Step> {
        let (finish, usage) = (self.finish, self.usage);
        let mut steps = self.generated(profile);
        if let Plan::Stall { after, pause } = plan {
            delay(&mut steps, after, pause);
        }
        let mut role_at = match (profile.style, steps.first()) {
            (Style::Vllm | Style::LlamaCpp, Some(first)) => first.at,
            (Style::OpenAi, _) | (_, None) => Duration::ZERO,
        };
        match plan {
            Plan::Abort(Stage::Request | Stage::Head) => {
                role_at += ABORT_GRACE;
                delay(&mut steps, 0, ABORT_GRACE);
            }
            Plan::Abort(Stage::Role) => delay(&mut steps, 0, ABORT_GRACE),
            Plan::Abort(Stage::Events(_)) => {
                let before_last = steps.len().saturating_sub(1);
                delay(&mut steps, u32::try_from(before_last).unwrap_or(u32::MAX), ABORT_GRACE);
            }
            _ => {}
        }
        let tail = match plan {
            Plan::ResetAfterHeaders => {
                let at = cut(&mut steps, 0);
                return vec![Step { at, event: Event::Cut(Cut::Reset) }];
            }
            Plan::Truncate { after } => {
                let at = cut(&mut steps, after);
                vec![Step { at, event: Event::Cut(Cut::Close) }]
            }
            Plan::ResetInStream { after } => {
                let at = cut(&mut steps, after);
                vec![Step { at, event: Event::Cut(Cut::Reset) }]
            }
            Plan::EndEarly { after } => {
                let at = cut(&mut steps, after);
                vec![Step { at, event: Event::End }]
            }
            Plan::ErrorInStream { after, shape } => {
                let shape = shape.unwrap_or_else(|| StreamFault::of_style(profile.style));
                let at = cut(&mut steps, after);
                let sent = generated_tokens(&steps);
                let mut tail =
                    vec![Step { at, event: Event::Fault(shape, Usage { output: sent, ..usage }) }];
                tail.extend(shape.then_done().then_some(Step { at, event: Event::Done }));
                tail
            }
            _ => {
                let at = steps.last().map_or(role_at, |last| last.at);
                let mut tail = Vec::new();
                match (profile.style, steps.last_mut().map(|step| &mut step.event)) {
                    (Style::Vllm, Some(Event::Generated { finish: shared, .. })) => {
                        *shared = Some(finish);
                    }
                    _ => tail.push(Step { at, event: Event::Finish(finish) }),
                }
                let held =
                    if plan == Plan::Abort(Stage::Finish) { ABORT_GRACE } else { Duration::ZERO };
                if ask.include_usage && plan != Plan::NoUsage {
                    tail.push(Step { at: at + held, event: Event::Usage(usage) });
                }
                tail.push(Step { at: at + held, event: Event::Done });
                if plan == Plan::Abort(Stage::Done) {
                    tail.push(Step { at: at + ABORT_GRACE, event: Event::End });
                }
                tail
            }
        };
        let role = Step { at: role_at, event: Event::Role };
        std::iter::once(role).chain(steps).chain(tail).collect()
    }

    /// The generated events of an undisturbed answer.
    fn generated(mut self, profile: &ModelProfile) -> Vec<Step> {
        let mut at = self.prefill;
        for _ in 0..self.hidden_tokens {
            at += self.gap(profile);
        }
        let answer_end = self.reasoning_tokens + self.answer_tokens;
        let mut steps = Vec::new();
        let mut index = 0;
        while index < answer_end {
            let (channel, channel_end) = match index {
                _ if index < self.reasoning_tokens => (Channel::Reasoning, self.reasoning_tokens),
                _ if !self.calls_tool => (Channel::Text, answer_end),
                _ if index == self.reasoning_tokens => (Channel::ToolName, index + 1),
                _ => (Channel::ToolArguments, answer_end),
            };
            let tokens = profile.tokens_per_event.min(channel_end - index);
            // The first event waits for prefill alone; every other token costs one gap.
            let gaps = if index == 0 { tokens - 1 } else { tokens };
            for _ in 0..gaps {
                at += self.gap(profile);
            }
            steps.push(Step {
                at,
                event: Event::Generated { channel, index, tokens, finish: None },
            });
            index += tokens;
        }
        steps
    }
}

/// Pushes back every step after the first `after`.
fn delay(steps: &mut [Step], after: u32, pause: Duration) {
    let after = usize::try_from(after).unwrap_or(usize::MAX);
    for step in steps.iter_mut().skip(after) {
        step.at += pause;
    }
}

/// Keeps the first `after` events, and never all of them: the answer is to stay unfinished. Returns when the next
/// one would have been due.
fn cut(steps: &mut Vec<Step>, after: u32) -> Duration {
    let keep = usize::try_from(after).unwrap_or(usize::MAX).min(steps.len().saturating_sub(1));
    let at = steps.get(keep).map_or(Duration::ZERO, |step| step.at);
    steps.truncate(keep);
    at
}

fn generated_tokens(steps: &[Step]) -> u64 {
    let tokens = |step: &Step| match step.event {
        Event::Generated { tokens, .. } => u64::from(tokens),
        Event::Role
        | Event::Finish(_)
        | Event::Usage(_)
        | Event::Fault(..)
        | Event::Done
        | Event::Cut(_)
        | Event::End => 0,
    };
    steps.iter().map(tokens).sum()
}

#[cfg(test)]
#[path = "script/tests.rs"]
mod tests;
