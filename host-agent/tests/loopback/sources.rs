//! Engines that behave and sources that do not.

use gaugeway_agent::engines::EngineConfig;
use gaugeway_agent::http::{Address, Url};

use super::agent::{Running, config, has, tokens, with_price};
use super::fake_envoy::{Answer, FakeEnvoy};

fn engine(at: &Address) -> EngineConfig {
    EngineConfig {
        name: "e".to_owned(),
        url: Url { address: at.clone(), path: "/metrics".to_owned() },
        upstream: Some("u".to_owned()),
    }
}

fn llama(output: u64) -> Answer {
    Answer::page(&format!(
        "llamacpp:prompt_tokens_total 0\nllamacpp:tokens_predicted_total {output}\n\
         llamacpp:requests_deferred 1\n"
    ))
}

#[tokio::test]
async fn the_gateway_and_the_engine_count_the_same() {
    let mut envoy = FakeEnvoy::tcp(tokens(100)).await;
    let server = FakeEnvoy::tcp(llama(500)).await;
    let agent = Running::start(gaugeway_agent::config::Config {
        engines: vec![engine(&server.address)],
        ..config(envoy.address.clone())
    })
    .await;
    envoy.whole_tick().await;
    envoy.answer(tokens(130));
    server.answer(llama(540));
    envoy.whole_tick().await;
    let page = agent.get("/metrics").await;
    has(&page, r#"gaugeway_engine_token_difference{upstream="u",token_type="output"} -10"#);
    has(&page, r#"gaugeway_engine_requests_waiting{engine="e",kind="llama_cpp",upstream="u"} 1"#);
    let summary = agent.get("/api/v1/summary").await;
    assert!(summary.contains(r#""engine":"e","upstream":"u","kind":"llama_cpp""#), "{summary}");
    agent.stop().await;
}

#[tokio::test]
async fn hostile_sources_leave_the_page_up() {
    let flood: String = (0..200_000).map(|i| format!("vllm:x{{a=\"{i}\"}} 1\n")).collect();
    for answer in [
        Answer::Endless,
        Answer::Silence,
        Answer::Raw(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
        ),
        Answer::response("500 Internal Server Error", "oops"),
        Answer::page("<html>no metrics</html>"),
        Answer::Raw(b"\xff\xfe garbage".to_vec()),
        Answer::Raw(Vec::new()),
        Answer::page(&"x".repeat(1_000_000)),
    ] {
        let mut envoy = FakeEnvoy::tcp(answer.clone()).await;
        let server = FakeEnvoy::tcp(answer).await;
        let agent = Running::start(gaugeway_agent::config::Config {
            engines: vec![engine(&server.address)],
            ..with_price(envoy.address.clone())
        })
        .await;
        envoy.request().await;
        let page = agent.get("/metrics").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        has(&page, r#"gaugeway_source_up{source="engine:e"} 0"#);
        assert!(!page.contains("gaugeway_engine_"), "{page}");
        agent.stop().await;
    }
    // Names of an engine in a flood of series cost nothing that grows.
    let mut envoy = FakeEnvoy::tcp(tokens(1)).await;
    let server = FakeEnvoy::tcp(Answer::page(&flood)).await;
    let agent = Running::start(gaugeway_agent::config::Config {
        engines: vec![engine(&server.address)],
        ..config(envoy.address.clone())
    })
    .await;
    envoy.whole_tick().await;
    has(&agent.get("/metrics").await, r#"gaugeway_source_up{source="engine:e"} 1"#);
    agent.stop().await;
}

#[tokio::test]
async fn labels_cannot_inject_lines() {
    let model = r#"m\"} 1\nevil_total{x=\"\\"#;
    let mut envoy = FakeEnvoy::tcp(Answer::page(&format!(
        "gaugeway_requests_total{{model=\"{model}\",upstream=\"u\",outcome=\"success\"}} 3\n"
    )))
    .await;
    let agent = Running::start(config(envoy.address.clone())).await;
    envoy.whole_tick().await;
    let page = agent.get("/metrics").await;
    assert!(page.contains(r#"model="m\"} 1\nevil_total{x=\"\\""#), "{page}");
    assert!(!page.lines().any(|line| line.starts_with("evil")), "{page}");
    agent.stop().await;
}
