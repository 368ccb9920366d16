//! What is wrong is refused before it does harm, with the place and the reason; what is absent is absent.

use gaugeway_tests::agent::{self, Agent};
use gaugeway_tests::envoy::{self, Config, Envoy};
use gaugeway_tests::{build, http, real, scratch, wait_for};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// Filter configurations that are wrong, and what the message must name.
const BAD_FILTER: &[(&str, &[&str])] = &[
    (r#"{"max_modells": 10}"#, &["max_modells", "unknown"]),
    (r#"{"max_models": "many"}"#, &["max_models"]),
    (r#"{"max_models": 10"#, &["EOF"]),
];

#[test]
fn a_bad_filter_configuration_stops_envoy_before_it_serves() {
    let Some(binary) = real::envoy() else { return };
    let dir = scratch::dir("bad_filter_envoy");
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    for (json, named) in BAD_FILTER {
        let config = Config::example(nowhere).filter(json);
        let validated = envoy::validate(&binary, &dir, &config).expect_err(json);
        let started = Envoy::start(&binary, &dir, config).expect_err(json);
        for (log, how) in [(&started, "start"), (&validated, "--mode validate")] {
            for word in *named {
                assert!(log.contains(word), "{how} {json}: no `{word}` in\n{log}");
            }
        }
    }
}

#[test]
fn the_harness_says_the_same_without_envoy() {
    let dir = scratch::dir("bad_filter_harness");
    let file = dir.join("filter.json");
    let check = |json: &str| {
        fs::write(&file, json).unwrap();
        Command::new(build::harness())
            .args(["check", "--wasm"])
            .arg(build::filter())
            .arg(&file)
            .output()
            .unwrap()
    };
    for (json, named) in BAD_FILTER {
        let output = check(json);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{json}: {said}");
        for word in *named {
            assert!(said.contains(word), "{json}: no `{word}` in\n{said}");
        }
    }
    assert_eq!(check("{}").status.code(), Some(0));
}

#[test]
fn a_bad_agent_configuration_is_refused_with_file_key_and_reason() {
    let dir = scratch::dir("bad_agent");
    let cases: &[(&str, &[&str])] = &[
        ("lisen = 1\n", &["lisen", "unknown"]),
        ("listen = \"nowhere\"\n", &["listen", "address"]),
        ("tick = \"never\"\n", &["tick", "never"]),
        ("tick = \"1h\"\n", &["tick"]),
        ("price = {usd_per_hour = -1.0}\n", &["price.usd_per_hour"]),
        ("price = {usd_per_hour = \"6\"}\n", &["price.usd_per_hour", "string"]),
        ("[[[\n", &["line"]),
    ];
    let envoy = "[envoy]\nadmin = \"http://127.0.0.1:9901\"\n";
    let with_envoy = cases.iter().map(|(config, named)| (format!("{config}{envoy}"), *named));
    let others: [(&str, &[&str]); 2] =
        [("", &["envoy", "missing"]), ("[envoy]\nadmin = \"ftp://x\"\n", &["envoy.admin", "ftp"])];
    let others = others.map(|(config, named)| (config.to_owned(), named));
    for (config, named) in with_envoy.chain(others) {
        let output = agent::refused(&dir, &config);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{config}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "one line: {said}");
        for word in named.iter().chain(&["agent.toml"]) {
            assert!(said.contains(word), "{config}: no `{word}` in {said}");
        }
    }
}

#[test]
fn a_source_that_is_down_leaves_the_page_up_and_its_numbers_absent() {
    let dir = scratch::dir("sources_down");
    let config = format!(
        "[envoy]\nadmin = \"http://127.0.0.1:{}\"\n[nvml]\nlibrary = \"/nonexistent/libnvidia-ml.so.1\"\n",
        http::free_port()
    );
    let agent = Agent::start(&dir, &config);
    // NVML has a thread of its own, which need not have said anything by the first tick.
    let page = wait_for("the reason why there is no NVML", Duration::from_secs(20), || {
        let page = agent.page();
        let missing = [("reason", "library_missing")];
        match page.sum("gaugeway_nvml_init_failures_total", &missing) {
            Some(failures) if failures >= 1.0 => Ok(page),
            failures => Err(format!("{failures:?} failures")),
        }
    });
    for source in ["envoy", "nvml"] {
        assert_eq!(page.sum("gaugeway_source_up", &[("source", source)]), Some(0.0), "{source}");
    }
    assert_eq!(page.sum("gaugeway_nvml_up", &[]), Some(0.0));

    for sample in &page.samples {
        let absent = [
            "gen_ai_",
            "gaugeway_gpu_",
            "gaugeway_cost_",
            "gaugeway_requests",
            "gaugeway_instance_price",
        ];
        assert!(!absent.iter().any(|prefix| sample.name.starts_with(prefix)), "{sample:?}");
    }
    assert!(agent.summary().is_object());
}
