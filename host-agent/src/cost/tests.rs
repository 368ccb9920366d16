mod long_run;

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
fn pools_share_by_gpus_and_spare_gpus_are_idle() {
    let pools = vec![pool("a", "a", Some(2)), pool("b", "b", Some(1))];
    let mut engine = CostEngine::new(config(pools));
    let gateway = Gateway::new();
    engine.tick(&Tick {
        elapsed: TICK,
        rates: rates(),
        gateway: Some(&gateway.0),
        gpus: Some(&gpus(5)),
        page_read: true,
    });
    // NVML goes away; the host still has five GPUs.
    let report = gateway.tick(&mut engine);
    let idle: Vec<_> = report
        .idle
        .iter()
        .map(|(pool, reason, sum)| (pool.as_str(), reason.as_str(), sum.0))
        .collect();
    assert_eq!(
        idle,
        [
            ("a", "no_traffic", 8_000_000),
            ("b", "no_traffic", 4_000_000),
            ("none", "no_model", 8_000_000),
        ]
    );
}

#[test]
fn pools_on_mig_instances_share_their_gpu_by_memory() {
    let on = |name: &str, uuids: &[&str]| PoolSpec {
        gpus: Some(uuids.iter().map(|uuid| GpuName::of_uuid((*uuid).to_owned())).collect()),
        ..pool(name, name, None)
    };
    let instance = |uuid: &str, gibibytes: u64| MigInstance {
        uuid: uuid.to_owned(),
        size_bytes: Some(gibibytes << 30),
        ..MigInstance::default()
    };
    let split = GpuSample {
        identity: GpuIdentity { uuid: "GPU-0".to_owned(), ..GpuIdentity::default() },
        memory: Some(Memory { total: 80 << 30, used: 0, free: 80 << 30, reserved: None }),
        mig: Some(vec![instance("MIG-large", 40), instance("MIG-small", 10)]),
        ..GpuSample::default()
    };
    let whole = GpuSample {
        identity: GpuIdentity { index: 1, uuid: "GPU-1".to_owned(), ..GpuIdentity::default() },
        ..GpuSample::default()
    };
    let reading = GpuReading { gpus: vec![split, whole], ..GpuReading::default() };
    let pools = vec![on("large", &["MIG-large", "GPU-1"]), on("small", &["MIG-small"])];
    let mut engine = CostEngine::new(config(pools));
    let gateway = Gateway::new();
    let seen = Tick {
        elapsed: TICK,
        rates: rates(),
        gateway: Some(&gateway.0),
        gpus: Some(&reading),
        page_read: true,
    };
    engine.tick(&seen);
    // The driver goes away; the instances are what they were.
    let report = gateway.tick(&mut engine);
    let idle: Vec<_> = report.idle.iter().map(|(pool, _, sum)| (pool.as_str(), sum.0)).collect();
    assert_eq!(idle, [("large", 15_000_000), ("small", 1_250_000), ("none", 3_750_000)]);
    assert_eq!(report.gpus, [("large".to_owned(), 1.5), ("small".to_owned(), 0.125)]);
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
fn models_on_one_gpu_share_by_weight_and_relative_cost() {
    let weights = Weights::default().scaled(3.0).unwrap();
    let mut engine = CostEngine::new(CostConfig {
        weights: WeightTable {
            models: [("large".to_owned(), weights)].into(),
            ..WeightTable::default()
        },
        ..config(vec![PoolSpec::whole_host()])
    });
    let mut gateway = Gateway::new();
    gateway.in_flight("small", 1.0).tick(&mut engine);
    gateway.output("small", "success", 10.0).output("large", "success", 10.0).tick(&mut engine);
    let sums: Vec<_> = attributed(&gateway.tick(&mut engine)).iter().map(|line| line.3).collect();
    assert_eq!(sums, [15_000_000, 5_000_000]);
}

#[test]
fn pools_that_are_found_take_over_and_those_that_go_keep_their_counters() {
    let mut engine = CostEngine::new(config(vec![PoolSpec::whole_host()]));
    let gateway = Gateway::new();
    gateway.tick(&mut engine);
    engine.set_pools(vec![pool("a", "a", Some(1))]);
    gateway.tick(&mut engine);
    engine.set_pools(Vec::new());
    let report = gateway.tick(&mut engine);
    let idle: Vec<_> = report
        .idle
        .iter()
        .map(|(pool, reason, sum)| (pool.as_str(), reason.as_str(), sum.0))
        .collect();
    assert_eq!(
        idle,
        [
            ("default", "no_traffic", 10_000_000),
            ("a", "no_traffic", 10_000_000),
            ("none", "no_model", 10_000_000),
        ]
    );
}

#[test]
fn tokens_that_no_pool_serves_are_told() {
    let mut engine = CostEngine::new(config(vec![pool("a", "a", None)]));
    let mut gateway = Gateway::new();
    gateway.tick(&mut engine);
    let report = gateway.output("b", "success", 7.0).tick(&mut engine);
    assert_eq!(report.unpriced_tokens, [("b".to_owned(), 7)].into());
    assert!(report.attributed.is_empty());
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

#[derive(Clone, Debug)]
enum Event {
    Tokens { stat: usize, model: u8, tenant: u8, outcome: usize, tokens: u32 },
    RequestTime { model: u8, micros: u32 },
    InFlight { model: u8, requests: u8 },
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3_usize, 0..4_u8, 0..3_u8, 0..4_usize, any::<u32>())
            .prop_map(|(stat, model, tenant, outcome, tokens)| Event::Tokens { stat, model, tenant, outcome, tokens }),
        4 => (0..4_u8, any::<u32>()).prop_map(|(model, micros)| Event::RequestTime { model, micros }),
        4 => (0..4_u8, 0..3_u8).prop_map(|(model, requests)| Event::InFlight { model, requests }),
        1 => Just(Event::Restart),
    ]
}

fn apply(gateway: &mut Gateway, event: &Event) {
    match event {
        Event::Tokens { stat, model, tenant, outcome, tokens } => {
            let stat = [Stat::InputTokens, Stat::CacheReadInputTokens, Stat::OutputTokens][*stat];
            let (model, tenant) = (format!("m{model}"), format!("t{tenant}"));
            let outcome = gaugeway_core::Outcome::ALL[*outcome].as_str();
            let labels = [
                ("model", model.as_str()),
                ("upstream", &model),
                ("tenant", &tenant),
                ("outcome", outcome),
            ];
            gateway.count(stat, &labels, f64::from(*tokens));
        }
        Event::RequestTime { model, micros } => {
            let model = format!("m{model}");
            let labels = [("model", model.as_str()), ("upstream", &model)];
            gateway.count(Stat::DurationSum, &labels, f64::from(*micros));
        }
        Event::InFlight { model, requests } => {
            gateway.in_flight(&format!("m{model}"), f64::from(*requests));
        }
        Event::Restart => gateway.restart(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens, the parts sum to the bill and the bill to price times time.
    #[test]
    fn the_bill_is_conserved(
        // In millionths of a dollar.
        price in 1..200_000_000_u32,
        overhead in prop::option::of(0.01..5.0_f64),
        named in prop::option::of(1..9_u32),
        ticks in prop::collection::vec(
            (0..20_000_000_u64, prop::collection::vec(event(), 0..6), any::<bool>(), 0..10_u8),
            1..200,
        ),
    ) {
        let pools = vec![pool("a", "m0", named), pool("b", "m1", named), pool("c", "m2", named)];
        let mut engine = CostEngine::new(CostConfig {
            max_request_duration: Duration::from_mins(1),
            ..config(pools)
        });
        let rates = Rates {
            instance: HourlyPrice::from_dollars(f64::from(price) / 1e6).unwrap(),
            overhead: overhead.and_then(HourlyPrice::from_dollars),
            electricity: None,
        };
        let mut gateway = Gateway::new();
        let host = gpus(10);
        let mut elapsed_micros = 0_u128;
        for (micros, events, page_read, down) in ticks {
            events.iter().for_each(|event| apply(&mut gateway, event));
            elapsed_micros += u128::from(micros);
            engine.tick(&Tick {
                elapsed: Duration::from_micros(micros),
                rates,
                gateway: (down > 0).then_some(&gateway.0),
                gpus: Some(&host),
                page_read,
            });
            let report = engine.report();
            prop_assert_eq!(report.conservation_error(), 0);
            prop_assert_eq!(u128::from(report.bill[0].1.0), u128::from(price) * 1000 * elapsed_micros / 3_600_000_000);
        }
    }
}
