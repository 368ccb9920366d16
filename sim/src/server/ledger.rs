//! What the server writes down. Every request holds an [`Entry`], which lands in the [`Ledger`] when it is dropped,
//! however the request ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::Mode;
use crate::plan::Plan;
use crate::served::{Served, ServedEnd, Usage};

/// The requests in progress and those that are done.
#[derive(Debug)]
pub(super) struct Ledger {
    pages: Mutex<Pages>,
    idle: Condvar,
}

#[derive(Debug)]
struct Pages {
    served: VecDeque<Served>,
    kept: usize,
    dropped: u64,
    in_progress: usize,
    peak: usize,
    arrived: u64,
    closing: bool,
    file: Option<BufWriter<File>>,
}

impl Ledger {
    /// Keeps the last `kept` requests in memory.
    pub(super) fn new(kept: usize) -> Self {
        Self::with(kept, None)
    }

    /// Also writes each to a new file.
    pub(super) fn with_file(kept: usize, path: &Path) -> io::Result<Self> {
        Ok(Self::with(kept, Some(BufWriter::new(File::create(path)?))))
    }

    fn with(kept: usize, file: Option<BufWriter<File>>) -> Self {
        let pages = Pages {
            served: VecDeque::new(),
            kept,
            dropped: 0,
            in_progress: 0,
            peak: 0,
            arrived: 0,
            closing: false,
            file,
        };
        Self { pages: Mutex::new(pages), idle: Condvar::new() }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic elsewhere does not make the counts wrong.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn served(&self) -> Vec<Served> {
        self.pages().served.iter().cloned().collect()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.pages().dropped
    }

    pub(super) fn peak(&self) -> usize {
        self.pages().peak
    }

    /// From now on an answer that stops early was cut by the server.
    pub(super) fn close(&self) {
        self.pages().closing = true;
    }

    pub(super) fn settle(&self, patience: Duration) -> bool {
        let waited =
            self.idle.wait_timeout_while(self.pages(), patience, |pages| pages.in_progress > 0);
        let (pages, _) = waited.unwrap_or_else(PoisonError::into_inner);
        pages.in_progress == 0
    }

    /// Opens an entry for a request that has just arrived.
    pub(super) fn open(self: &Arc<Self>, arrival: Arrival) -> Entry {
        let mut pages = self.pages();
        pages.in_progress += 1;
        pages.peak = pages.peak.max(pages.in_progress);
        pages.arrived += 1;
        let id = arrival.id.unwrap_or_else(|| format!("anonymous-{}", pages.arrived));
        drop(pages);
        let served = Served {
            id,
            model: String::new(),
            path: arrival.path,
            mode: Mode::Unary,
            plan: arrival.plan,
            status: None,
            input_tokens: 0,
            output_tokens_sent: 0,
            usage_reported: None,
            first_event_us: None,
            last_event_us: None,
            generated_events: 0,
            end: ServedEnd::ClientGone,
        };
        Entry { ledger: Arc::clone(self), since: arrival.at, served, ended: false }
    }

    fn enter(&self, mut served: Served, ended: bool) {
        let mut pages = self.pages();
        if !ended && pages.closing {
            served.end = ServedEnd::Truncated;
        }
        if let Some(file) = &mut pages.file {
            // A full disk must not stop the traffic; the short file shows it.
            let _full = serde_json::to_writer(&mut *file, &served)
                .map_err(io::Error::from)
                .and_then(|()| file.write_all(b"\n"))
                .and_then(|()| file.flush());
        }
        pages.served.push_back(served);
        if pages.served.len() > pages.kept {
            pages.served.pop_front();
            pages.dropped += 1;
        }
        pages.in_progress -= 1;
        if pages.in_progress == 0 {
            self.idle.notify_all();
        }
    }
}

/// What is known of a request before its body.
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) id: Option<String>,
    pub(super) path: String,
    pub(super) plan: Plan,
}

/// The record of one request, open until it is dropped. Unless it is told otherwise, the client left.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    since: Instant,
    served: Served,
    ended: bool,
}

impl Entry {
    pub(super) fn received_at(&self) -> Instant {
        self.since
    }

    pub(super) fn id(&self) -> &str {
        &self.served.id
    }

    /// What the body of the request said.
    pub(super) fn asked(&mut self, model: String, mode: Mode, input_tokens: u32) {
        self.served.model = model;
        self.served.mode = mode;
        self.served.input_tokens = input_tokens.into();
    }

    /// The plan with everything that it left open filled in.
    pub(super) fn follows(&mut self, plan: Plan) {
        self.served.plan = plan;
    }

    pub(super) fn status(&mut self, status: u16) {
        self.served.status = Some(status);
    }

    /// A generated event is handed to the socket now.
    pub(super) fn generated(&mut self, tokens: u32) {
        self.served.generated_events += 1;
        self.sent_tokens(tokens.into());
    }

    /// Output tokens are handed to the socket now.
    pub(super) fn sent_tokens(&mut self, tokens: u64) {
        let now = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.served.output_tokens_sent += tokens;
        self.served.first_event_us.get_or_insert(now);
        self.served.last_event_us = Some(now);
    }

    pub(super) fn reported(&mut self, usage: Usage) {
        self.served.usage_reported = Some(usage);
    }

    /// How it ended. The first word counts: an error event stays an error when `[DONE]` follows.
    pub(super) fn end(&mut self, end: ServedEnd) {
        if !self.ended {
            self.served.end = end;
            self.ended = true;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.enter(self.served.clone(), self.ended);
    }
}
