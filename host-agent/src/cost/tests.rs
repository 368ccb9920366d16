mod long_run;
mod pools;
mod random;

use gaugeway_core::stat::Stat;
use proptest::prelude::*;

use super::*;
use crate::envoy::{Series, Value};
use crate::gpu::{GpuIdentity, GpuReading, GpuSample, Memory, MigInstance};

const TICK: Duration = Duration::from_secs(10);

fn config(pools: Vec<PoolSpec>) -> CostConfig {
    CostConfig {
        pools,
        weights: WeightTable::default(),
        max_request_duration: Duration::from_mins(15),
        window: Duration::from_hours(1),
        min_tokens: 1,
        calibrate: false,
    }
}

/// 1 $ per 1000 s, so 10 milli-dollars a tick.
pub(super) fn rates() -> Rates {
    Rates { instance: HourlyPrice::from_dollars(3.6).unwrap(), overhead: None, electricity: None }
}

fn pool(name: &str, upstream: &str, gpus: Option<u32>) -> PoolSpec {
    PoolSpec {
        name: name.to_owned(),
        upstreams: vec![upstream.to_owned()],
        models: Vec::new(),
        gpus: gpus.map(|count| (0..count).map(GpuName::Index).collect()),
    }
}

/// A host with so many GPUs.
fn gpus(count: u32) -> GpuReading {
    GpuReading { lost: count, ..GpuReading::default() }
}

/// A gateway whose counters the test turns.
#[derive(Default)]
struct Gateway(EnvoyStats);

impl Gateway {
    fn new() -> Self {
        Self(EnvoyStats { uptime_seconds: Some(1e6), ..EnvoyStats::default() })
    }

    fn count(&mut self, stat: Stat, labels: &[(&str, &str)], by: f64) -> &mut Self {
        let series = Series { stat, labels: labels.iter().copied().collect() };
        match self.0.series.entry(series).or_insert(Value::Number(0.0)) {
            Value::Number(number) => *number += by,
            Value::Histogram(_) => panic!("not a counter"),
        }
        self
    }

    fn output(&mut self, model: &str, outcome: &str, tokens: f64) -> &mut Self {
        let labels =
            [("model", model), ("upstream", model), ("outcome", outcome), ("source", "reported")];
        self.count(Stat::OutputTokens, &labels, tokens)
    }

    fn in_flight(&mut self, upstream: &str, requests: f64) -> &mut Self {
        self.count(Stat::ActiveStreams, &[("upstream", upstream)], 0.0);
        self.0.requests_active.insert(upstream.to_owned(), requests);
        self
    }

    fn restart(&mut self) {
        *self = Self(EnvoyStats { uptime_seconds: Some(0.0), ..EnvoyStats::default() });
    }

    fn tick(&self, engine: &mut CostEngine) -> CostReport {
        tick(engine, Some(&self.0))
    }
}

#[track_caller]
fn tick(engine: &mut CostEngine, gateway: Option<&EnvoyStats>) -> CostReport {
    engine.tick(&Tick { elapsed: TICK, rates: rates(), gateway, gpus: None, page_read: true });
    let report = engine.report();
    assert_eq!(report.conservation_error(), 0);
    report
}

fn attributed(report: &CostReport) -> Vec<(String, &'static str, &'static str, u64)> {
    let lines = report.attributed.iter();
    lines
        .map(|(k, sum)| (k.model.clone(), k.token_type.as_str(), k.outcome.as_str(), sum.0))
        .collect()
}

#[test]
fn an_idle_host_costs_idle_money() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let report = Gateway::new().tick(&mut engine);
    assert_eq!(
        report.idle,
        [("default".to_owned(), IdleReason::NoTraffic, NanoDollars(10_000_000))]
    );
    assert!(report.attributed.is_empty());
}

#[test]
fn used_money_follows_the_weighted_tokens() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let mut gateway = Gateway::new();
    gateway.in_flight("m", 1.0).tick(&mut engine);
    let by = |outcome| [("model", "m"), ("upstream", "m"), ("outcome", outcome)];
    gateway
        .count(Stat::InputTokens, &by("success"), 300.0)
        .count(Stat::CacheReadInputTokens, &by("success"), 200.0)
        .output("m", "success", 100.0)
        .output("m", "truncated", 20.0);
    assert_eq!(
        attributed(&gateway.tick(&mut engine)),
        [
            ("m".to_owned(), "uncached_input", "ok", 0),
            ("m".to_owned(), "cached_input", "ok", 0),
            ("m".to_owned(), "output", "ok", 0),
            ("m".to_owned(), "output", "error", 0),
        ]
    );
    // Weights: 100, 200 * 0.1, 100 * 4, 20 * 4; two ticks of 10 milli-dollars.
    let sums: Vec<_> = attributed(&gateway.tick(&mut engine)).iter().map(|line| line.3).collect();
    assert_eq!(sums, [3_333_333, 666_667, 13_333_333, 2_666_667]);
}

#[test]
fn requests_shorter_than_a_tick_use_their_own_time() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let mut gateway = Gateway::new();
    gateway.in_flight("m", 0.0).tick(&mut engine);
    let labels = [("model", "m"), ("upstream", "m")];
    gateway.output("m", "success", 5.0).count(Stat::DurationSum, &labels, 2_500_000.0);
    let report = gateway.tick(&mut engine);
    assert_eq!(report.pending.0, 2_500_000, "held until it was seen at 0");
    assert_eq!(report.busy, [("default".to_owned(), Duration::from_millis(2500))]);
    assert_eq!(attributed(&gateway.tick(&mut engine))[0].3, 2_500_000);
}

#[test]
fn money_waits_for_tokens_and_is_given_up_in_the_end() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let mut gateway = Gateway::new();
    gateway.in_flight("m", 1.0);
    let waits = 15 * 6;
    for n in 1..=waits {
        assert_eq!(gateway.tick(&mut engine).pending.0, n * 10_000_000);
    }
    let report = gateway.tick(&mut engine);
    assert_eq!(report.pending, NanoDollars::ZERO);
    assert_eq!(
        report.unattributed[2],
        (UnattributedReason::NoTokens, NanoDollars((waits + 1) * 10_000_000))
    );
}

#[test]
fn without_the_gateway_nobody_is_charged() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let report = tick(&mut engine, None);
    assert_eq!(report.unattributed[1], (UnattributedReason::GatewayDown, NanoDollars(10_000_000)));
    assert_eq!(report.idle[0].2, NanoDollars::ZERO);
}

#[test]
fn the_agents_absence_is_billed_once_it_can_be_seen() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    engine.charge_absence(Duration::from_secs(1_000));
    let gateway = Gateway::new();
    let unread = |engine: &mut CostEngine| {
        engine.tick(&Tick {
            elapsed: TICK,
            rates: rates(),
            gateway: Some(&gateway.0),
            gpus: None,
            page_read: false,
        });
        engine.report()
    };
    let agent_down = |report: &CostReport| report.unattributed[0];
    let waiting = unread(&mut engine);
    assert_eq!(agent_down(&waiting), (UnattributedReason::AgentDown, NanoDollars::ZERO));
    let billed = gateway.tick(&mut engine);
    assert_eq!(agent_down(&billed).1, NanoDollars(1_000_000_000));
    assert_eq!(billed.bill[0].1, NanoDollars(1_020_000_000));
    assert_eq!(agent_down(&gateway.tick(&mut engine)).1, NanoDollars(1_000_000_000), "once");
}

#[test]
fn what_was_spent_is_told_by_model_and_tenant() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let mut gateway = Gateway::new();
    gateway.in_flight("m", 1.0).tick(&mut engine);
    for (tenant, tokens) in [("x", 1.0), ("y", 3.0)] {
        let labels =
            [("model", "m"), ("upstream", "m"), ("outcome", "success"), ("tenant", tenant)];
        gateway.count(Stat::OutputTokens, &labels, tokens);
    }
    let spending = engine.tick(&Tick {
        elapsed: TICK,
        rates: rates(),
        gateway: Some(&gateway.0),
        gpus: None,
        page_read: true,
    });
    let line = |tenant: &str, sum| (("m".to_owned(), Some(tenant.to_owned())), NanoDollars(sum));
    assert_eq!(spending.bill, NanoDollars(10_000_000));
    assert_eq!(spending.attributed, [line("x", 5_000_000), line("y", 15_000_000)].into());
}

#[test]
fn cache_savings_are_what_the_tokens_would_have_cost_more() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let mut gateway = Gateway::new();
    gateway.in_flight("m", 1.0).tick(&mut engine);
    let labels = [("model", "m"), ("upstream", "m"), ("outcome", "success")];
    gateway.count(Stat::InputTokens, &labels, 1_000.0).count(
        Stat::CacheReadInputTokens,
        &labels,
        1_000.0,
    );
    gateway.tick(&mut engine);
    let report = gateway.tick(&mut engine);
    // 20 milli-dollars at a tenth of the price of input that was not cached.
    assert_eq!(report.cache_savings, [("m".to_owned(), NanoDollars(180_000_000))]);
}

#[test]
fn aborted_work_alone_keeps_its_cost() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let mut gateway = Gateway::new();
    gateway.in_flight("m", 1.0).tick(&mut engine);
    gateway.output("m", "client_abort", 7.0).tick(&mut engine);
    let lines = attributed(&gateway.tick(&mut engine));
    assert_eq!(lines, [("m".to_owned(), "output", "aborted", 20_000_000)]);
}

#[test]
fn lines_are_capped() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let mut gateway = Gateway::new();
    gateway.in_flight("m", 1.0).tick(&mut engine);
    for generation in 0..3 {
        for model in 0..MAX_LINES / 2 {
            gateway.output(&format!("{generation}-{model}"), "success", 1.0);
        }
        gateway.tick(&mut engine);
        gateway.restart();
        gateway.in_flight("m", 1.0);
    }
    let report = gateway.tick(&mut engine);
    assert_eq!(report.attributed.len(), MAX_LINES + 1);
    assert!(report.attributed.iter().any(|(key, _)| key.model == OTHER));
}
