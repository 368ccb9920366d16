//! Whatever happens, no nano-dollar is lost.

use proptest::prelude::*;

use super::*;

/// What can happen to a gateway.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Tokens { stat: usize, model: u8, tenant: u8, outcome: usize, tokens: u32 },
    RequestTime { model: u8, micros: u32 },
    InFlight { model: u8, requests: u8 },
    Restart,
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3_usize, 0..4_u8, 0..3_u8, 0..4_usize, any::<u32>())
            .prop_map(|(stat, model, tenant, outcome, tokens)| Event::Tokens { stat, model, tenant, outcome, tokens }),
        4 => (0..4_u8, any::<u32>()).prop_map(|(model, micros)| Event::RequestTime { model, micros }),
        4 => (0..4_u8, 0..3_u8).prop_map(|(model, requests)| Event::InFlight { model, requests }),
        1 => Just(Event::Restart),
    ]
}

pub(super) fn apply(gateway: &mut Gateway, event: &Event) {
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
