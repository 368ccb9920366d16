//! The real Envoy between 200 concurrent simulated users and a simulated server that errs, stalls and
//! breaks off: what the filter counted equals what the two ends know, and its times are the user's.

use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{Mode, ModelProfile, Observation, Outcome, Served, Server, ServerConfig, Usage};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::page::Page;
use gaugeway_tests::{real, scratch, wait_for};
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

const REQUESTS: u64 = 1500;
const MIX: &str = "ok=60,no_usage=4,stall=2,abort=20,truncate=5,error_in_stream=5,http=3,reset=1";

/// What each request was, seen from all sides.
struct Exchange {
    observed: Observation,
    served: Option<Served>,
    /// Envoy's access-log line.
    logged: Value,
}

/// One run serves all tests: it takes a while, and they look at the same traffic.
struct Run {
    stats: Page,
    exchanges: Vec<Exchange>,
}

#[test]
fn nobody_notices_the_filter() {
    let Some(run) = run() else { return };
    for Exchange { observed, .. } in &run.exchanges {
        assert_eq!(observed.outcome, observed.plan.expected(), "{observed:?}");
    }
}

#[test]
fn requests_and_outcomes_are_exact() {
    let Some(run) = run() else { return };
    let expected = tally(&run.exchanges, |e| {
        let Observation { model, outcome, mode, .. } = &e.observed;
        Some(([model.clone(), outcome.to_string(), mode.to_string()], 1))
    });
    assert_eq!(run.stats.sum_by("gaugeway_requests_total", ["model", "outcome", "mode"]), expected);
    assert_eq!(run.stats.sum("gaugeway_streams_seen_total", &[]), Some(run.exchanges.len() as f64));
    assert_eq!(run.stats.sum("gaugeway_active_streams", &[]).unwrap_or(0.0), 0.0);
    assert_eq!(run.stats.sum("gaugeway_degraded_total", &[]), None);
}

#[test]
fn errors_are_exact_by_class_and_phase() {
    let Some(run) = run() else { return };
    let expected = tally(&run.exchanges, |e| {
        let Observation { model, error_class, phase, .. } = &e.observed;
        Some(([model.clone(), error_class.as_ref()?.to_string(), phase.as_ref()?.to_string()], 1))
    });
    assert_eq!(run.stats.sum_by("gaugeway_errors_total", ["model", "class", "phase"]), expected);
}

#[test]
fn reported_tokens_are_exact() {
    let Some(run) = run() else { return };
    let by = ["model", "outcome", "source"];
    for (stat, tokens) in [
        ("gaugeway_input_tokens_total", (|usage| usage.input) as fn(Usage) -> u64),
        ("gaugeway_output_tokens_total", |usage| usage.output),
    ] {
        let expected = tally(&run.exchanges, |e| {
            let usage = e.served.as_ref()?.usage_reported?;
            let Observation { model, outcome, .. } = &e.observed;
            Some(([model.clone(), outcome.to_string(), "reported".to_owned()], tokens(usage)))
        });
        let mut found = run.stats.sum_by(stat, by);
        found.retain(|[_, _, source], _| source == "reported");
        assert_eq!(found, expected, "{stat}");
    }
    for (stat, tokens) in [
        (
            "gaugeway_cache_read_input_tokens_total",
            (|usage| usage.cached) as fn(Usage) -> Option<u64>,
        ),
        ("gaugeway_reasoning_output_tokens_total", |usage| usage.reasoning),
    ] {
        let mut expected = tally(&run.exchanges, |e| {
            let tokens = tokens(e.served.as_ref()?.usage_reported?)?;
            Some(([e.observed.model.clone(), e.observed.outcome.to_string()], tokens))
        });
        // A counter that was only ever told 0 does not exist.
        expected.retain(|_, tokens| *tokens > 0.0);
        assert_eq!(run.stats.sum_by(stat, ["model", "outcome"]), expected, "{stat}");
    }
}

/// The client left: no usage came. What was generated lies between what it had received and what the
/// server had sent.
#[test]
fn aborted_streams_keep_their_tokens() {
    let Some(run) = run() else { return };
    let aborted = || run.exchanges.iter().filter(|e| e.observed.outcome == Outcome::ClientAbort);
    assert!(aborted().count() as u64 > REQUESTS / 10);
    for e in aborted() {
        // The line was written when the stream ended; the state is as old as its last refresh.
        let logged = number(&e.logged, "generated_events").unwrap_or(0);
        let sent = e.served.as_ref().unwrap().generated_events;
        assert!(logged <= sent, "{logged} of {sent}: {}", e.logged);
    }
    let counted = run.stats.sum_by("gaugeway_output_tokens_total", ["model", "outcome", "source"]);
    for ModelProfile { name, tokens_per_event, .. } in models() {
        let of_model = || aborted().filter(|e| e.observed.model == name);
        let sent: u64 = of_model().map(|e| e.served.as_ref().unwrap().output_tokens_sent).sum();
        let received: u64 = of_model().map(|e| e.observed.generated_events).sum();
        let counted = counted[&[&name, "client_abort", "estimated"].map(str::to_owned)];
        println!(
            "{name}: {received} events received, {counted} tokens counted, {sent} tokens sent"
        );
        // Nobody outside the server knows how many tokens an event of several holds.
        let most = if tokens_per_event == 1 { sent as f64 } else { sent as f64 * 1.05 };
        assert!(received as f64 <= counted && counted <= most, "{name}");
    }
}

/// The filter and the user look at two clocks in two processes. A machine that is busy with something
/// else makes them differ, and can only do that; so a run that falls short is followed by another, and a
/// filter that is wrong falls short in all of them.
#[test]
fn times_are_the_users() {
    let Some(run) = run() else { return };
    let mut misses = times_off(run);
    for again in ["envoy_sim-second", "envoy_sim-third"] {
        if misses.is_empty() {
            return;
        }
        println!("again, because {misses:?}");
        let binary = real::envoy().expect("it was there before");
        misses = times_off(&drive(&binary, again));
    }
    assert!(misses.is_empty(), "{misses:?}");
}

/// The latencies that are not within 1 ms or 2 % of the user's for 95 % of the streams.
fn times_off(run: &Run) -> Vec<String> {
    let mut misses = Vec::new();
    for (key, observed) in [
        ("ttft_us", (|o: &Observation| o.ttft_us) as fn(&Observation) -> Option<u64>),
        ("tpot_us", |o| o.tpot_us),
    ] {
        let pairs: Vec<(u64, u64)> = run
            .exchanges
            .iter()
            .filter(|e| e.observed.mode == Mode::Stream)
            .filter_map(|e| Some((number(&e.logged, key)?, observed(&e.observed)?)))
            .collect();
        assert!(pairs.len() as u64 > REQUESTS / 2, "{key}: too few streams have it on both sides");
        let within = pairs.iter().filter(|(filter, user)| within(*filter, *user)).count();
        let share = within as f64 / pairs.len() as f64;
        let mut later: Vec<i64> =
            pairs.iter().map(|(filter, user)| *user as i64 - *filter as i64).collect();
        later.sort();
        let quantiles =
            [0.0, 0.05, 0.5, 0.95, 1.0].map(|q| later[((later.len() - 1) as f64 * q) as usize]);
        let found = format!(
            "{key}: {:.2} % of {} streams within 1 ms or 2 %; the user's is later by {quantiles:?} us \
             (least, p5, p50, p95, most)",
            share * 100.0,
            pairs.len(),
        );
        println!("{found}");
        if share < 0.95 {
            misses.push(found);
        }
    }
    misses
}

/// Every stream that had a first token is in the histogram, once.
#[test]
fn histograms_hold_every_stream() {
    let Some(run) = run() else { return };
    let expected =
        tally(&run.exchanges, |e| e.observed.ttft_us.map(|_| ([e.observed.model.clone()], 1)));
    assert_eq!(run.stats.sum_by("gaugeway_ttft_us_count", ["model"]), expected);
}

/// 1 ms or 2 %, whichever is more.
fn within(filter: u64, user: u64) -> bool {
    filter.abs_diff(user) <= 1000.max(user / 50)
}

fn tally<const N: usize>(
    exchanges: &[Exchange],
    count: impl Fn(&Exchange) -> Option<([String; N], u64)>,
) -> BTreeMap<[String; N], f64> {
    let mut sums = BTreeMap::new();
    for (key, count) in exchanges.iter().filter_map(count) {
        *sums.entry(key).or_default() += count as f64;
    }
    sums
}

/// Filter state is text; an absent value is an absent field.
fn number(line: &Value, key: &str) -> Option<u64> {
    line[key].as_str().map(|text| text.parse().unwrap())
}

fn run() -> Option<&'static Run> {
    static RUN: LazyLock<Option<Run>> = LazyLock::new(|| Some(drive(&real::envoy()?, "envoy_sim")));
    RUN.as_ref()
}

/// The simulator's models at a third of their speed: what is measured shall be the filter, and not how
/// long two ends and a gateway on one small machine wait for each other.
fn models() -> Vec<ModelProfile> {
    let slow = |model: ModelProfile| ModelProfile {
        ttft_ms: model.ttft_ms * 3.0,
        ttft_jitter_ms: model.ttft_jitter_ms * 3.0,
        tokens_per_second: model.tokens_per_second / 3.0,
        ..model
    };
    ModelProfile::catalogue().into_iter().map(slow).collect()
}

fn drive(binary: &Path, name: &str) -> Run {
    let dir = scratch::dir(name);
    let server =
        Server::start(ServerConfig { models: models(), ..ServerConfig::default() }).unwrap();
    let envoy = Envoy::start(binary, &dir, Config::example(server.addr()).workers(2)).unwrap();

    let models = models().into_iter().map(|model| model.name).collect();
    let url = format!("http://{}", envoy.listener()).parse().unwrap();
    let report = load::run(
        &LoadConfig {
            concurrency: NonZeroU32::new(200).unwrap(),
            until: Until::Requests(REQUESTS),
            mix: MIX.parse().unwrap(),
            include_usage_share: 0.9,
            ..LoadConfig::new(url, models)
        },
        |_| (),
    )
    .unwrap();

    let logged = envoy.access_log(report.observations.len());
    let mut logged: BTreeMap<String, Value> = logged
        .into_iter()
        .map(|line| (line["sim_id"].as_str().expect("each request has an id").to_owned(), line))
        .collect();
    // Envoy merges histograms when it flushes its stats.
    let stats = wait_for("the last request's histograms", Duration::from_secs(10), || {
        let stats = envoy.stats();
        let finished = stats.sum("gaugeway_duration_us_count", &[]).unwrap_or(0.0);
        match finished as usize == report.observations.len() {
            true => Ok(stats),
            false => Err(format!("{finished} durations")),
        }
    });
    assert!(server.settle(Duration::from_secs(10)), "the server knows how every request ended");
    let mut served: BTreeMap<String, Served> =
        server.shutdown().into_iter().map(|served| (served.id.clone(), served)).collect();
    let exchanges = report.observations.into_iter().map(|observed| Exchange {
        served: served.remove(&observed.id),
        logged: logged.remove(&observed.id).expect("each request has its line"),
        observed,
    });
    Run { stats, exchanges: exchanges.collect() }
}
