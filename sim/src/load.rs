//! The load client: workers that ask one question after the other and time every event as a user would.

mod chunk;
mod classify;
mod connection;
mod exchange;
mod mix;
mod report;
mod request;
mod sse;
mod watch;

pub use connection::Http;
pub use mix::Mix;
pub use report::{ModelReport, Report};
pub use request::RequestPlan;

use std::cell::Cell;
use std::io;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::exchange::Client;
use crate::coding::Coding;
use crate::open_files;
use crate::outcome::{ErrorClass, Mode, Outcome, Phase};
use crate::plan::Plan;
use crate::served::Usage;
use crate::wire::Api;

/// What load to put where. The same seed asks the same questions in the same order, whatever the times.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// The server or gateway.
    pub url: Url,
    /// Workers; each has one request in flight and one connection, kept while the server allows.
    pub concurrency: NonZeroU32,
    /// When no new requests are started.
    pub until: Until,
    /// Decides every request. Ids are `SEED-INDEX`: two runs against one server need two seeds.
    pub seed: u64,
    /// The models asked for, in equal shares; at least one.
    pub models: Vec<String>,
    /// The APIs asked, in equal shares; at least one. Plans that need a stream ask for a chat instead of embeddings.
    pub apis: Vec<Api>,
    /// How requests go.
    pub mix: Mix,
    /// The share of requests that ask for a stream, 0 to 1. Plans that need a stream always do.
    pub stream_share: f64,
    /// The share of streams that ask for usage, 0 to 1.
    pub include_usage_share: f64,
    /// The share of chats that offer a tool, 0 to 1.
    pub tool_share: f64,
    /// Words of the prompt, both ends included.
    pub prompt_words: RangeInclusive<u32>,
    /// Output tokens, both ends included.
    pub output_tokens: RangeInclusive<u32>,
    /// How the server is spoken to.
    pub http: Http,
    /// The content coding that the server is asked for.
    pub coding: Coding,
    /// Whether the server is ours and is told id, plan and length. A real one is only ever asked for
    /// `output_tokens` at most, and the only plan it can be part of is an abort.
    pub sim: bool,
    /// The workers start spread over this time.
    pub ramp: Duration,
    /// A request that takes longer is an error of class `timeout`.
    pub timeout: Duration,
}

impl LoadConfig {
    /// A small undisturbed load: 8 workers, 100 requests, nine in ten of them streams, all with usage.
    pub fn new(url: Url, models: Vec<String>) -> Self {
        const EIGHT: NonZeroU32 = NonZeroU32::MIN.saturating_add(7);
        Self {
            url,
            concurrency: EIGHT,
            until: Until::Requests(100),
            seed: 1,
            models,
            apis: vec![Api::Chat],
            mix: Mix::ok(),
            stream_share: 0.9,
            include_usage_share: 1.0,
            tool_share: 0.1,
            prompt_words: 20..=400,
            output_tokens: 16..=96,
            http: Http::One,
            coding: Coding::Identity,
            sim: true,
            ramp: Duration::from_secs(1),
            timeout: Duration::from_secs(120),
        }
    }

    fn check(&self) -> Result<(), LoadError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let rules = [
            (!self.models.is_empty(), "at least one model is needed"),
            (!self.apis.is_empty(), "at least one API is needed"),
            (share(self.stream_share), "the stream share must be 0 to 1"),
            (share(self.include_usage_share), "the include-usage share must be 0 to 1"),
            (share(self.tool_share), "the tool share must be 0 to 1"),
            (!self.prompt_words.is_empty(), "the range of prompt words is empty"),
            (*self.prompt_words.end() <= 1_000_000, "prompts have at most 1000000 words"),
            (
                !self.output_tokens.is_empty() && *self.output_tokens.start() >= 1,
                "the range of output tokens is empty or begins below 1",
            ),
            (
                self.sim || self.mix.is_possible_for_real_servers(),
                "a real server takes no orders: the mix can only be of ok and abort",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(LoadError::Config(rule)),
            None => Ok(()),
        }
    }
}

/// When a load ends. Requests in flight are always finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After so many requests.
    Requests(u64),
    /// After so much time.
    Elapsed(Duration),
}

/// Where to send requests: `http://HOST[:PORT][/PREFIX]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    prefix: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |reason| format!("`{text}`: {reason}");
        let uri: hyper::Uri = text.parse().map_err(|error| wrong(format!("{error}")))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong(
                "the URL must begin with http://; https is not spoken here".to_owned(),
            ));
        }
        let host = uri.host().ok_or_else(|| wrong("there is no host".to_owned()))?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(80),
            // `/v1` is part of every path already, so a base URL as clients write it means the same.
            prefix: uri.path().trim_end_matches('/').trim_end_matches("/v1").to_owned(),
        })
    }
}

/// One finished request as its client saw it. Times are microseconds since the request was handed to the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The `x-sim-id` that was sent.
    pub id: String,
    /// The model asked for.
    pub model: String,
    /// The request path without the URL's prefix.
    pub path: String,
    /// What was asked for.
    pub mode: Mode,
    /// How it was meant to go.
    pub plan: Plan,
    /// The response's status; absent when no response head came.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed; there when the outcome is an error.
    pub error_class: Option<ErrorClass>,
    /// When it failed; there when the outcome is an error.
    pub phase: Option<Phase>,
    /// First byte of the response body.
    pub ttfb_us: Option<u64>,
    /// First generated event. Streams only.
    pub ttft_us: Option<u64>,
    /// First generated event that is not reasoning. Streams only.
    pub ttfo_us: Option<u64>,
    /// Mean time per output token after the first, from reported tokens alone.
    pub tpot_us: Option<u64>,
    /// The largest gap between two generated events.
    pub max_stall_us: Option<u64>,
    /// The terminal event, or the end where there was none.
    pub duration_us: u64,
    /// Generated events received.
    pub generated_events: u64,
    /// The usage that was received.
    pub usage: Option<Usage>,
}

/// Why a load could not be run. Whatever happens to single requests is an [`Observation`].
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(&'static str),
    /// No thread, timer or poller could be had.
    #[error("cannot start the load's event loop: {0}")]
    Start(#[source] io::Error),
    /// The load's thread ended before its time.
    #[error("the load's thread died; its message is above")]
    Died,
}

/// Puts the load on and returns when its last request has ended. `on_done` sees each request as it ends.
///
/// It has a thread and an event loop of its own and blocks the caller, so any program can run it.
///
/// # Errors
///
/// The configuration is wrong, or the event loop cannot be started.
pub fn run(
    config: &LoadConfig,
    on_done: impl FnMut(&Observation) + Send,
) -> Result<Report, LoadError> {
    config.check()?;
    open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Start)?;
    std::thread::scope(|scope| {
        let local = move || tokio::task::LocalSet::new().block_on(&runtime, drive(config, on_done));
        scope.spawn(local).join().map_err(|_| LoadError::Died)
    })
}

/// Requests that may have ended before `on_done` has seen the first of them.
const BACKLOG: usize = 1024;

async fn drive(config: &LoadConfig, mut on_done: impl FnMut(&Observation)) -> Report {
    let begun = Instant::now();
    let (done, mut finished) = mpsc::channel(BACKLOG);
    let queue = Rc::new(Queue { config: config.clone(), begun, next: Cell::new(0) });
    for worker in 0..config.concurrency.get() {
        let delay = config.ramp * worker / config.concurrency.get();
        tokio::task::spawn_local(work(Rc::clone(&queue), begun + delay, done.clone()));
    }
    drop(done);
    let mut observations = Vec::new();
    while let Some(observation) = finished.recv().await {
        on_done(&observation);
        observations.push(observation);
    }
    Report::new(begun.elapsed(), observations)
}

/// The requests still to be made.
struct Queue {
    config: LoadConfig,
    begun: Instant,
    next: Cell<u64>,
}

impl Queue {
    fn take(&self) -> Option<RequestPlan> {
        let index = self.next.get();
        let over = match self.config.until {
            Until::Requests(requests) => index >= requests,
            Until::Elapsed(time) => self.begun.elapsed() >= time,
        };
        if over {
            return None;
        }
        self.next.set(index + 1);
        Some(RequestPlan::draw(&self.config, index))
    }
}

async fn work(queue: Rc<Queue>, start: Instant, done: mpsc::Sender<Observation>) {
    tokio::time::sleep_until(start).await;
    let mut client = Client::new(&queue.config);
    while let Some(plan) = queue.take() {
        let observation = client.ask(&plan).await;
        if done.send(observation).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[path = "load/tests.rs"]
mod tests;
