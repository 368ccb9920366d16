//! `GET /api/v1/live`: what came in, frame by frame, for the page at `/`.
//!
//! ```text
//! each tick:   Snapshot, the one before ─► Frame ─► JSON text, kept for a quarter of an hour
//! each poll:   the texts after a cursor, as they lie there
//! ```
//!
//! A frame holds increments, not totals: whoever adds frames up has the rates, shares and quantiles
//! of any window and any choice of models, so that one text serves every viewer.

mod frame;
mod spend;
mod traffic;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::snapshot::Snapshot;
use frame::{Before, Frame};

/// A frame is at least this long: a second, less what ticks are early by.
const SHORTEST: Duration = Duration::from_millis(900);
const SPAN: Duration = Duration::from_mins(15);
/// Of all frames together. A host that has more to say is remembered for less than [`SPAN`].
const MAX_BYTES: usize = 4 << 20;

/// The frames of the last quarter of an hour.
#[derive(Debug)]
pub(crate) struct Live {
    /// Tells one run of the agent from another: a cursor of an earlier run means nothing to this one.
    run: u128,
    frames: VecDeque<Kept>,
    bytes: usize,
    /// How many frames there have been.
    count: u64,
    before: Option<Before>,
}

#[derive(Debug)]
struct Kept {
    at: SystemTime,
    json: Box<str>,
}

impl Live {
    /// Without frames, in a run of its own.
    pub(crate) fn new(started: SystemTime) -> Self {
        let run = started.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_nanos());
        Self { run, frames: VecDeque::new(), bytes: 0, count: 0, before: None }
    }

    /// Makes a frame when the last one is old enough. A clock that was set back starts anew.
    pub(crate) fn record(&mut self, snapshot: &Arc<Snapshot>) {
        let Some(at) = snapshot.taken_at else { return };
        if let Some(before) = &mut self.before {
            match at.duration_since(before.at()) {
                Ok(since) if since < SHORTEST => {}
                Ok(since) => {
                    let json = Frame::between(before, snapshot, at, since).json();
                    before.advance(snapshot, at);
                    self.keep(Kept { at, json: json.into() });
                }
                Err(_) => {
                    self.frames.clear();
                    self.bytes = 0;
                    self.before = Some(Before::new(snapshot, at));
                }
            }
        } else {
            self.before = Some(Before::new(snapshot, at));
        }
    }

    fn keep(&mut self, frame: Kept) {
        let oldest = frame.at.checked_sub(SPAN);
        self.bytes += frame.json.len();
        self.frames.push_back(frame);
        self.count += 1;
        while let Some(front) = self.frames.front() {
            if self.bytes <= MAX_BYTES && oldest.is_none_or(|oldest| front.at > oldest) {
                break;
            }
            self.bytes -= front.json.len();
            self.frames.pop_front();
        }
    }

    /// Where a reader is that has seen every frame.
    pub(crate) fn cursor(&self) -> String {
        format!("{}-{}", self.run, self.count)
    }

    /// The frames after a cursor as a JSON list; all of them where it is none of this run's.
    pub(crate) fn since(&self, cursor: Option<&str>) -> String {
        let seen = cursor.and_then(|cursor| cursor.split_once('-')).and_then(|(run, count)| {
            (run.parse() == Ok(self.run)).then(|| count.parse::<u64>().ok()).flatten()
        });
        let unseen = self.count.saturating_sub(seen.unwrap_or(0));
        let unseen = usize::try_from(unseen).unwrap_or(usize::MAX);
        let skip = self.frames.len().saturating_sub(unseen);
        let texts: Vec<&str> = self.frames.iter().skip(skip).map(|frame| &*frame.json).collect();
        format!("[{}]", texts.join(","))
    }
}

#[cfg(test)]
mod tests;
