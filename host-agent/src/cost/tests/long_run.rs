//! 200,000 ticks of everything that can happen. A unit that is lost once is missing ever after, so
//! the books are looked at now and then, and at the end.

use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::random::{Event, apply, event};
use super::*;
use crate::gpu::{Energy, EnergySource, GpuIdentity, GpuSample};

const TICKS: u32 = 200_000;

/// What happens in one tick.
#[derive(Clone, Debug)]
struct Happening {
    micros: u64,
    events: Vec<Event>,
    /// In millionths of a dollar.
    price: u32,
    overhead: Option<u32>,
    electricity: bool,
    energy: u64,
    gateway: bool,
    page_read: bool,
    /// Seconds that the agent was away before it.
    away: Option<u32>,
    pools: Option<u8>,
}

fn happening() -> impl Strategy<Value = Happening> {
    let rates = (1..200_000_000_u32, prop::option::of(1..1_000_000_u32), any::<bool>());
    let seen = (0..10_u8, any::<bool>(), 0..1_000_u32, 0..100_u8);
    (0..20_000_000_u64, prop::collection::vec(event(), 0..4), rates, 0..10_000_000_u64, seen)
        .prop_map(|(micros, events, (price, overhead, electricity), energy, seen)| {
            let (gateway, page_read, away, pools) = seen;
            Happening {
                micros,
                events,
                price,
                overhead,
                electricity,
                energy,
                gateway: gateway > 0,
                page_read,
                away: (away < 5).then_some(away * 1_000),
                pools: (pools < 4).then_some(pools),
            }
        })
}

fn rates_of(happening: &Happening) -> Rates {
    let dollars = |millionths: u32| HourlyPrice::from_dollars(f64::from(millionths) / 1e6);
    Rates {
        instance: dollars(happening.price).unwrap(),
        overhead: happening.overhead.and_then(dollars),
        electricity: Electricity::new(0.31, 1.4).filter(|_| happening.electricity),
    }
}

fn two_gpus(millijoules: u64) -> GpuReading {
    let gpu = |index| GpuSample {
        identity: GpuIdentity { index, uuid: format!("GPU-{index}"), ..GpuIdentity::default() },
        energy: Some(Energy { source: EnergySource::Counter, millijoules }),
        ..GpuSample::default()
    };
    GpuReading { gpus: vec![gpu(0), gpu(1)], ..GpuReading::default() }
}

fn found(layout: u8) -> Vec<PoolSpec> {
    let on = |upstream: &str, gpus: &[u32]| PoolSpec {
        gpus: Some(gpus.iter().copied().map(GpuName::Index).collect()),
        ..pool(upstream, upstream, None)
    };
    match layout {
        0 => vec![],
        1 => vec![on("m0", &[0, 1])],
        2 => vec![on("m0", &[0]), on("m1", &[1])],
        _ => vec![on("m2", &[1])],
    }
}

#[test]
fn two_hundred_thousand_ticks() {
    let mut runner = TestRunner::deterministic();
    let happenings = happening();
    let mut engine = CostEngine::new(CostConfig {
        max_request_duration: Duration::from_mins(1),
        ..config(vec![PoolSpec::whole_host()])
    });
    let mut gateway = Gateway::new();
    let (mut energy, mut billed, mut attributed) = (0, 0_u128, 0_u128);
    for tick in 1..=TICKS {
        let happening = happenings.new_tree(&mut runner).unwrap().current();
        happening.events.iter().for_each(|event| apply(&mut gateway, event));
        // Now and then the driver is loaded again.
        energy = if happening.energy < 1_000 { 0 } else { energy + happening.energy };
        if let Some(seconds) = happening.away {
            engine.charge_absence(Duration::from_secs(u64::from(seconds)));
        }
        if let Some(layout) = happening.pools {
            engine.set_pools(found(layout));
        }
        let spending = engine.tick(&Tick {
            elapsed: Duration::from_micros(happening.micros),
            rates: rates_of(&happening),
            gateway: happening.gateway.then_some(&gateway.0),
            gpus: Some(&two_gpus(energy)),
            page_read: happening.page_read,
        });
        billed += u128::from(spending.bill.0);
        attributed += spending.attributed.values().map(|sum| u128::from(sum.0)).sum::<u128>();
        if tick % 100 == 0 || tick == TICKS {
            let report = engine.report();
            assert_eq!(report.conservation_error(), 0, "tick {tick}: {happening:?}");
            assert_eq!(report.energy.unwrap().conservation_error(), 0, "tick {tick}");
            let bill: u128 = report.bill.iter().map(|(_, sum)| u128::from(sum.0)).sum();
            assert_eq!(billed, bill, "tick {tick}");
            let shown: u128 = report.attributed.iter().map(|(_, sum)| u128::from(sum.0)).sum();
            let held: u128 = engine.money.held().map(|(_, sum)| u128::from(sum.0)).sum();
            assert_eq!(attributed, shown + held, "tick {tick}");
        }
    }
}
