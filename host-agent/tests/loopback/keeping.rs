//! What survives a restart of the agent, and prices that change while it runs.

use std::fs;

use gaugeway_agent::Agent;
use gaugeway_agent::budget::BudgetSpec;
use gaugeway_agent::config::Config;
use gaugeway_agent::cost::{HourlyPrice, NanoDollars};
use gaugeway_agent::http::Address;
use gaugeway_agent::price::{Basis, PriceConfig};
use tokio::sync::oneshot;

use super::Folder;
use super::agent::{Running, has, tokens, with_price};
use super::fake_envoy::{FakeEnvoy, http};

fn with_budget(folder: &Folder, envoy: Address) -> Config {
    fs::create_dir_all(folder.0.join("sys/kernel/random")).unwrap();
    fs::write(folder.0.join("sys/kernel/random/boot_id"), "boot-1\n").unwrap();
    fs::write(folder.0.join("uptime"), "1000.00 1.00\n").unwrap();
    let budget = BudgetSpec {
        name: "all".to_owned(),
        limit: NanoDollars(10_000_000_000),
        models: Vec::new(),
        tenants: Vec::new(),
    };
    Config {
        budgets: vec![budget],
        state_dir: Some(folder.0.clone()),
        proc: folder.0.clone(),
        ..with_price(envoy)
    }
}

fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    assert!(line.is_some(), "no {series} in\n{page}");
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_budget_goes_on_and_counters_start_at_zero() {
    let folder = Folder::new("keeping");
    let mut envoy = FakeEnvoy::tcp(tokens(1)).await;
    let spent = r#"gaugeway_budget_spent_dollars{budget="all"}"#;
    let bill = r#"gaugeway_cost_bill_dollars_total{component="instance"}"#;
    let agent = Running::start(with_budget(&folder, envoy.address.clone())).await;
    envoy.whole_tick().await;
    let before = agent.get("/metrics").await;
    assert!(value(&before, spent) > 0.0);
    has(&before, r#"gaugeway_source_up{source="state"} 1"#);
    agent.stop().await;

    // Killed or stopped is the same to it: nothing is written at the end.
    let config = with_budget(&folder, envoy.address.clone());
    // The host ran on for 100 s, at 1 $ per second.
    fs::write(folder.0.join("uptime"), "1100.00 1.00\n").unwrap();
    let agent = Running::start(config).await;
    let first = agent.get("/metrics").await;
    assert!(value(&first, spent) >= value(&before, spent), "{first}");
    assert!(value(&first, bill) < 1.0, "{first}");
    has(&first, r#"gaugeway_cost_unattributed_dollars_total{reason="agent_down"} 0"#);
    while value(
        &agent.get("/metrics").await,
        r#"gaugeway_cost_unattributed_dollars_total{reason="agent_down"}"#,
    ) == 0.0
    {
        envoy.request().await;
    }
    let page = agent.get("/metrics").await;
    has(&page, r#"gaugeway_cost_unattributed_dollars_total{reason="agent_down"} 100"#);
    assert!(value(&page, bill) >= 100.0);
    assert!(value(&page, spent) >= value(&before, spent) + 100.0);
    has(&page, "gaugeway_cost_conservation_error_dollars 0");
    agent.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_source_that_is_down() {
    let folder = Folder::new("keeping-not");
    let mut envoy = FakeEnvoy::tcp(tokens(1)).await;
    let config = with_budget(&folder, envoy.address.clone());
    let config = Config { state_dir: Some(folder.0.join("nowhere")), ..config };
    let agent = Running::start(config).await;
    envoy.whole_tick().await;
    let page = agent.get("/metrics").await;
    has(&page, r#"gaugeway_source_up{source="state"} 0"#);
    assert!(value(&page, r#"gaugeway_budget_spent_dollars{budget="all"}"#) > 0.0);
    agent.stop().await;
}

#[tokio::test]
async fn a_new_price_applies_from_the_next_tick_on() {
    let mut envoy = FakeEnvoy::tcp(tokens(1)).await;
    let agent = Agent::start(with_price(envoy.address.clone())).await.unwrap();
    let (address, price) = (agent.address().unwrap(), agent.price());
    let (stop, stopped) = oneshot::channel::<()>();
    let agent = tokio::spawn(agent.run(async { drop(stopped.await) }));
    envoy.whole_tick().await;
    price.send_replace(Some(PriceConfig {
        basis: Basis::Configured(HourlyPrice::from_dollars(7.5).unwrap()),
        instance: None,
        detect: None,
        overhead: None,
        electricity: None,
    }));
    envoy.whole_tick().await;
    let page = http(address, "GET", "/metrics").await;
    has(&page, "gaugeway_instance_price_dollars_per_hour 7.5");
    price.send_replace(None);
    envoy.whole_tick().await;
    let page = http(address, "GET", "/metrics").await;
    has(&page, r#"gaugeway_source_up{source="price"} 0"#);
    assert!(!page.contains("gaugeway_cost_") && !page.contains("gaugeway_instance_"), "{page}");
    stop.send(()).unwrap();
    agent.await.unwrap();
}
