//! The whole agent on loopback, with a fake Envoy.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use gaugeway_agent::Agent;
use gaugeway_agent::budget::BudgetSpec;
use gaugeway_agent::config::{Config, NvmlConfig};
use gaugeway_agent::cost::{CostConfig, HourlyPrice, NanoDollars, PoolSpec, WeightTable};
use gaugeway_agent::engines::EngineConfig;
use gaugeway_agent::http::{Address, Url};
use gaugeway_agent::price::{Basis, PriceConfig};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Folder;
use super::fake_envoy::{Answer, FakeEnvoy, http};

pub(super) fn config(envoy: Address) -> Config {
    Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tick: Duration::from_millis(100),
        log: log::LevelFilter::Off,
        envoy,
        nvml: None,
        price: None,
        cost: CostConfig {
            pools: vec![PoolSpec::whole_host()],
            weights: WeightTable::default(),
            max_request_duration: Duration::from_mins(15),
            window: Duration::from_hours(1),
            min_tokens: 1,
            calibrate: false,
        },
        discovery: false,
        engines: Vec::new(),
        host: false,
        budgets: Vec::new(),
        utc_offset: 0,
        state_dir: None,
        web_config: None,
        proc: "/proc".into(),
    }
}

pub(super) fn with_price(envoy: Address) -> Config {
    let price = PriceConfig {
        basis: Basis::Configured(HourlyPrice::from_dollars(3600.0).unwrap()),
        instance: None,
        detect: None,
        overhead: None,
        electricity: None,
    };
    Config { price: Some(price), ..config(envoy) }
}

pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    agent: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start(config: Config) -> Self {
        let agent = Agent::start(config).await.unwrap();
        let address = agent.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let agent = tokio::spawn(agent.run(async { drop(stopped.await) }));
        Self { address, stop, agent }
    }

    pub(super) async fn get(&self, path: &str) -> String {
        http(self.address, "GET", path).await
    }

    pub(super) async fn ready(&self) {
        while !self.get("/readyz").await.starts_with("HTTP/1.1 200") {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.agent.await.unwrap();
    }
}

#[track_caller]
pub(super) fn has(page: &str, line: &str) {
    assert!(page.lines().any(|l| l == line), "no line\n{line}\nin\n{page}");
}

pub(super) fn tokens(output: u64) -> Answer {
    Answer::page(&format!(
        "gaugeway_output_tokens_total{{model=\"m\",api=\"openai_chat\",upstream=\"u\",source=\"reported\",outcome=\"success\"}} {output}\n\
         gaugeway_requests_total{{model=\"m\",api=\"openai_chat\",upstream=\"u\",outcome=\"success\",mode=\"stream\"}} 3\n\
         envoy_cluster_upstream_rq_active{{envoy_cluster_name=\"u\"}} 1\n"
    ))
}

#[tokio::test]
async fn pages_and_methods() {
    let envoy = FakeEnvoy::tcp(tokens(1)).await;
    let agent = Running::start(config(envoy.address)).await;
    agent.ready().await;
    for (method, path, status) in [
        ("GET", "/metrics", "200"),
        ("HEAD", "/metrics", "200"),
        ("GET", "/healthz", "200"),
        ("GET", "/api/v1/summary", "200"),
        ("GET", "/api/v1/series", "200"),
        ("GET", "/api/v1/live", "200"),
        ("GET", "/", "200"),
        ("GET", "/page/main.js", "200"),
        ("POST", "/metrics", "405"),
        ("POST", "/", "405"),
        ("GET", "/page/", "404"),
        ("GET", "/page/../Cargo.toml", "404"),
        ("GET", "/metrics/", "404"),
        ("GET", "/quitquitquit", "404"),
    ] {
        let answer = http(agent.address, method, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{method} {path}: {answer}");
    }
    assert!(agent.get("/metrics").await.contains("content-type: text/plain; version=0.0.4"));
    agent.stop().await;
}

#[tokio::test]
async fn the_page_loads_what_is_here_and_nothing_else() {
    let envoy = FakeEnvoy::tcp(tokens(1)).await;
    let agent = Running::start(config(envoy.address)).await;
    let page = agent.get("/").await;
    let (head, html) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(
        head.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{head}"
    );
    let loaded = html.split(['"', '\'']).filter(|text| text.starts_with("page/"));
    for path in loaded {
        let file = agent.get(&format!("/{path}")).await;
        assert!(file.starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains("//"));

    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let path = format!("/ HTTP/1.1\r\nif-none-match: {tag}\r\nx-rest:");
    let again = agent.get(&path).await;
    assert!(again.starts_with("HTTP/1.1 304") && again.ends_with("\r\n\r\n"), "{again}");
    agent.stop().await;
}

#[tokio::test]
async fn a_poll_gives_what_came_since_the_last() {
    let mut envoy = FakeEnvoy::tcp(tokens(5)).await;
    let agent = Running::start(config(envoy.address.clone())).await;
    let ask = async |cursor: &str| -> serde_json::Value {
        let answer = agent.get(&format!("/api/v1/live?after={cursor}")).await;
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    envoy.whole_tick().await;
    envoy.answer(tokens(12));
    let mut outputs = Vec::new();
    let mut cursor = String::new();
    while outputs.is_empty() {
        envoy.whole_tick().await;
        let answer = ask(&cursor).await;
        assert_eq!(answer["now"]["sources"][0]["name"], "envoy");
        for frame in answer["frames"].as_array().unwrap() {
            let lines = frame["traffic"]["lines"].as_array().unwrap();
            outputs.extend(lines.iter().map(|line| line["tokens"]["reported"]["output"].clone()));
        }
        cursor = answer["cursor"].as_str().unwrap().to_owned();
    }
    assert_eq!(outputs, [7]);
    agent.stop().await;
}

#[tokio::test]
async fn not_ready_before_the_first_tick_has_ended_but_up() {
    let mut envoy = FakeEnvoy::tcp(Answer::Silence).await;
    let agent = Running::start(with_price(envoy.address.clone())).await;
    envoy.request().await;
    assert!(agent.get("/readyz").await.starts_with("HTTP/1.1 503"));
    let page = agent.get("/metrics").await;
    has(&page, r#"gaugeway_source_up{source="envoy"} 0"#);
    has(&page, r#"gaugeway_cost_bill_dollars_total{component="instance"} 0"#);
    agent.stop().await;
}

#[tokio::test]
async fn without_envoy_gpus_and_price_the_page_is_up() {
    let nobody = Address::Tcp("127.0.0.1:1".to_owned());
    let library = Some("/nonexistent/libnvidia-ml.so.1".into());
    let config =
        Config { nvml: Some(NvmlConfig { library, ..NvmlConfig::default() }), ..config(nobody) };
    let agent = Running::start(config).await;
    let page = loop {
        // NVML answers on a thread of its own, maybe a tick later.
        let page = agent.get("/metrics").await;
        if page.contains("library_missing") {
            break page;
        }
        tokio::task::yield_now().await;
    };
    for source in ["envoy", "nvml", "price"] {
        has(&page, &format!("gaugeway_source_up{{source=\"{source}\"}} 0"));
    }
    has(&page, "gaugeway_nvml_up 0");
    has(&page, r#"gaugeway_nvml_init_failures_total{reason="library_missing"} 1"#);
    assert!(!page.contains("gaugeway_cost_") && !page.contains("gen_ai_"));
    agent.stop().await;
}

#[tokio::test]
async fn numbers_go_with_their_source_and_come_back() {
    let mut envoy = FakeEnvoy::tcp(tokens(5)).await;
    let agent = Running::start(config(envoy.address.clone())).await;
    envoy.whole_tick().await;
    assert!(
        agent.get("/metrics").await.contains("gen_ai_client_inference_usage_output_tokens_total{")
    );
    envoy.answer(Answer::response("503 Service Unavailable", ""));
    envoy.whole_tick().await;
    let page = agent.get("/metrics").await;
    has(&page, r#"gaugeway_source_up{source="envoy"} 0"#);
    assert!(!page.contains("gen_ai_"));
    assert!(page.contains(r#"gaugeway_source_last_success_timestamp_seconds{source="envoy"}"#));
    envoy.answer(tokens(6));
    envoy.whole_tick().await;
    has(&agent.get("/metrics").await, r#"gaugeway_source_up{source="envoy"} 1"#);
    agent.stop().await;
}

#[tokio::test]
async fn tokens_turn_into_money_that_adds_up() {
    let mut envoy = FakeEnvoy::tcp(tokens(1_000)).await;
    let agent = Running::start(with_price(envoy.address.clone())).await;
    envoy.whole_tick().await;
    let attributed =
        r#"gaugeway_cost_attributed_dollars_total{model="m",token_type="output",outcome="ok"}"#;
    assert!(!agent.get("/metrics").await.contains(attributed), "counted before the agent ran");
    envoy.answer(tokens(3_000));
    envoy.whole_tick().await;
    // Nobody has scraped the new series yet, so it stands at 0.
    has(&agent.get("/metrics").await, &format!("{attributed} 0"));
    envoy.whole_tick().await;
    let page = agent.get("/metrics").await;
    let dollars = |start: &str| -> f64 {
        let values = page.lines().filter(|line| line.starts_with(start));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert!(dollars(attributed) > 0.0, "{page}");
    let parts = dollars("gaugeway_cost_attributed_dollars_total{")
        + dollars("gaugeway_cost_idle_dollars_total{")
        + dollars("gaugeway_cost_unattributed_dollars_total{")
        + dollars("gaugeway_cost_pending_dollars ");
    assert!((dollars("gaugeway_cost_bill_dollars_total{") - parts).abs() < 1e-9, "{page}");
    has(&page, "gaugeway_cost_conservation_error_dollars 0");

    let summary = agent.get("/api/v1/summary").await;
    let json: serde_json::Value =
        serde_json::from_str(summary.split_once("\r\n\r\n").unwrap().1).unwrap();
    let model = &json["models"][0];
    assert_eq!(model["model"], "m");
    assert_eq!(model["requests"], 3);
    assert_eq!(model["outcomes"]["success"], 3);
    assert_eq!(model["tokens"]["reported"]["output"], 3_000);
    assert!(model["usd_per_million_tokens"]["usage"]["output"].as_f64().unwrap() > 0.0);
    assert_eq!(json["sources"][0]["name"], "envoy");
    assert_eq!(json["sources"][0]["up"], true);
    agent.stop().await;
}

#[tokio::test]
async fn promtool_accepts_the_page() {
    let mut envoy = FakeEnvoy::tcp(Answer::page(FULL_PAGE)).await;
    let server = FakeEnvoy::tcp(Answer::page(ENGINE_PAGE)).await;
    let folder = Folder::new("promtool");
    let agent = Running::start(Config {
        engines: vec![EngineConfig {
            name: "e".to_owned(),
            url: Url { address: server.address, path: "/metrics".to_owned() },
            upstream: Some("llama".to_owned()),
        }],
        host: true,
        budgets: vec![BudgetSpec {
            name: "all".to_owned(),
            limit: NanoDollars(1),
            models: Vec::new(),
            tenants: Vec::new(),
        }],
        state_dir: Some(folder.0.clone()),
        ..with_price(envoy.address.clone())
    })
    .await;
    envoy.whole_tick().await;
    envoy.answer(Answer::page(&FULL_PAGE.replace(" 5\n", " 9\n")));
    envoy.whole_tick().await;
    let page = agent.get("/metrics").await;
    let text = page.split_once("\r\n\r\n").unwrap().1;
    let promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        println!("skipped: promtool is not installed");
        return;
    };
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
    agent.stop().await;
}

/// Every stat of the filter once.
const FULL_PAGE: &str = include_str!("envoy_page.txt");

/// Every figure of an engine.
const ENGINE_PAGE: &str = r#"vllm:num_requests_running{engine="0"} 2
vllm:num_requests_waiting{engine="0"} 0
vllm:kv_cache_usage_perc{engine="0"} 0.5
vllm:prefix_cache_queries_total{engine="0"} 5
vllm:prefix_cache_hits_total{engine="0"} 5
vllm:num_preemptions_total{engine="0"} 0
vllm:prompt_tokens_total{engine="0"} 100
vllm:generation_tokens_total{engine="0"} 100
vllm:time_to_first_token_seconds_sum{engine="0"} 1.5
vllm:time_to_first_token_seconds_count{engine="0"} 4
vllm:inter_token_latency_seconds_sum{engine="0"} 1.5
vllm:inter_token_latency_seconds_count{engine="0"} 4
"#;
