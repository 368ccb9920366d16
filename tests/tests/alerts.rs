//! Trouble of every kind on a running stack: each alert goes through the real Prometheus to the real Alertmanager, and
//! every rule has data. A minute of the rules lasts a second.

use gaugeway_sim::load::{self, LoadConfig, Mix, Until};
use gaugeway_sim::{ModelProfile, Server, ServerConfig};
use gaugeway_tests::agent::Agent;
use gaugeway_tests::alertmanager::{Alert, Alertmanager};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::page::Page;
use gaugeway_tests::prometheus::{Alerting, Prometheus, Target};
use gaugeway_tests::queries::{family, metrics};
use gaugeway_tests::rules::{self, Kind};
use gaugeway_tests::{engine_page, real, scratch, workspace};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What cannot be made to happen here. Their unit tests let them fire.
const NOT_PROVOKED: &[(&str, &str)] = &[
    ("GaugewayCostConservation", "the agent would need a bug"),
    ("GaugewayEnergySourcesDisagree", "the agent compares ten minutes at a time"),
    ("GaugewayThresholdsMissing", "then nothing else could fire"),
];

/// What the agent shows only after a while or in trouble that does not happen here.
const NOT_ON_THE_PAGE: &[(&str, &str)] = &[
    ("gaugeway_energy_source_disagreement_ratio", "after ten minutes"),
    ("gaugeway_cost_unattributed_dollars_total", "when tokens stay away for a quarter of an hour"),
];

/// Every answer is late, four of the simulator's five models have a label, requests name no tenant.
const FILTER: &str = r#"{"max_models": 4, "slos": [{"models": "*", "ttft_ms": 20}], "tenant": {"header": "x-team"}}"#;

/// How requests go once there is something to compare with.
const TROUBLE: &str = "ok=25,http:503=15,truncate=5,abort=35,no_usage=10,stall:3:6000=10";

/// A route where the filter is off, as if it were blind.
const BLIND: &str = r#"
              routes:
              - match: {prefix: /blind/}
                route: {cluster: llm, prefix_rewrite: /}
                typed_per_filter_config:
                  gaugeway: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}"#;

/// GPU 0 is hot, full, idle and in need of repair; GPU 1 is gone after 15 seconds.
const GPUS: &str = r#"
[[gpus]]
uuid = "GPU-0"
utilization = 0
memory = { total = 85899345920, used = 84000000000 }
power_milliwatts = 350000
energy_millijoules = { line = [[0, 0], [1000, 350000000]] }
temperature = 95
clock_event_reasons = 64
ecc = { corrected = [0, 0], uncorrected = [1, 1] }
xids = [[5, 79], [6, 94]]
[gpus.fields]
142 = 0
143 = 1
144 = 1
145 = 0
230 = 1
269 = 0
270 = { line = [[0, 0], [1000, 900000000000]] }
271 = 0
[[gpus]]
uuid = "GPU-1"
utilization = 50
[[rules]]
call = "*"
gpu = 1
from = 15
returns = 15
"#;

#[test]
fn every_alert_arrives_and_every_rule_has_data() {
    let (Some(envoy), Some(prometheus), Some((alertmanager, amtool))) =
        (real::envoy(), real::prometheus(), real::alertmanager())
    else {
        return;
    };
    let dir = scratch::dir("alerts");
    let sim = Server::start(ServerConfig::default()).unwrap();
    let config =
        Config::example(sim.addr()).filter(FILTER).replace("\n              routes:", BLIND);
    let envoy = Envoy::start(&envoy, &dir, config).unwrap();
    let agent = start_agent(&dir, envoy.admin());

    let rules = dir.join("rules");
    fs::create_dir_all(&rules).unwrap();
    rules::write_hurried(&rules, with_low_thresholds);
    let example = workspace().join("monitoring/alertmanager/alertmanager.yml");
    let alertmanager = Alertmanager::start(&alertmanager, &amtool, &dir, &example);
    let targets = [
        Target { job: "gaugeway-agent", address: agent.address(), path: "/metrics" },
        // Nothing listens there.
        Target { job: "gaugeway-agent", address: "127.0.0.1:1", path: "/metrics" },
    ];
    let alerting = Alerting { rules: &rules, alertmanager: alertmanager.address() };
    let prometheus = Prometheus::start_alerting(&prometheus, &dir, &targets, alerting);

    let over = AtomicBool::new(false);
    let arrived = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                odd_requests(&envoy);
            }
        });
        let users = scope.spawn(|| {
            ask(&envoy, 1, "ok=1", 25);
            ask(&envoy, 2, TROUBLE, 80);
        });
        let arrived = collect_alerts(&alertmanager, || users.is_finished());
        over.store(true, Ordering::Relaxed);
        arrived
    });

    let expected = rules::all().into_iter().filter(|rule| rule.kind == Kind::Alert);
    let expected: BTreeSet<String> = expected.map(|rule| rule.name).collect();
    let unprovoked: BTreeSet<String> =
        NOT_PROVOKED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names: BTreeSet<String> = arrived.keys().cloned().collect();
    println!("{} of {} alerts arrived", names.len(), expected.len());
    assert_eq!(&names | &unprovoked, expected);
    assert!(names.is_disjoint(&unprovoked), "{names:?}");
    for (name, alert) in &arrived {
        let texts: String = alert.annotations.values().map(String::as_str).collect();
        assert!(!texts.contains("error") || !texts.contains("template"), "{name}: {texts}");
        assert!(!texts.contains("{{"), "{name}: {texts}");
    }

    every_rule_has_data(&prometheus);
    every_metric_is_on_the_page(&agent.page());
}

/// Thresholds as a user would change them: those that would take minutes or months to pass.
fn with_low_thresholds(rules: &str) -> String {
    let low = [
        ("gaugeway:threshold:duration_p99_seconds\n    expr: vector(120)", 2),
        ("gaugeway:threshold:price_age_seconds\n    expr: vector(15552000)", 86_400),
    ];
    low.iter().fold(rules.to_owned(), |rules, (threshold, value)| {
        let (name, _) = threshold.split_once('(').expect("a threshold has a value");
        rules.replace(threshold, &format!("{name}({value})"))
    })
}

/// An agent that has kept a budget for an hour, long enough to forecast.
fn start_agent(dir: &Path, admin: SocketAddr) -> Agent {
    let state = dir.join("state");
    fs::create_dir_all(&state).unwrap();
    let config = format!(
        "state_dir = {state:?}\n\
         [envoy]\nadmin = \"http://{admin}\"\n\
         [price]\nprovider = \"aws\"\ninstance_type = \"p5.4xlarge\"\nregion = \"us-east-1\"\n\
         [[budgets]]\nname = \"all\"\nlimit_usd = 0.01\n\
         [[engines]]\nname = \"busy\"\nurl = \"http://{}/metrics\"\nupstream = \"llm\"\n\
         [[engines]]\nname = \"dead\"\nurl = \"http://127.0.0.1:1/metrics\"\n\
         {}",
        engine_page::serve(),
        FakeNvml::new(dir, GPUS).config(),
    );
    let file = state.join("state.json");
    let agent = Agent::start(dir, &config);
    gaugeway_tests::wait_for("the first state", Duration::from_secs(10), || {
        fs::metadata(&file).map_err(|error| error.to_string())
    });
    drop(agent);
    let mut saved: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let since = saved["budgets"][0]["since"].as_i64().unwrap();
    saved["budgets"][0]["since"] = (since - 3600).into();
    fs::write(&file, saved.to_string()).unwrap();
    Agent::start(dir, &config)
}

fn ask(envoy: &Envoy, seed: u64, mix: &str, seconds: u64) {
    let models = ModelProfile::catalogue().into_iter().map(|model| model.name).collect();
    let url = format!("http://{}", envoy.listener()).parse().unwrap();
    let config = LoadConfig {
        concurrency: NonZeroU32::new(40).unwrap(),
        until: Until::Elapsed(Duration::from_secs(seconds)),
        seed,
        mix: mix.parse::<Mix>().unwrap(),
        ..LoadConfig::new(url, models)
    };
    load::run(&config, |_| ()).unwrap();
}

/// A few requests past the filter, and one that it cannot read.
fn odd_requests(envoy: &Envoy) {
    let url = format!("http://{}", envoy.listener());
    for _ in 0..4 {
        gaugeway_tests::http::get_ok(&format!("{url}/blind/health")).unwrap();
    }
    envoy.send_unreadable();
    thread::sleep(Duration::from_millis(200));
}

/// The first of each alert that Alertmanager has until it is over.
fn collect_alerts(
    alertmanager: &Alertmanager,
    is_over: impl Fn() -> bool,
) -> BTreeMap<String, Alert> {
    let began = Instant::now();
    let mut arrived = BTreeMap::new();
    while !is_over() {
        for alert in alertmanager.alerts() {
            let name = alert.labels["alertname"].clone();
            arrived.entry(name).or_insert_with_key(|name| {
                println!("{:>5.1} s  {name}", began.elapsed().as_secs_f64());
                alert
            });
        }
        thread::sleep(Duration::from_millis(500));
    }
    arrived
}

fn every_rule_has_data(prometheus: &Prometheus) {
    for rule in rules::all() {
        match rule.kind {
            Kind::Recording => {
                assert!(!prometheus.query(&rule.name).unwrap().is_empty(), "{}", rule.name);
            }
            Kind::Alert => {
                for name in metrics(&rule.expression) {
                    let there = !prometheus
                        .query(&format!("max_over_time({name}[2m])"))
                        .unwrap()
                        .is_empty();
                    assert!(there || is_listed(&name, NOT_ON_THE_PAGE), "{}: {name}", rule.name);
                }
            }
        }
    }
}

fn every_metric_is_on_the_page(page: &Page) {
    let on_page: BTreeSet<&str> = page
        .samples
        .iter()
        .flat_map(|sample| [sample.name.as_str(), family(&sample.name)])
        .collect();
    let recorded: BTreeSet<String> = rules::all().into_iter().map(|rule| rule.name).collect();
    let read: BTreeSet<String> =
        rules::all().iter().flat_map(|rule| metrics(&rule.expression)).collect();
    for name in read.difference(&recorded).filter(|name| *name != "up") {
        assert!(
            on_page.contains(name.as_str()) || is_listed(name, NOT_ON_THE_PAGE),
            "{name} is read by rules and not on the agent's page"
        );
    }
}

fn is_listed(name: &str, list: &[(&str, &str)]) -> bool {
    list.iter().any(|(listed, _)| name.starts_with(listed))
}
