//! Both records joined: what a gateway between the two must have counted.

use std::collections::BTreeMap;

use crate::load::Observation;
use crate::outcome::{ErrorClass, Mode, Outcome, Phase};
use crate::plan::{Plan, Stage};
use crate::served::{Served, ServedEnd};

/// What a gateway must have counted for one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Requests by outcome and requested mode.
    pub requests: BTreeMap<(Outcome, Mode), u64>,
    /// Errors by class and phase.
    pub errors: BTreeMap<(ErrorClass, Phase), u64>,
    /// Tokens of the requests whose usage was on the wire, exact.
    pub reported: BTreeMap<Outcome, ReportedTokens>,
    /// Output tokens of each answered request whose usage was not on the wire: they lie within bounds.
    pub unreported: Vec<TokenBounds>,
    /// Requests on which the two sides do not agree, with the reason. On these a gateway in between may side with
    /// either, so an exact comparison needs this to be empty.
    pub disputed: Vec<(String, Dispute)>,
}

/// Sums of reported usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedTokens {
    /// Requests that are summed up here.
    pub requests: u64,
    /// Input, cached included.
    pub input: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// The cached part of the input.
    pub cached: u64,
    /// The reasoning part of the output.
    pub reasoning: u64,
}

/// What is known of an answer whose usage was not reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBounds {
    /// The request.
    pub id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Generated events that the client received. Each holds at least one token, so this is a lower bound.
    pub received: u64,
    /// Output tokens that the server handed to the socket: an upper bound.
    pub sent: u64,
}

/// How the two sides can disagree on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispute {
    /// The client asked, the server knows of nothing. So it is where no connection could be had.
    NotServed,
    /// The server answered a request that the client has no record of.
    NotObserved,
    /// The client left, but the server had already sent everything.
    AbortedTooLate,
    /// The client saw the end of an answer that the server did not finish, or the reverse.
    End,
    /// The usage that arrived is not the usage that was sent.
    Usage,
}

impl Truth {
    /// Joins both records by id. Call [`Server::settle`](crate::Server::settle) first.
    pub fn by_model(served: &[Served], observed: &[Observation]) -> BTreeMap<String, Self> {
        let mut unmatched: BTreeMap<&str, &Served> =
            served.iter().map(|served| (served.id.as_str(), served)).collect();
        let mut models: BTreeMap<String, Self> = BTreeMap::new();
        for seen in observed {
            let truth = models.entry(seen.model.clone()).or_default();
            truth.count(seen);
            match unmatched.remove(seen.id.as_str()) {
                Some(served) => truth.join(seen, served),
                None => truth.disputed.push((seen.id.clone(), Dispute::NotServed)),
            }
        }
        for (id, served) in unmatched {
            let truth = models.entry(served.model.clone()).or_default();
            truth.disputed.push((id.to_owned(), Dispute::NotObserved));
        }
        models
    }

    fn count(&mut self, seen: &Observation) {
        *self.requests.entry((seen.outcome, seen.mode)).or_default() += 1;
        if let (Some(class), Some(phase)) = (seen.error_class, seen.phase) {
            *self.errors.entry((class, phase)).or_default() += 1;
        }
    }

    fn join(&mut self, seen: &Observation, served: &Served) {
        if let Some(dispute) = dispute(seen, served) {
            self.disputed.push((seen.id.clone(), dispute));
        }
        if let Some(usage) = served.usage_reported {
            let sums = self.reported.entry(seen.outcome).or_default();
            sums.requests += 1;
            sums.input += usage.input;
            sums.output += usage.output;
            sums.cached += usage.cached.unwrap_or(0);
            sums.reasoning += usage.reasoning.unwrap_or(0);
        } else if served.status == Some(200) {
            self.unreported.push(TokenBounds {
                id: seen.id.clone(),
                outcome: seen.outcome,
                received: seen.generated_events,
                sent: served.output_tokens_sent,
            });
        }
    }
}

fn dispute(seen: &Observation, served: &Served) -> Option<Dispute> {
    let agreed = match seen.outcome {
        // The answer is whole with its finish reason, whatever the server still had to add.
        Outcome::Success if seen.plan == Plan::Abort(Stage::Finish) => {
            served.end == ServedEnd::ClientGone
        }
        Outcome::Success => served.end == ServedEnd::Complete,
        Outcome::ClientAbort => served.end == ServedEnd::ClientGone,
        Outcome::Truncated => served.end == ServedEnd::Truncated,
        // Whoever lost its patience has left.
        Outcome::Error if seen.error_class == Some(ErrorClass::Timeout) => {
            matches!(served.end, ServedEnd::ClientGone | ServedEnd::Error)
        }
        Outcome::Error => served.end == ServedEnd::Error,
    };
    match (agreed, seen.outcome, served.end) {
        (false, Outcome::ClientAbort, ServedEnd::Complete) => Some(Dispute::AbortedTooLate),
        (false, ..) => Some(Dispute::End),
        (true, ..) if seen.usage != served.usage_reported => Some(Dispute::Usage),
        (true, ..) => None,
    }
}

#[cfg(test)]
#[path = "truth/tests.rs"]
mod tests;
