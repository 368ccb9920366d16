//! Which GPUs serve what, and how those that serve several are shared.

use super::*;

fn idle(report: &CostReport) -> Vec<(&str, &str, u64)> {
    let lines = report.idle.iter();
    lines.map(|(pool, reason, sum)| (pool.as_str(), reason.as_str(), sum.0)).collect()
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
    assert_eq!(
        idle(&report),
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
    assert_eq!(
        idle(&report),
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
