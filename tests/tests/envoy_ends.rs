//! The real Envoy and every way in which a stream can end: over both versions of HTTP on both sides, in every content
//! coding, and through each thing that a gateway does by itself. What the filter says of each is in a table, and the
//! numbers are those of the simulator at both ends.

use Expected::{Aborted, Failed, Succeeded, Truncated};
use Tokens::{Estimated, Reported, Unknown};
use gaugeway_sim::load::{self, Http, LoadConfig, Until};
use gaugeway_sim::{
    Coding, ErrorClass, Mode, ModelProfile, Observation, Outcome, Phase, Served, Server,
    ServerConfig, Style, Usage,
};
use gaugeway_tests::envoy::Envoy;
use gaugeway_tests::page::Page;
use gaugeway_tests::{gateway, http, real, scratch, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// Requests per line of the tables: a client over HTTP/2 that leaves goes on to the second on the same connection.
const REQUESTS: u64 = 2;
const OUTPUT_TOKENS: u32 = 12;

/// What the filter must say of a request.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Succeeded,
    Truncated,
    Aborted,
    Failed(ErrorClass, Phase),
}

/// Where its output tokens must come from.
#[derive(Clone, Copy, Debug)]
enum Tokens {
    Reported,
    /// Between what the client got and what the server sent.
    Estimated,
    Unknown,
}

type Line = (&'static str, &'static str, Mode, Expected, Tokens);

/// Route without its version of HTTP, plan, mode, what is expected.
#[rustfmt::skip]
const ENDS: &[Line] = &[
    ("", "ok", Mode::Stream, Succeeded, Reported),
    ("", "ok", Mode::Unary, Succeeded, Reported),
    ("", "no_usage", Mode::Stream, Succeeded, Estimated),
    // The server breaks off.
    ("", "end_early:4", Mode::Stream, Truncated, Estimated),
    ("", "truncate:4", Mode::Stream, Truncated, Estimated),
    ("", "reset_in_stream:4", Mode::Stream, Truncated, Estimated),
    ("", "reset_after_headers", Mode::Stream, Truncated, Unknown),
    ("", "reset", Mode::Stream, Failed(ErrorClass::UpstreamReset, Phase::BeforeStream), Unknown),
    ("", "reset", Mode::Unary, Failed(ErrorClass::UpstreamReset, Phase::BeforeStream), Unknown),
    // The server says what is wrong.
    ("", "http:503", Mode::Stream, Failed(ErrorClass::Overloaded, Phase::BeforeStream), Unknown),
    ("", "http:429:insufficient_quota", Mode::Unary, Failed(ErrorClass::QuotaExceeded, Phase::BeforeStream), Unknown),
    ("", "out_of_memory", Mode::Stream, Failed(ErrorClass::OutOfMemory, Phase::BeforeStream), Unknown),
    ("", "error_in_stream:4:vllm", Mode::Stream, Failed(ErrorClass::Upstream5xx, Phase::InStream), Estimated),
    ("", "error_in_stream:4:groq", Mode::Stream, Failed(ErrorClass::GenerationFailed, Phase::InStream), Estimated),
    // The client leaves.
    ("", "abort:request", Mode::Stream, Aborted, Unknown),
    ("", "abort:request", Mode::Unary, Aborted, Unknown),
    ("", "abort:head", Mode::Stream, Aborted, Unknown),
    ("", "abort:role", Mode::Stream, Aborted, Unknown),
    ("", "abort:4", Mode::Stream, Aborted, Estimated),
    ("", "abort:finish", Mode::Stream, Succeeded, Estimated),
    ("", "abort:done", Mode::Stream, Succeeded, Reported),
    // The gateway loses its patience.
    ("-timeout", "timeout", Mode::Stream, Failed(ErrorClass::Timeout, Phase::BeforeStream), Unknown),
    ("-timeout", "timeout", Mode::Unary, Failed(ErrorClass::Timeout, Phase::BeforeStream), Unknown),
    ("-timeout", "stall:4:60000", Mode::Stream, Failed(ErrorClass::Timeout, Phase::InStream), Estimated),
    ("-idle", "timeout", Mode::Stream, Failed(ErrorClass::Timeout, Phase::BeforeStream), Unknown),
    ("-idle", "stall:4:60000", Mode::Stream, Failed(ErrorClass::Timeout, Phase::InStream), Estimated),
    ("-limit", "timeout", Mode::Stream, Failed(ErrorClass::Timeout, Phase::BeforeStream), Unknown),
    ("-limit", "stall:4:60000", Mode::Stream, Failed(ErrorClass::Timeout, Phase::InStream), Estimated),
    // The gateway tries again.
    ("-retry", "retry_once:503", Mode::Stream, Succeeded, Reported),
    ("-retry", "retry_once:reset", Mode::Stream, Succeeded, Reported),
    ("-retry", "retry_once:503", Mode::Unary, Succeeded, Reported),
    ("-retry", "http:503", Mode::Stream, Failed(ErrorClass::Overloaded, Phase::BeforeStream), Unknown),
    ("-retry", "reset", Mode::Stream, Failed(ErrorClass::UpstreamReset, Phase::BeforeStream), Unknown),
    // It may not try again: the failure is that of the first attempt.
    ("-spent", "http:500", Mode::Stream, Failed(ErrorClass::Upstream5xx, Phase::BeforeStream), Unknown),
    ("-spent", "reset", Mode::Stream, Failed(ErrorClass::UpstreamReset, Phase::BeforeStream), Unknown),
];

/// Routes on which the gateway answers by itself, and the upstream that it names. Where it does so at once, the
/// request's body is never read and the model not known.
#[rustfmt::skip]
const ALONE: &[(&str, &str, ErrorClass)] = &[
    ("empty", "empty", ErrorClass::ConnectFailure),
    ("nobody", "nobody", ErrorClass::ConnectFailure),
    ("full", "full", ErrorClass::Overloaded),
    ("limited", "limited", ErrorClass::RateLimited),
    ("direct", "unknown", ErrorClass::LocalReply),
];

/// What is asked in every content coding: whole answers, and some that are not.
#[rustfmt::skip]
const CODED: &[Line] = &[
    ("", "ok", Mode::Stream, Succeeded, Reported),
    ("", "ok", Mode::Unary, Succeeded, Reported),
    ("", "http:429:insufficient_quota", Mode::Unary, Failed(ErrorClass::QuotaExceeded, Phase::BeforeStream), Unknown),
    ("", "error_in_stream:4:vllm", Mode::Stream, Failed(ErrorClass::Upstream5xx, Phase::InStream), Estimated),
    ("", "truncate:4", Mode::Stream, Truncated, Estimated),
    ("", "abort:4", Mode::Stream, Aborted, Estimated),
    ("", "abort:done", Mode::Stream, Succeeded, Reported),
];

/// A line of a table, asked in one way.
struct Case {
    /// Its own, as is the model of that name.
    name: String,
    /// The label by whose value its numbers are found.
    label: (&'static str, String),
    route: String,
    plan: &'static str,
    mode: Mode,
    client: Http,
    coding: Coding,
    expected: Expected,
    tokens: Tokens,
}

fn cases() -> Vec<Case> {
    let versions = [("h1", Http::One), ("h2", Http::Two)];
    let ways = versions.iter().flat_map(|client| versions.iter().map(move |to| (client, to.0)));
    let mut cases = Vec::new();
    for ((from, client), to) in ways {
        let plain = ENDS.iter().map(|line| (Coding::Identity, line));
        let codings = Coding::ALL.iter().filter(|coding| **coding != Coding::Identity);
        let coded = codings.flat_map(|coding| CODED.iter().map(move |line| (*coding, line)));
        for (coding, (route, plan, mode, expected, tokens)) in plain.chain(coded) {
            let name = format!("{plan}/{route}/{mode}/{coding}/{from}/{to}");
            cases.push(Case {
                label: ("model", name.clone()),
                name,
                route: format!("{to}{route}"),
                plan,
                mode: *mode,
                client: *client,
                coding,
                expected: *expected,
                tokens: *tokens,
            });
        }
    }
    for (route, upstream, class) in ALONE {
        cases.push(Case {
            name: (*route).to_owned(),
            label: ("upstream", (*upstream).to_owned()),
            route: (*route).to_owned(),
            plan: "ok",
            // No body is read that would say that it asks for a stream.
            mode: Mode::Unary,
            client: Http::One,
            coding: Coding::Identity,
            expected: Failed(*class, Phase::BeforeStream),
            tokens: Unknown,
        });
    }
    cases
}

impl Expected {
    const fn outcome(self) -> Outcome {
        match self {
            Succeeded => Outcome::Success,
            Truncated => Outcome::Truncated,
            Aborted => Outcome::ClientAbort,
            Failed(..) => Outcome::Error,
        }
    }
}

/// One request, seen from all sides.
struct Exchange {
    observed: Observation,
    /// The attempts that reached the server, in their order.
    attempts: Vec<Served>,
    /// Envoy's access-log line.
    logged: Value,
}

struct Run {
    stats: Page,
    cases: Vec<(Case, Vec<Exchange>)>,
}

impl Run {
    /// The values of a stat for one case, by two labels.
    fn of(&self, case: &Case, stat: &str, by: [&str; 2]) -> BTreeMap<[String; 2], f64> {
        let (label, name) = &case.label;
        let mut values = self.stats.sum_by(stat, [*label, by[0], by[1]]);
        values.retain(|[value, ..], _| value == name);
        values.into_iter().map(|([_, a, b], value)| ([a, b], value)).collect()
    }
}

/// Calls `check` for every case and fails with all that it had to say.
fn for_each(check: impl Fn(&Run, &Case, &[Exchange]) -> Result<(), String>) {
    let Some(run) = run() else { return };
    let wrong: Vec<String> = run
        .cases
        .iter()
        .filter_map(|(case, exchanges)| {
            let reason = check(run, case, exchanges).err()?;
            let Value::Object(line) = &exchanges[0].logged else { panic!("a line is an object") };
            let (flags, details) = (line.get("response_flags"), line.get("response_code_details"));
            Some(format!("{}: {reason} (flags {flags:?}, details {details:?})", case.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn equal<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?}, expected {expected:?}")) }
}

#[test]
fn each_request_is_counted_once_with_its_outcome() {
    for_each(|run, case, _| {
        let key = [case.expected.outcome().to_string(), case.mode.to_string()];
        let expected = BTreeMap::from([(key, REQUESTS as f64)]);
        equal(run.of(case, "gaugeway_requests_total", ["outcome", "mode"]), expected)
    });
    let Some(run) = run() else { return };
    // And the one to /health.
    let all = run.cases.len() as f64 * REQUESTS as f64 + 1.0;
    assert_eq!(run.stats.sum("gaugeway_streams_seen_total", &[]), Some(all));
    assert_eq!(run.stats.sum("gaugeway_active_streams", &[]).unwrap_or(0.0), 0.0);
    assert_eq!(run.stats.sum("gaugeway_degraded_total", &[]), None);
}

#[test]
fn each_error_has_its_class_and_phase() {
    for_each(|run, case, _| {
        let expected = match case.expected {
            Failed(class, phase) => {
                BTreeMap::from([([class.to_string(), phase.to_string()], REQUESTS as f64)])
            }
            Succeeded | Truncated | Aborted => BTreeMap::new(),
        };
        equal(run.of(case, "gaugeway_errors_total", ["class", "phase"]), expected)
    });
}

#[test]
fn tokens_are_those_that_the_server_knows_of() {
    for_each(|run, case, exchanges| {
        let last = || exchanges.iter().filter_map(|exchange| exchange.attempts.last());
        let reported = |tokens: fn(Usage) -> u64| -> u64 {
            last().filter_map(|served| served.usage_reported).map(tokens).sum()
        };
        let by = ["source", "outcome"];
        let output = run.of(case, "gaugeway_output_tokens_total", by);
        let key = |source: &str| [source.to_owned(), case.expected.outcome().to_string()];
        match case.tokens {
            Unknown => equal(output, BTreeMap::new()),
            Reported => {
                let input = run.of(case, "gaugeway_input_tokens_total", by);
                let expected = |tokens: u64| BTreeMap::from([(key("reported"), tokens as f64)]);
                equal(output, expected(reported(|usage| usage.output)))?;
                equal(input, expected(reported(|usage| usage.input)))
            }
            Estimated => {
                let sent: u64 = last().map(|served| served.output_tokens_sent).sum();
                let seen: u64 = exchanges.iter().map(|e| e.observed.generated_events).sum();
                let bounds = seen as f64..=sent as f64;
                match output.get(&key("estimated")) {
                    Some(tokens) if output.len() == 1 && bounds.contains(tokens) => Ok(()),
                    _ => Err(format!("{output:?}, expected an estimate in {bounds:?}")),
                }
            }
        }
    });
}

/// The filter's times lie between the server's and the user's: it sees the request after the user and before the
/// server, and each token after the server and before the user.
#[test]
fn the_first_token_is_timed_whatever_the_coding() {
    for_each(|_, _, exchanges| {
        for Exchange { observed, attempts, logged } in exchanges {
            let (Some(served), Some(user)) = (attempts.last(), observed.ttft_us) else { continue };
            let first = served.first_event_us.expect("what a user saw was sent");
            let filter = logged["ttft_us"].as_str().and_then(|text| text.parse().ok());
            let between = |ttft: &u64| (first..=user).contains(ttft);
            if !filter.as_ref().is_some_and(between) {
                return Err(format!("{filter:?} us, server {first} us, user {user} us"));
            }
        }
        Ok(())
    });
}

/// The two ends agree with the table as far as they can know.
#[test]
fn nobody_notices_the_filter() {
    for_each(|_, case, exchanges| {
        for Exchange { observed, attempts, .. } in exchanges {
            // A stream that the gateway cuts is just cut for its user.
            let seen = match case.expected {
                Failed(ErrorClass::Timeout, Phase::InStream) => Outcome::Truncated,
                expected => expected.outcome(),
            };
            equal(observed.outcome, seen)?;
            let tries = match (case.route.ends_with("-retry"), case.expected) {
                (true, Succeeded) => 2,
                (true, _) => 3,
                (false, _) => usize::from(case.label.0 == "model"),
            };
            equal(attempts.len(), tries)?;
        }
        Ok(())
    });
}

fn run() -> Option<&'static Run> {
    static RUN: LazyLock<Option<Run>> = LazyLock::new(|| Some(drive(&real::envoy()?)));
    RUN.as_ref()
}

fn drive(binary: &Path) -> Run {
    let dir = scratch::dir("envoy_ends");
    let cases = cases();
    let models = cases.iter().map(|case| model(&case.name)).collect();
    let server = Server::start(ServerConfig { models, ..ServerConfig::default() }).unwrap();
    let config =
        gateway::config(server.addr()).filter(r#"{"max_models": 1024, "max_series": 60000}"#);
    let envoy = Envoy::start(binary, &dir, config).unwrap();
    // Takes the only token of the rate limit.
    assert_eq!(http::get(&format!("http://{}/limited/health", envoy.listener())).unwrap().0, 200);
    let observed = all_at_once(&envoy, &cases);
    let requests = cases.len() * usize::try_from(REQUESTS).unwrap();
    let stats = wait_for("every request to be counted", Duration::from_secs(30), || {
        let stats = envoy.stats();
        match stats.sum("gaugeway_requests_total", &[]) {
            Some(counted) if counted as usize >= requests => Ok(stats),
            counted => Err(format!("{counted:?} of {requests}")),
        }
    });
    let mut logged: BTreeMap<String, Value> = envoy
        .access_log(requests + 1)
        .into_iter()
        .filter_map(|line| Some((line["sim_id"].as_str()?.to_owned(), line)))
        .collect();
    assert!(server.settle(Duration::from_secs(10)), "the server waits for nobody");
    let mut attempts: BTreeMap<String, Vec<Served>> = BTreeMap::new();
    for served in server.shutdown() {
        attempts.entry(served.id.clone()).or_default().push(served);
    }
    let mut exchange = |observed: Observation| Exchange {
        attempts: attempts.remove(&observed.id).unwrap_or_default(),
        logged: logged.remove(&observed.id).expect("each request has its line"),
        observed,
    };
    let exchanges =
        observed.into_iter().map(|of_case| of_case.into_iter().map(&mut exchange).collect());
    Run { stats, cases: cases.into_iter().zip(exchanges.collect::<Vec<_>>()).collect() }
}

/// 60 ms to the first token, one event per token, the role at once.
fn model(name: &str) -> ModelProfile {
    ModelProfile {
        name: name.to_owned(),
        style: Style::OpenAi,
        ttft_ms: 60.0,
        ttft_jitter_ms: 0.0,
        tokens_per_second: 100.0,
        ..ModelProfile::default()
    }
}

/// Asks every case, some at a time.
fn all_at_once(envoy: &Envoy, cases: &[Case]) -> Vec<Vec<Observation>> {
    const AT_ONCE: usize = 24;
    let mut observed = Vec::new();
    for (chunk, seed) in cases.chunks(AT_ONCE).zip((1..).step_by(AT_ONCE)) {
        observed.extend(std::thread::scope(|scope| {
            let asked: Vec<_> = chunk
                .iter()
                .zip(seed..)
                .map(|(case, seed)| scope.spawn(move || ask(envoy, case, seed)))
                .collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        }));
    }
    observed
}

fn ask(envoy: &Envoy, case: &Case, seed: u64) -> Vec<Observation> {
    let url = format!("http://{}/{}", envoy.listener(), case.route).parse().unwrap();
    let config = LoadConfig {
        concurrency: std::num::NonZeroU32::MIN,
        until: Until::Requests(REQUESTS),
        seed,
        mix: format!("{}=1", case.plan).parse().unwrap(),
        stream_share: if case.mode == Mode::Stream { 1.0 } else { 0.0 },
        tool_share: 0.0,
        output_tokens: OUTPUT_TOKENS..=OUTPUT_TOKENS,
        http: case.client,
        coding: case.coding,
        ..LoadConfig::new(url, vec![case.name.clone()])
    };
    load::run(&config, |_| ()).unwrap().observations
}
