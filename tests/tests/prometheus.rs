//! The real Prometheus scrapes the agent and Envoy while simulated users ask: what it answers is true.

use gaugeway_sim::load::{self, LoadConfig, Report, Until};
use gaugeway_sim::{ModelProfile, Observation, Server, ServerConfig, Usage};
use gaugeway_tests::agent::Agent;
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::page::Sample;
use gaugeway_tests::prometheus::{Prometheus, Target, check_metrics};
use gaugeway_tests::{real, scratch};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

const DOLLARS_PER_HOUR: f64 = 36.0;
/// The agent's default weights of uncached input, cached input and output.
const WEIGHTS: [f64; 3] = [1.0, 0.1, 4.0];
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn prometheus_answers_what_is_true() {
    let (Some(envoy), Some(prometheus), Some(promtool)) =
        (real::envoy(), real::prometheus(), real::promtool())
    else {
        return;
    };
    let dir = scratch::dir("prometheus");
    let server = Server::start(ServerConfig::default()).unwrap();
    let envoy = Envoy::start(&envoy, &dir, Config::example(server.addr())).unwrap();
    let agent = Agent::start(
        &dir,
        &format!(
            "[envoy]\nadmin = \"http://{}\"\n[nvml]\nenabled = false\n[price]\nusd_per_hour = {DOLLARS_PER_HOUR:?}\n",
            envoy.admin()
        ),
    );
    let admin = envoy.admin().to_string();
    let targets = [
        Target { job: "gaugeway", address: agent.address(), path: "/metrics" },
        Target { job: "envoy", address: &admin, path: "/stats/prometheus" },
    ];
    let prometheus = Prometheus::start(&prometheus, &dir, &targets);
    prometheus.query_until("sum(up)", PATIENCE, |samples| samples.iter().any(|up| up.value == 2.0));

    // Counters of Envoy begin with their first increment, which no rate can see: so one small run first.
    let first = ask(&envoy, 1, Until::Requests(50));
    let mut asked = first.observations;
    let output = by_model(&asked, |usage| usage.output);
    await_totals(&prometheus, "gen_ai_client_inference_usage_output_tokens_total", &output);

    let begun = Instant::now();
    let report = ask(&envoy, 2, Until::Elapsed(Duration::from_secs(15)));
    let busy = (first.elapsed + report.elapsed).as_secs_f64();
    let rate_tokens: u64 = report.observations.iter().filter_map(|o| Some(o.usage?.output)).sum();
    asked.extend(report.observations);

    requests_are_exact(&prometheus, &asked);
    tokens_are_exact(&prometheus, &asked);
    let window = begun.elapsed().as_secs() + 2;
    tokens_per_second(&prometheus, window, rate_tokens as f64);
    ttft_p95_is_in_the_right_bucket(&prometheus, &asked);
    the_cost_is_the_bill(&prometheus, busy, &asked);
    check_metrics(&promtool, &agent.metrics());
}

/// Streams that all report usage, so that every token has a known price.
fn ask(envoy: &Envoy, seed: u64, until: Until) -> Report {
    let models = ModelProfile::catalogue().into_iter().map(|model| model.name).collect();
    let url = format!("http://{}", envoy.listener()).parse().unwrap();
    let config = LoadConfig {
        concurrency: NonZeroU32::new(40).unwrap(),
        until,
        seed,
        ..LoadConfig::new(url, models)
    };
    load::run(&config, |_| ()).unwrap()
}

fn requests_are_exact(prometheus: &Prometheus, asked: &[Observation]) {
    let mut expected = BTreeMap::new();
    for observation in asked {
        *expected.entry(observation.model.clone()).or_default() += 1.0;
    }
    for (query, label) in [
        (r#"sum by (model) (gaugeway_requests_total{job="envoy",outcome="success"})"#, "model"),
        (
            r#"sum by (gen_ai_request_model) (gen_ai_server_request_duration_seconds_count{job="gaugeway"})"#,
            "gen_ai_request_model",
        ),
    ] {
        await_values(prometheus, query, label, &expected);
    }
}

fn tokens_are_exact(prometheus: &Prometheus, asked: &[Observation]) {
    for (name, tokens) in [
        ("gen_ai_client_inference_usage_input_tokens_total", by_model(asked, |usage| usage.input)),
        (
            "gen_ai_client_inference_usage_output_tokens_total",
            by_model(asked, |usage| usage.output),
        ),
    ] {
        await_totals(prometheus, name, &tokens);
    }
}

/// A rate is extrapolated to its window's ends by as much as it sees fit: 15 % are allowed.
fn tokens_per_second(prometheus: &Prometheus, window: u64, tokens: f64) {
    let query = format!("sum(rate(gen_ai_client_inference_usage_output_tokens_total[{window}s]))");
    let rate = prometheus.query(&query).unwrap()[0].value;
    let expected = tokens / window as f64;
    println!("output tokens per second: {rate:.0}, by the client {expected:.0}");
    assert!((rate / expected - 1.0).abs() < 0.15, "{rate} against {expected}");
}

/// A histogram knows a quantile to its bucket; the filter's clock may put a value into the next one.
fn ttft_p95_is_in_the_right_bucket(prometheus: &Prometheus, asked: &[Observation]) {
    let name = "gen_ai_server_time_to_first_token_seconds_bucket";
    let query = format!("histogram_quantile(0.95, sum by (gen_ai_request_model, le) ({name}))");
    let mut bounds: Vec<f64> = prometheus
        .query(&format!("group by (le) ({name})"))
        .unwrap()
        .iter()
        .filter_map(|sample| sample.label("le").parse().ok())
        .collect();
    bounds.sort_by(f64::total_cmp);
    let p95s = prometheus.query(&query).unwrap();
    assert_eq!(p95s.len(), ModelProfile::catalogue().len());
    for p95 in p95s {
        let model = p95.label("gen_ai_request_model");
        let mut ttfts: Vec<u64> =
            asked.iter().filter(|o| o.model == model).filter_map(|o| o.ttft_us).collect();
        ttfts.sort();
        let user = ttfts[(ttfts.len() - 1) * 95 / 100] as f64 / 1e6;
        println!("{model}: TTFT p95 {:.3} s by Prometheus, {user:.3} s by the client", p95.value);
        let lower = bounds.iter().copied().rfind(|bound| *bound <= user * 0.98).unwrap_or(0.0);
        let upper = bounds.iter().copied().find(|bound| *bound >= user * 1.02).unwrap();
        assert!(
            (lower..=upper).contains(&p95.value),
            "{model}: {} not in {lower} to {upper}",
            p95.value
        );
    }
}

/// The price runs while somebody asks; every model pays for its tokens, and nothing is lost.
fn the_cost_is_the_bill(prometheus: &Prometheus, busy: f64, asked: &[Observation]) {
    let value =
        |query: &str| prometheus.query(query).unwrap().first().map_or(0.0, |sample| sample.value);
    assert_eq!(value("gaugeway_cost_conservation_error_dollars"), 0.0);
    let parts = "sum(gaugeway_cost_attributed_dollars_total) + sum(gaugeway_cost_idle_dollars_total) \
                 + (sum(gaugeway_cost_unattributed_dollars_total) or vector(0)) + sum(gaugeway_cost_pending_dollars)";
    let bill = "sum(gaugeway_cost_bill_dollars_total)";
    assert!(value(&format!("abs({bill} - ({parts}))")) < 1e-8);

    let spent = value("sum(gaugeway_cost_attributed_dollars_total)");
    let expected = DOLLARS_PER_HOUR / 3600.0 * busy;
    println!("attributed {spent:.4} $, the busy time costs {expected:.4} $");
    assert!((spent / expected - 1.0).abs() < 0.1, "{spent} against {expected}");

    // Each tick's cost goes to the tokens of that tick, so the price of a model's token is near the mean
    // of all; and a price times the tokens that the client knows of is what was spent on them.
    let mean = spent / asked.iter().filter_map(|o| o.usage).map(weighted_tokens).sum::<f64>();
    let attributed: BTreeMap<[String; 2], f64> = prometheus
        .query("sum by (model, token_type) (gaugeway_cost_attributed_dollars_total)")
        .unwrap()
        .iter()
        .map(|sample| (series(sample), sample.value))
        .collect();
    let gauges =
        prometheus.query(r#"gaugeway_cost_dollars_per_million_tokens{basis="usage"}"#).unwrap();
    let outputs = gauges.iter().filter(|gauge| gauge.label("token_type") == "output").count();
    assert_eq!(outputs, ModelProfile::catalogue().len());
    for gauge in &gauges {
        let key @ [model, kind] = &series(gauge);
        let at = TYPES.iter().position(|name| name == kind).expect("a kind of token");
        println!("{model}: {:.2} $ per million {kind} tokens", gauge.value);
        let price = gauge.value / 1e6;
        assert!((price / WEIGHTS[at] / mean - 1.0).abs() < 0.3, "{model}: {price} against {mean}");
        let of_model = asked.iter().filter(|observation| observation.model == *model);
        let tokens: u64 = of_model.filter_map(|o| o.usage).map(|usage| by_type(usage)[at]).sum();
        let spent = price * tokens as f64;
        assert!((spent / attributed[key] - 1.0).abs() < 0.01, "{key:?}: {spent} of {attributed:?}");
    }
}

/// Kinds of tokens, in the order of [`WEIGHTS`].
const TYPES: [&str; 3] = ["uncached_input", "cached_input", "output"];

fn series(sample: &Sample) -> [String; 2] {
    ["model", "token_type"].map(|name| sample.label(name).to_owned())
}

fn by_type(usage: Usage) -> [u64; 3] {
    let cached = usage.cached.unwrap_or(0);
    [usage.input - cached, cached, usage.output]
}

fn weighted_tokens(usage: Usage) -> f64 {
    by_type(usage).iter().zip(WEIGHTS).map(|(tokens, weight)| *tokens as f64 * weight).sum()
}

fn by_model(asked: &[Observation], tokens: impl Fn(Usage) -> u64) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for observation in asked {
        let tokens = observation.usage.map_or(0, &tokens);
        *sums.entry(observation.model.clone()).or_default() += tokens as f64;
    }
    sums
}

fn await_totals(prometheus: &Prometheus, name: &str, expected: &BTreeMap<String, f64>) {
    let query = format!(r#"sum by (gen_ai_request_model) ({name}{{source="reported"}})"#);
    await_values(prometheus, &query, "gen_ai_request_model", expected);
}

fn await_values(
    prometheus: &Prometheus,
    query: &str,
    label: &str,
    expected: &BTreeMap<String, f64>,
) {
    prometheus.query_until(query, PATIENCE, |samples| {
        let found: BTreeMap<_, _> =
            samples.iter().map(|sample| (sample.label(label).to_owned(), sample.value)).collect();
        found == *expected
    });
}
