use proptest::prelude::*;

use super::*;
use crate::cost::{CostOutcome, GpuName, TokenType};
use crate::gpu::{Energy, GpuIdentity, GpuSample};

const TICK: Duration = Duration::from_secs(10);

fn pool(name: &str, gpu: u32) -> PoolSpec {
    PoolSpec {
        name: name.to_owned(),
        gpus: Some(vec![GpuName::Index(gpu)]),
        ..PoolSpec::whole_host()
    }
}

/// GPUs by index, with what their meters show.
fn reading(meters: &[Option<u64>]) -> GpuReading {
    let gpu = |(index, meter): (usize, &Option<u64>)| GpuSample {
        identity: GpuIdentity {
            index: u32::try_from(index).unwrap(),
            uuid: format!("GPU-{index}"),
            ..GpuIdentity::default()
        },
        energy: meter.map(|millijoules| Energy { source: EnergySource::Counter, millijoules }),
        ..GpuSample::default()
    };
    GpuReading { gpus: meters.iter().enumerate().map(gpu).collect(), ..GpuReading::default() }
}

fn line(model: &str) -> (CostKey, u128) {
    let key = CostKey {
        model: model.to_owned(),
        tenant: None,
        token_type: TokenType::Output,
        outcome: CostOutcome::Ok,
    };
    (key, 1)
}

fn advance(engine: &mut EnergyEngine, pools: &[PoolSpec], gpus: Option<&GpuReading>) {
    let tick = Tick {
        elapsed: TICK,
        rates: crate::cost::tests::rates(),
        gateway: None,
        gpus,
        page_read: true,
    };
    let mut hardware = Hardware::default();
    gpus.iter().for_each(|reading| hardware.see(reading));
    engine.advance(&tick, pools, &hardware);
}

#[test]
fn each_pool_pays_for_its_own_gpus_and_spare_ones_are_idle() {
    let pools = [pool("a", 0), pool("b", 1)];
    let mut engine = EnergyEngine::new(2);
    advance(&mut engine, &pools, Some(&reading(&[Some(5), Some(5), Some(5)])));
    advance(&mut engine, &pools, Some(&reading(&[Some(1005), Some(3005), Some(205)])));
    engine.book(0, TICK, TICK);
    engine.book(1, Duration::ZERO, TICK);
    engine.share_out(0, &[line("m")]);
    let report = engine.report(&pools).unwrap();
    assert_eq!(report.measured.0, 4200);
    assert_eq!(report.pending.0, 1000, "held until it was seen at 0");
    let idle: Vec<_> = report.idle.iter().map(|(pool, sum)| (pool.as_str(), sum.0)).collect();
    assert_eq!(idle, [("a", 0), ("b", 3000), ("none", 200)]);
}

#[test]
fn idle_power_is_what_idle_ticks_drew() {
    let pools = [PoolSpec::whole_host()];
    let mut engine = EnergyEngine::new(1);
    let mut meter = 0;
    let mut tick = |watts: u64, busy: Duration| {
        meter += watts * 10_000;
        advance(&mut engine, &pools, Some(&reading(&[Some(meter)])));
        engine.book(0, busy, TICK);
        engine.report(&pools).map_or(0, |report| report.idle[0].1.0)
    };
    tick(0, Duration::ZERO);
    // Not known yet: the idle half of the tick.
    assert_eq!(tick(300, TICK / 2), 1_500_000);
    // An idle tick at 100 W; then half a tick idles at 100 W, however much was drawn.
    assert_eq!(tick(100, Duration::ZERO), 2_500_000);
    assert_eq!(tick(300, TICK / 2), 3_000_000);
    assert_eq!(tick(300, TICK), 3_000_000);
}

#[test]
fn a_meter_that_fell_or_was_away_starts_anew() {
    let pools = [PoolSpec::whole_host()];
    let mut engine = EnergyEngine::new(1);
    for meter in [Some(100), Some(150), Some(10), Some(12), None, Some(900), Some(903)] {
        advance(&mut engine, &pools, Some(&reading(&[meter])));
        engine.write_off();
    }
    advance(&mut engine, &pools, None);
    advance(&mut engine, &pools, Some(&reading(&[Some(2000)])));
    let report = engine.report(&pools).unwrap();
    assert_eq!(report.measured.0, 50 + 2 + 3, "neither the fall nor the absence counts");
    assert_eq!(report.unattributed[0].1.0, 55);
}

#[test]
fn without_a_meter_there_are_no_figures() {
    let pools = [PoolSpec::whole_host()];
    let mut engine = EnergyEngine::new(1);
    advance(&mut engine, &pools, Some(&reading(&[None])));
    advance(&mut engine, &pools, None);
    assert!(engine.report(&pools).is_none());
}

proptest! {
    /// Whatever the meters show and the pools do, the parts sum to what was measured.
    #[test]
    fn energy_is_conserved(
        ticks in prop::collection::vec(
            (
                prop::collection::vec(prop::option::weighted(0.9, any::<u64>().prop_map(|n| n >> 12)), 0..5),
                prop::collection::vec(0..=10_u32, 3),
                any::<[bool; 3]>(),
                prop::option::weighted(0.9, Just(())),
            ),
            1..60,
        ),
        named: bool,
    ) {
        let mut pools = vec![pool("a", 0), pool("b", 1), pool("c", 2)];
        if !named {
            pools.iter_mut().for_each(|pool| pool.gpus = None);
        }
        let mut engine = EnergyEngine::new(pools.len());
        for (meters, busy, tokens, gateway) in ticks {
            advance(&mut engine, &pools, Some(&reading(&meters)));
            match gateway {
                None => engine.write_off(),
                Some(()) => {
                    for (place, busy) in busy.into_iter().enumerate() {
                        engine.book(place, TICK * busy / 10, TICK);
                        if tokens[place] {
                            engine.share_out(place, &[line("m"), line("n")]);
                        }
                    }
                }
            }
            engine.expire(TICK, TICK * 3);
            let report = engine.report(&pools);
            prop_assert_eq!(report.map_or(0, |report| report.conservation_error()), 0);
        }
    }
}
