//! The live page in a real Chromium, with simulated users, the real Envoy, the agent and two scripted GPUs:
//! what it shows is true, it says when something is gone, and everybody can use it.

use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{Observation, Server, ServerConfig};
use gaugeway_tests::agent::Launch;
use gaugeway_tests::browser::{Browser, Scheme};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::{engine_page, real, scratch, wait_for, workspace};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);
const REQUESTS: u64 = 400;
const MIX: &str = "ok=84,no_usage=3,abort=5,truncate=2,error_in_stream=3,http=3";
const FILTER: &str = r#"{"slos":[{"models":"*","ttft_ms":600,"tpot_ms":40}]}"#;
const TAB: &str = "\u{e004}";
const DOWN: &str = "\u{e015}";

/// Two GPUs that have something to do, one of them held by its power limit. They are gone while the file
/// `lost` lies beside the script.
const GPUS: &str = r#"
driver_version = "580.95.05"
cuda_version = 13000
[[gpus]]
uuid = "GPU-0"
name = "NVIDIA H100 80GB HBM3"
utilization = { steps = [[0, 35], [8, 92], [16, 78], [24, 95]] }
memory = { total = 85899345920, used = 62949672960, reserved = 536870912 }
power_milliwatts = { line = [[0, 210000], [12, 655000], [40, 610000]] }
power_limit_milliwatts = 700000
energy_millijoules = { line = [[0, 5000000], [1000, 605000000]] }
temperature = { line = [[0, 44], [40, 71]] }
clock_event_reasons = 4
[[gpus]]
uuid = "GPU-1"
name = "NVIDIA H100 80GB HBM3"
utilization = { steps = [[0, 10], [6, 61], [14, 70], [26, 58]] }
memory = { total = 85899345920, used = 42949672960, reserved = 536870912 }
power_milliwatts = { line = [[0, 120000], [10, 420000], [40, 380000]] }
power_limit_milliwatts = 700000
energy_millijoules = { line = [[0, 5000000], [1000, 405000000]] }
temperature = { line = [[0, 41], [40, 62]] }
[[rules]]
call = "*"
if_file = "lost"
returns = 15
"#;

#[test]
fn the_page_shows_what_is_true_and_says_what_is_gone() {
    let (Some(envoy), Some(chromium)) = (real::envoy(), real::chromium()) else { return };
    let dir = scratch::dir("page");
    let server = Server::start(ServerConfig::default()).unwrap();
    let config = Config::example(server.addr()).filter(FILTER);
    let envoy = Envoy::start(&envoy, &dir, config).unwrap();
    let launch = Launch::new(&agent_config(&dir, &envoy));
    let agent = launch.start(&dir);
    let browser = Browser::start(&chromium.driver, &chromium.browser, &dir);
    browser.look(1440, 900, Scheme::Light);
    let url = format!("http://{}/", agent.address());
    browser.open(&format!("{url}?window=15m"));
    until(&browser, "the first frame", "document.querySelector('#gpus tbody tr') !== null");

    let asked = ask(&envoy);
    requests_are_exact(&browser, &asked);
    percentiles_are_in_the_right_bucket(&browser, &asked);
    quantiles_are_those_of_prometheus(&browser);
    money_and_gpus_are_there(&browser);
    nothing_was_asked_of_others(&browser, &url);

    let pictures = workspace().join("target/page");
    fs::create_dir_all(&pictures).unwrap();
    for (name, width, height, scheme) in [
        ("light", 1440, None, Scheme::Light),
        ("dark", 1440, None, Scheme::Dark),
        ("phone", 390, None, Scheme::Light),
        ("light-top", 1440, Some(900), Scheme::Light),
        ("dark-top", 1440, Some(900), Scheme::Dark),
        ("phone-top", 390, Some(844), Scheme::Light),
    ] {
        browser.look(width, 900, scheme);
        no_barriers(&browser, &chromium.axe, name);
        let overflow =
            "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(browser.eval(overflow), false, "{name}: the page is wider than its window");
        browser.picture(&pictures.join(format!("{name}.png")), width, height);
    }
    browser.look(1440, 900, Scheme::Light);
    the_keyboard_reaches_the_filters(&browser);
    assert_eq!(browser.console(), [""; 0], "up to here nothing was wrong");

    browser.open(&format!("{url}?window=15m"));
    sources_that_are_gone_are_said_to_be(&browser, &dir, &envoy);
    drop(agent);
    until(&browser, "the banner", &banner("Disconnected"));
    assert_eq!(browser.eval("document.body.classList.contains('stale')"), true);
    let _agent = launch.start(&dir);
    until(&browser, "the agent is back", &banner("All sources answer"));
    assert_eq!(browser.eval("document.body.classList.contains('stale')"), false);
    // An agent that was started anew knows nothing of before; the page that was open all the time does.
    requests_are_exact(&browser, &asked);
}

/// A price, budgets, an engine with a queue, GPUs.
fn agent_config(dir: &Path, envoy: &Envoy) -> String {
    let gpus = FakeNvml::new(dir, GPUS);
    fs::create_dir_all(dir.join("state")).unwrap();
    format!(
        "state_dir = {:?}\n[envoy]\nadmin = \"http://{}\"\n{}[price]\nusd_per_hour = 13.76\n\
         [cost]\nmin_tokens = 1\n\
         [[engines]]\nname = \"vllm\"\nurl = \"http://{}/metrics\"\n\
         [[budgets]]\nname = \"everything\"\nlimit_usd = 9000.0\n\
         [[budgets]]\nname = \"trial\"\nlimit_usd = 0.001\nmodels = [\"qwen3-32b\"]\n",
        dir.join("state"),
        envoy.admin(),
        gpus.config(),
        engine_page::serve(),
    )
}

fn ask(envoy: &Envoy) -> Vec<Observation> {
    let models = ["llama-3.1-8b", "qwen3-32b", "gpt-4o-mini"].map(str::to_owned).to_vec();
    let config = LoadConfig {
        concurrency: NonZeroU32::new(20).unwrap(),
        until: Until::Requests(REQUESTS),
        mix: MIX.parse().unwrap(),
        ..LoadConfig::new(format!("http://{}", envoy.listener()).parse().unwrap(), models)
    };
    load::run(&config, |_| ()).unwrap().observations
}

/// Waits until a JavaScript expression is true.
fn until(browser: &Browser, what: &str, condition: &str) {
    wait_for(what, PATIENCE, || match browser.eval(condition) {
        Value::Bool(true) => Ok(()),
        _ => Err(format!("{condition}: the banner says {:?}", browser.text("#health"))),
    });
}

fn banner(text: &str) -> String {
    format!("document.querySelector('#health').textContent.includes({text:?})")
}

/// The cells of a table's rows.
fn table(browser: &Browser, id: &str) -> Vec<Vec<String>> {
    let rows = browser.eval(&format!(
        "Array.from(document.querySelectorAll('#{id} tbody tr'), row => Array.from(row.cells, cell => cell.textContent))"
    ));
    serde_json::from_value(rows).expect("rows of text")
}

fn requests_are_exact(browser: &Browser, asked: &[Observation]) {
    const OUTCOMES: [&str; 4] = ["success", "error", "client_abort", "truncated"];
    let row = |name: &str, of: &dyn Fn(&Observation) -> bool| {
        let count = |outcome: &str| {
            asked.iter().filter(|o| of(o) && o.outcome.as_str() == outcome).count().to_string()
        };
        let counts = OUTCOMES.map(count);
        [name.to_owned()].into_iter().chain(counts).collect::<Vec<_>>()
    };
    let mut models: Vec<_> = asked.iter().map(|o| o.model.clone()).collect();
    models.sort();
    models.dedup();
    let mut expected: Vec<_> =
        models.iter().map(|model| row(model, &|o| o.model == *model)).collect();
    expected.push(row("All shown", &|_| true));
    let without_goodput = |row: Vec<String>| row.into_iter().take(5).collect::<Vec<_>>();
    wait_for("requests by outcome", PATIENCE, || {
        let shown: Vec<_> = table(browser, "outcomes").into_iter().map(without_goodput).collect();
        if shown == expected { Ok(()) } else { Err(format!("{shown:?}, not {expected:?}")) }
    });

    let mut errors = BTreeMap::new();
    for observation in asked {
        if let (Some(class), Some(phase)) = (observation.error_class, observation.phase) {
            *errors.entry((class.as_str(), phase.as_str())).or_insert(0) += 1;
        }
    }
    let shown = table(browser, "errors");
    for ((class, phase), count) in errors {
        let column =
            ["before_stream", "in_stream", "after_stream"].iter().position(|p| *p == phase);
        let row = shown.iter().find(|row| row[0] == class).expect("a row for the class");
        assert_eq!(row[column.unwrap() + 1], count.to_string(), "{class} {phase}");
    }
}

/// A histogram knows a quantile to its bucket; the filter's clock may put a value into the next one.
fn percentiles_are_in_the_right_bucket(browser: &Browser, asked: &[Observation]) {
    const BOUNDS: [f64; 15] =
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5];
    for row in table(browser, "latency") {
        let mut ttfts: Vec<u64> =
            asked.iter().filter(|o| o.model == row[0]).filter_map(|o| o.ttft_us).collect();
        ttfts.sort_unstable();
        for (column, percent) in [(2, 50), (3, 95)] {
            let shown = seconds(&row[column]);
            let user = ttfts[(ttfts.len() - 1) * percent / 100] as f64 / 1e6;
            println!("{}: TTFT p{percent} {shown} s on the page, {user} s by the client", row[0]);
            let lower = BOUNDS.iter().rfind(|bound| **bound <= user * 0.98).unwrap_or(&0.0);
            let upper = BOUNDS.iter().find(|bound| **bound >= user * 1.02).unwrap();
            assert!((*lower..=*upper).contains(&shown), "{}: {shown} for {user}", row[0]);
        }
    }
}

/// "123 ms" or "1.23 s".
fn seconds(text: &str) -> f64 {
    let (number, unit) = text.split_once(' ').unwrap_or_else(|| panic!("{text:?} is no time"));
    let number: f64 = number.parse().expect("a number");
    if unit == "ms" { number / 1e3 } else { number }
}

/// As `histogram_quantile` answers in Prometheus, edge by edge.
fn quantiles_are_those_of_prometheus(browser: &Browser) {
    let script = r#"
        const { Histogram } = await import("./page/totals.js");
        const quantile = (q, ...buckets) => { const h = new Histogram(); h.add(buckets); return h.quantile(q); };
        const slid = new Histogram();
        slid.add([[0, 1, 5], [1, 2, 5]]);
        slid.add([[1, 2, 5]]);
        slid.add([[0, 1, 5], [1, 2, 5]], -1);
        return [
            quantile(0.5, [0, 1, 10]), quantile(0.5, [1, 2, 10], [2, 4, 80], [4, null, 10]), quantile(0.99, [0, 1, 1], [4, null, 99]),
            quantile(0.1, [1, 2, 10], [2, 4, 90]), quantile(0.5), quantile(0, [1, 2, 4]), slid.quantile(0.5), slid.count,
        ];"#;
    let answer = browser.run(&format!("return (async () => {{ {script} }})()"));
    assert_eq!(answer, json!([0.5, 3, 4, 2, null, 1, 1.5, 5]));
}

fn money_and_gpus_are_there(browser: &Browser) {
    let split = table(browser, "split-table");
    let names: Vec<_> = split.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["used", "wasted", "idle", "unattributed", "pending", "bill"]);
    let bill = split.last().expect("the bill");
    let per_hour: f64 = bill[1].trim_start_matches('$').parse().expect("dollars");
    assert!((per_hour - 13.76).abs() < 0.02, "{bill:?}");
    for row in table(browser, "tokens") {
        assert!(row.iter().all(|cell| cell != "-"), "everything is known of {row:?}");
    }
    let gpus = table(browser, "gpus");
    assert_eq!(gpus[0][0], "0 NVIDIA H100 80GB HBM3");
    assert_eq!((gpus[0][2].as_str(), gpus[0][5].as_str()), ("73.3 % of 80.0 GiB", "sw_power_cap"));
    assert_eq!(gpus[1][6], "none");
    assert_eq!(table(browser, "engines")[0][3..], ["8", "4", "99.0 %"]);
    let budgets = table(browser, "budgets");
    assert_eq!((budgets[0][6].as_str(), budgets[1][6].as_str()), ("✓ within", "✕ exceeded"));
    assert!(browser.text("#tiles").contains("GPU utilisation"));
}

fn nothing_was_asked_of_others(browser: &Browser, url: &str) {
    let requests = browser.requests();
    assert!(requests.iter().any(|request| request.contains("/api/v1/live")), "{requests:?}");
    let elsewhere: Vec<_> = requests
        .iter()
        .filter(|request| !request.starts_with(url) && !request.starts_with("data:"))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

/// axe-core finds nothing serious. What is opened by a click is looked at too.
fn no_barriers(browser: &Browser, axe: &Path, name: &str) {
    browser.run(&fs::read_to_string(axe).expect("axe-core is installed"));
    browser.run("document.querySelectorAll('details').forEach(details => details.open = true)");
    let found = browser.run(
        "return axe.run().then(({ violations }) => violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
            .map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}: ${nodes[0].failureSummary}`))",
    );
    assert_eq!(found, json!([]), "{name}");
    browser.run("document.querySelectorAll('details').forEach(details => details.open = false)");
}

/// Tab, Tab, and the first filter has the focus; a key chooses; the address has it, and a reload keeps it.
fn the_keyboard_reaches_the_filters(browser: &Browser) {
    browser.run("document.activeElement?.blur(); scrollTo(0, 0)");
    let focus = || browser.eval("document.activeElement.id || document.activeElement.className");
    let mut reached = Vec::new();
    for _ in 0..5 {
        browser.press(TAB);
        reached.push(focus());
    }
    assert_eq!(reached, ["skip", "model", "upstream", "tenant", "window"]);
    browser.run("document.querySelector('#model').focus()");
    browser.press(DOWN);
    until(browser, "the choice", "location.search.includes('model=gpt-4o-mini')");
    until(browser, "one model", "document.querySelectorAll('#latency tbody tr').length === 1");
    browser.run("location.reload()");
    until(
        browser,
        "one model after a reload",
        "document.querySelector('#model').value === 'gpt-4o-mini' && document.querySelectorAll('#latency tbody tr').length === 1",
    );
    assert_eq!(browser.eval("document.querySelector('#window').value"), "15m");
}

/// The gateway stands still, the GPUs fall off the bus: the page says so, shows nothing old, and recovers.
fn sources_that_are_gone_are_said_to_be(browser: &Browser, dir: &Path, envoy: &Envoy) {
    until(browser, "figures", "document.querySelector('#latency tbody tr') !== null");
    let state = |source: &str| {
        format!("document.querySelector('#sources [data-key={source}] td').textContent")
    };
    envoy.signal("STOP");
    until(browser, "the gateway's loss", &banner("The gateway is down"));
    until(browser, "no figures", "document.querySelector('#tiles .big').textContent === '-'");
    assert_eq!(browser.eval(&state("envoy")), "✕ down");
    assert_eq!(table(browser, "latency"), [[""; 0]; 0]);
    envoy.signal("CONT");
    until(browser, "the gateway's return", &banner("All sources answer"));
    assert_eq!(browser.eval(&state("envoy")), "✓ up");

    fs::write(dir.join("lost"), "").unwrap();
    until(browser, "the GPUs' loss", &banner("GPU telemetry is down"));
    until(browser, "no GPUs", "document.querySelector('#gpus-part').hidden");
    fs::remove_file(dir.join("lost")).unwrap();
    until(browser, "the GPUs' return", &banner("All sources answer"));
}
