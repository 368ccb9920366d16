use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::*;
use crate::envoy::EnvoyStats;
use crate::render::tests::snapshot;

/// A tick at which the gateway's page said this; `None` when it was down.
fn tick(seconds: u64, page: Option<&str>) -> Arc<Snapshot> {
    let mut snapshot = snapshot();
    snapshot.taken_at = Some(UNIX_EPOCH + Duration::from_secs(seconds));
    snapshot.envoy.outcome = match page {
        Some(page) => Ok(Arc::new(EnvoyStats::read(page.as_bytes()))),
        None => Err("refused".to_owned()),
    };
    Arc::new(snapshot)
}

fn page(requests: u32, fast: u32) -> String {
    format!(
        "gaugeway_requests_total{{model=\"m\",upstream=\"u\",outcome=\"success\",tenant=\"t\"}} {requests}\n\
         gaugeway_ttft_us_bucket{{model=\"m\",upstream=\"u\",le=\"100000\"}} {fast}\n\
         gaugeway_ttft_us_bucket{{model=\"m\",upstream=\"u\",le=\"250000\"}} {fast}\n\
         gaugeway_ttft_us_count{{model=\"m\",upstream=\"u\"}} {requests}\n\
         gaugeway_active_streams{{upstream=\"u\"}} 2\n"
    )
}

fn frames(live: &Live, cursor: Option<&str>) -> Vec<Value> {
    serde_json::from_str(&live.since(cursor)).unwrap()
}

fn live() -> Live {
    Live::new(UNIX_EPOCH + Duration::from_nanos(7))
}

#[test]
fn a_frame_holds_what_came_since_the_one_before() {
    let mut live = live();
    live.record(&tick(100, Some(&page(10, 9))));
    assert!(frames(&live, None).is_empty(), "what was there before is nobody's increment");
    live.record(&tick(101, Some(&page(15, 12))));
    let frames = frames(&live, None);
    assert_eq!(frames[0]["at"], 101.0);
    assert_eq!(
        frames[0]["traffic"],
        json!({"seconds": 1.0, "active": 2, "lines": [
            {"model": "m", "upstream": "u", "ttft": [[0.0, 0.1, 3], [0.25, null, 2]]},
            {"model": "m", "upstream": "u", "tenant": "t", "requests": {"success": 5}},
        ]})
    );
    assert_eq!(frames[0]["gpus"]["GPU-1"]["utilization_ratio"], 0.5);
    assert_eq!(frames[0]["gpus"]["GPU-1"]["temperature_celsius"], Value::Null);
    assert_eq!(frames[0]["engines"]["llama"]["requests_waiting"], 2.0);
}

#[test]
fn a_gateway_that_was_down_is_caught_up_with() {
    let mut live = live();
    live.record(&tick(100, Some(&page(10, 10))));
    live.record(&tick(101, None));
    live.record(&tick(102, Some(&page(14, 14))));
    let frames = frames(&live, None);
    assert_eq!(frames[0]["traffic"], Value::Null);
    assert_eq!(frames[1]["traffic"]["seconds"], 2.0);
    assert_eq!(frames[1]["traffic"]["lines"][1]["requests"]["success"], 4);
}

#[test]
fn a_counter_that_fell_started_over() {
    let mut live = live();
    live.record(&tick(100, Some(&page(10, 10))));
    live.record(&tick(101, Some(&page(3, 2))));
    let lines = &frames(&live, None)[0]["traffic"]["lines"];
    assert_eq!(lines[0]["ttft"], json!([[0.0, 0.1, 2], [0.25, null, 1]]));
    assert_eq!(lines[1]["requests"]["success"], 3);
}

#[test]
fn the_cost_of_a_frame_is_what_the_report_grew_by() {
    let mut live = live();
    let first = tick(100, None);
    let mut second = Snapshot::clone(&first);
    second.taken_at = Some(UNIX_EPOCH + Duration::from_secs(101));
    let cost = second.cost.as_mut().unwrap();
    cost.attributed[0].1.0 += 250_000_000;
    cost.idle[0].2.0 += 500_000_000;
    live.record(&first);
    live.record(&Arc::new(second));
    let usd = &frames(&live, None)[0]["usd"];
    assert_eq!(usd["seconds"], 1.0);
    assert_eq!(usd["attributed"].as_array().unwrap().len(), 1);
    assert_eq!(usd["attributed"][0]["outcome"], "ok");
    assert!((usd["attributed"][0]["amount"].as_f64().unwrap() - 0.25).abs() < 1e-9);
    assert!((usd["idle"].as_f64().unwrap() - 0.5).abs() < 1e-9);
    assert_eq!(usd["unattributed"], 0.0);
    assert_eq!(frames(&live, None)[0]["joules"], Value::Null, "no GPU has measured any");
}

#[test]
fn a_cursor_gives_what_is_new_and_a_strange_one_gives_all() {
    let mut live = live();
    for second in 100..105 {
        live.record(&tick(second, None));
    }
    let seen = live.cursor();
    assert_eq!(seen, "7-4");
    assert!(frames(&live, Some(&seen)).is_empty());
    live.record(&tick(105, None));
    assert_eq!(frames(&live, Some(&seen)).len(), 1);
    for strange in ["8-4", "7", "", "7-x", "-", "7-18446744073709551616"] {
        assert_eq!(frames(&live, Some(strange)).len(), 5, "{strange}");
    }
    assert!(frames(&live, Some("7-99")).is_empty(), "a cursor from the future");
}

#[test]
fn ticks_below_a_second_share_a_frame_and_a_quarter_of_an_hour_is_kept() {
    let mut live = live();
    for half in 0..2 * 1000 {
        let mut snapshot = Snapshot::clone(&tick(0, None));
        snapshot.taken_at = Some(UNIX_EPOCH + Duration::from_millis(100_000 + half * 500));
        live.record(&Arc::new(snapshot));
    }
    assert_eq!(live.frames.len(), 900);
    assert_eq!(live.bytes, live.frames.iter().map(|frame| frame.json.len()).sum::<usize>());
}

#[test]
fn memory_is_bounded_whatever_there_is_to_say() {
    let mut live = live();
    for second in 0..20 {
        let json = "x".repeat(MAX_BYTES / 10).into();
        live.keep(Kept { at: UNIX_EPOCH + Duration::from_secs(second), json });
    }
    assert!(live.bytes <= MAX_BYTES);
    assert_eq!(live.frames.len(), 10);
    let most: String = (0..1000)
        .map(|i| format!("gaugeway_errors_total{{model=\"{i}\",upstream=\"u\"}} 1\n"))
        .collect();
    let mut live = Live::new(UNIX_EPOCH);
    live.record(&tick(1, Some("")));
    live.record(&tick(2, Some(&most)));
    let traffic = &frames(&live, None)[0]["traffic"];
    assert_eq!(traffic["lines"].as_array().unwrap().len(), 512);
    assert_eq!(traffic["cut"], true);
}

#[test]
fn a_clock_that_is_set_back_starts_anew() {
    let mut live = live();
    for second in [1_000, 1_001, 500, 501] {
        live.record(&tick(second, None));
    }
    let frames = frames(&live, None);
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["at"], 501.0);
}
