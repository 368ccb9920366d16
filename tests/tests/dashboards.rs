//! Grafana's dashboards: as their sources say, whole in themselves, and with data in every panel. Run with
//! `GAUGEWAY_BLESS=1` after a change of a source.

use gaugeway_core::stat::Stat;
use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{ModelProfile, Server, ServerConfig};
use gaugeway_tests::agent::Agent;
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::json::walk;
use gaugeway_tests::page::Sample;
use gaugeway_tests::prometheus::{Prometheus, Target};
use gaugeway_tests::queries::{family, metrics};
use gaugeway_tests::{
    dashboards, engine_page, golden, nvml, real, renderer, rules, scratch, workspace,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

/// Grafana's names of units that the sources use: it shows a wrong one as it stands, without a word.
const UNITS: &[&str] = &[
    "none",
    "short",
    "s",
    "percentunit",
    "reqps",
    "cps",
    "currencyUSD",
    "bytes",
    "Bps",
    "watt",
    "joule",
    "celsius",
    "hertz",
];

/// What is not on the stack of this test, by the beginning of the metric's name.
const NOT_HERE: &[(&str, &str)] = &[
    ("gaugeway_audio_", "the simulator speaks no audio"),
    ("gen_ai_client_inference_usage_cache_write_", "the simulator's cache is written unasked"),
    ("gaugeway_budget_forecast_dollars", "a budget is kept for an hour first"),
    ("gaugeway_cost_unpriced_tokens_total", "each model has its pool"),
    ("gaugeway_energy_source_disagreement_ratio", "after ten minutes"),
    ("gaugeway_gpu_process_memory_bytes", "the simulator serves several models"),
];

/// What nobody looks at, by the beginning of the name.
const UNSEEN: &[(&str, &str)] = &[("DCGM_", "for dashboards that users have already")];

/// Four of the simulator's five models have a label, requests name no tenant, and first tokens are late.
const FILTER: &str = r#"{"max_models": 4, "slos": [{"models": "*", "ttft_ms": 20}], "tenant": {"header": "x-team"}}"#;
/// How requests go.
const MIX: &str = "ok=20,http:503=2,truncate=2,abort=3,no_usage=2,error_in_stream=1";

/// Prometheus' own.
const FOREIGN: &[&str] = &["up", "ALERTS"];

#[test]
fn the_dashboards_are_their_sources() {
    for (name, dashboard) in dashboards::all() {
        golden::check(&format!("monitoring/grafana/{name}.json"), &dashboard.json());
    }
    let sources: BTreeSet<String> = dashboards::all().into_iter().map(|(name, _)| name).collect();
    let made: BTreeSet<String> = committed().into_iter().map(|(name, _)| name).collect();
    assert_eq!(made, sources, "a dashboard without a source");
}

#[test]
fn every_panel_says_what_it_shows() {
    for (name, dashboard) in committed() {
        let panels = dashboard["panels"].as_array().unwrap();
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            let place = format!("{name}: {}", panel["title"]);
            assert!(text(&panel["description"]).len() > 5, "{place}");
            assert!(UNITS.contains(&text(&panel["fieldConfig"]["defaults"]["unit"])), "{place}");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{place}");
            for target in panel["targets"].as_array().unwrap() {
                assert!(!text(&target["legendFormat"]).is_empty(), "{place}");
            }
        }
    }
    for (name, dashboard) in dashboards::all() {
        let units =
            dashboard.panels().flat_map(|panel| &panel.queries).filter_map(|query| match query {
                dashboards::Query::Measured(.., unit) => Some(unit.as_str()),
                dashboards::Query::Plain(..) => None,
            });
        units.for_each(|unit| assert!(UNITS.contains(&unit), "{name}: {unit}"));
    }
}

#[test]
fn ids_are_unique_and_panels_do_not_overlap() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in committed() {
        assert_eq!(text(&dashboard["uid"]), name, "the address is the file's name");
        assert!(uids.insert(name.clone()));
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {}", panel["title"]);
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(x + w <= 24, "{name}: {}", panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{name}: {} lies on another", panel["title"]);
            }
            let targets = panel["targets"].as_array().cloned().unwrap_or_default();
            let letters: BTreeSet<&str> =
                targets.iter().map(|target| text(&target["refId"])).collect();
            assert_eq!(letters.len(), targets.len(), "{name}: {}", panel["title"]);
        }
    }
}

/// Otherwise a dashboard shows the figures of whatever Prometheus is Grafana's default.
#[test]
fn everything_asks_the_chosen_data_source() {
    for (name, dashboard) in committed() {
        walk(&dashboard, &mut |object| {
            if let Some(source) = object.get("datasource") {
                assert_eq!(source["uid"], "${datasource}", "{name}");
            }
            assert!(!object.contains_key("expr") || object.contains_key("datasource"), "{name}");
        });
    }
}

#[test]
fn variables_that_are_used_are_there_and_the_other_way_round() {
    for (name, dashboard) in committed() {
        let there: BTreeSet<String> = dashboard["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variable| text(&variable["name"]).to_owned())
            .collect();
        let mut used = BTreeSet::from(["datasource".to_owned()]);
        walk(&dashboard, &mut |object| {
            let expression = object.get("expr").and_then(Value::as_str).unwrap_or_default();
            // Not Grafana's own, `$__range`, and not a group of a regular expression, `$1`.
            let names = expression
                .split('$')
                .skip(1)
                .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
            let end =
                |rest: &str| rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
            used.extend(names.map(|rest| rest[..end(rest)].to_owned()));
        });
        assert_eq!(used, there, "{name}");
    }
}

/// The contract is `docs/metrics.md`, which is made from the code.
#[test]
fn every_metric_is_read_by_a_rule_or_a_dashboard() {
    let code = renderer::source();
    let of_gateway = Stat::ALL.iter().map(|stat| renderer::merged_name(*stat, &code));
    let of_agent = renderer::agent_metrics(&code).into_keys();
    let contract: BTreeSet<String> = of_gateway.chain(of_agent).collect();
    let recorded: BTreeSet<String> = rules::all().into_iter().map(|rule| rule.name).collect();

    let in_dashboards = dashboards::all();
    let asked = in_dashboards.iter().flat_map(|(_, dashboard)| dashboard.expressions());
    let asked: BTreeSet<String> = asked.flat_map(|expression| metrics(&expression)).collect();
    for name in asked.iter().filter(|name| !FOREIGN.contains(&name.as_str())) {
        let known = recorded.contains(name) || contract.contains(family(name));
        assert!(known, "a dashboard asks for {name}, which nothing makes");
    }
    let by_rules = rules::all().into_iter().flat_map(|rule| metrics(&rule.expression));
    let read: BTreeSet<String> =
        by_rules.chain(asked).map(|name| family(&name).to_owned()).collect();
    let unread: Vec<&String> =
        contract.difference(&read).filter(|name| !is_listed(name, UNSEEN)).collect();
    assert!(unread.is_empty(), "read by nothing: {unread:?}");
    for (listed, _) in UNSEEN {
        assert!(!read.iter().any(|name| name.starts_with(listed)), "{listed} is read after all");
    }
}

/// Grafana finds data source and dashboards by these, when its container mounts them.
#[test]
fn what_grafana_is_provisioned_with_leads_to_the_dashboards() {
    let yaml =
        |file: &str| rules::yaml(&workspace().join("monitoring/grafana/provisioning").join(file));
    let source = &yaml("datasources/gaugeway.yml")["datasources"][0];
    assert_eq!((text(&source["type"]), text(&source["access"])), ("prometheus", "proxy"));
    let provider = &yaml("dashboards/gaugeway.yml")["providers"][0];
    assert_eq!(text(&provider["type"]), "file");
    assert!(text(&provider["options"]["path"]).starts_with('/'));
}

#[test]
fn every_query_has_data() {
    let (Some(envoy), Some(prometheus)) = (real::envoy(), real::prometheus()) else { return };
    let dir = scratch::dir("dashboards");
    let sim = Server::start(ServerConfig::default()).unwrap();
    let envoy = Envoy::start(&envoy, &dir, Config::example(sim.addr()).filter(FILTER)).unwrap();
    let state = dir.join("state");
    fs::create_dir_all(&state).unwrap();
    let agent = Agent::start(
        &dir,
        &format!(
            "state_dir = {state:?}\n[envoy]\nadmin = \"http://{}\"\n\
             [price]\nprovider = \"aws\"\ninstance_type = \"p5.4xlarge\"\nregion = \"us-east-1\"\n\
             [[budgets]]\nname = \"all\"\nlimit_usd = 100\n\
             [[engines]]\nname = \"engine\"\nurl = \"http://{}/metrics\"\nupstream = \"llm\"\n{}",
            envoy.admin(),
            engine_page::serve(),
            FakeNvml::new(&dir, &gpus()).config(),
        ),
    );
    let hurried = dir.join("rules");
    fs::create_dir_all(&hurried).unwrap();
    rules::write_hurried(&hurried, str::to_owned);
    let target = Target { job: "gaugeway-agent", address: agent.address(), path: "/metrics" };
    let prometheus = Prometheus::start_recording(&prometheus, &dir, &[target], &hurried);

    thread::scope(|scope| {
        let users = scope.spawn(|| ask(&envoy));
        while !users.is_finished() {
            envoy.send_unreadable();
            thread::sleep(Duration::from_millis(500));
        }
    });

    let mut wrong = Vec::new();
    for (name, dashboard) in dashboards::all() {
        for expression in dashboard.expressions() {
            let there = !ask_prometheus(&prometheus, &expression).is_empty();
            let excused = metrics(&expression).iter().any(|name| is_listed(name, NOT_HERE));
            if there == excused {
                wrong.push(format!("{name}: there: {there}: {expression}"));
            }
        }
        for query in dashboard.panels().flat_map(|panel| &panel.queries) {
            let found = ask_prometheus(&prometheus, query.expression());
            let has = |label: &str| found.iter().any(|sample| !sample.label(label).is_empty());
            let labels =
                query.legend().split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
            for label in labels.filter(|label| !found.is_empty() && !has(label)) {
                wrong.push(format!("{name}: no {label}: {}", query.expression()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// With what Grafana puts in place of its variables.
fn ask_prometheus(prometheus: &Prometheus, expression: &str) -> Vec<Sample> {
    let filled = expression.replace("$__rate_interval", "20s").replace("$__range", "1m");
    let filled = dashboards::VARIABLES
        .iter()
        .fold(filled, |filled, (name, ..)| filled.replace(&format!("${name}"), ".*"));
    prometheus.query(&filled).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

/// A GPU of which everything is known, which this process, the simulator, holds; and one in two halves.
fn gpus() -> String {
    let simulator = format!("pid = {}", std::process::id());
    // An error, and counters that move, where the other tests need none.
    let gpu = nvml::full(0)
        .replace("pid = 4242", &simulator)
        .replace("[gpus.fields]", "xids = [[15, 31]]\n[gpus.fields]")
        .replace("270 = 0", "270 = { line = [[0, 0], [100, 50000000000]] }");
    format!(
        r#"{gpu}
[[gpus]]
uuid = "GPU-1"
memory = {{ total = 85899345920, used = 1 }}
[[gpus.mig]]
uuid = "MIG-1"
name = "NVIDIA H100 80GB HBM3 MIG 3g.40gb"
gpu_instance = 1
compute_instance = 0
memory = {{ total = 42949672960, used = 1073741824, reserved = 1048576 }}
[gpus.mig.gpm]
1 = 91
2 = 80
3 = 40
5 = 30
10 = 20
[[rules]]
call = "nvmlInit_v2"
until = 1
returns = 9
[[rules]]
call = "nvmlDeviceGetTemperatureV"
gpu = 1
returns = 999
[[rules]]
call = "nvmlDeviceGetPowerUsage"
gpu = 1
returns = 999
"#
    )
}

fn ask(envoy: &Envoy) {
    let models = ModelProfile::catalogue().into_iter().map(|model| model.name).collect();
    let config = LoadConfig {
        until: Until::Elapsed(Duration::from_secs(30)),
        mix: MIX.parse().unwrap(),
        ..LoadConfig::new(format!("http://{}", envoy.listener()).parse().unwrap(), models)
    };
    load::run(&config, |_| ()).unwrap();
}

/// The JSON files by name, as Grafana gets them.
fn committed() -> Vec<(String, Value)> {
    let entries = fs::read_dir(workspace().join("monitoring/grafana")).unwrap();
    let files = entries.flatten().map(|entry| entry.path());
    let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
    })
    .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_listed(name: &str, list: &[(&str, &str)]) -> bool {
    list.iter().any(|(listed, _)| name.starts_with(listed))
}
