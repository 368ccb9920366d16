use std::time::{Duration, SystemTime};

use super::*;
use crate::cost::{CostConfig, CostEngine, HourlyPrice, PoolSpec, Tick, WeightTable};
use crate::envoy::EnvoyStats;
use crate::gpu::{GpuIdentity, GpuReading, GpuSample, InitFailure, Memory, Utilization};
use crate::snapshot::{Nvml, Source};

const ENVOY_PAGE: &str = r#"
gaugeway_ttft_us_bucket{model="m",api="openai_chat",upstream="u",le="60000"} 1
gaugeway_ttft_us_bucket{model="m",api="openai_chat",upstream="u",le="2500000"} 3
gaugeway_ttft_us_bucket{model="m",api="openai_chat",upstream="u",le="+Inf"} 4
gaugeway_ttft_us_sum{model="m",api="openai_chat",upstream="u"} 1500000
gaugeway_ttft_us_count{model="m",api="openai_chat",upstream="u"} 4
gaugeway_input_tokens_total{model="m",api="openai_chat",upstream="u",source="reported",outcome="success",tenant="t"} 5
gaugeway_input_tokens_total{model="m",api="openai_responses",upstream="u",source="reported",outcome="success",tenant="t"} 7
gaugeway_output_tokens_total{model="a\"b",api="openai_chat",upstream="u",source="estimated",outcome="success"} 9
gaugeway_duration_sum_us_total{model="m",api="openai_chat",upstream="u"} 1250000
gaugeway_active_streams{upstream="u"} 2
gaugeway_build_info{version="0.1.0"} 1
envoy_http_downstream_rq_completed{envoy_http_conn_manager_prefix="ingress"} 12
envoy_cluster_upstream_rq_active{envoy_cluster_name="u"} 2
"#;

fn up<T>(name: &'static str, value: T) -> Source<T> {
    Source {
        outcome: Ok(value),
        took: Some(Duration::from_millis(3)),
        last_success: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100)),
        ..Source::new(name)
    }
}

fn gpu() -> GpuSample {
    GpuSample {
        identity: GpuIdentity {
            uuid: "GPU-1".to_owned(),
            name: Some("H100".to_owned()),
            ..GpuIdentity::default()
        },
        utilization: Some(Utilization { gpu_percent: 50, memory_percent: 25 }),
        memory: Some(Memory { total: 80, used: 30, free: 49, reserved: 1 }),
        power_milliwatts: Some(350_500),
        energy_millijoules: Some(1_500),
        sm_clock_megahertz: Some(1_980),
        ..GpuSample::default()
    }
}

fn snapshot() -> Snapshot {
    let stats = EnvoyStats::read(ENVOY_PAGE.as_bytes());
    let mut engine = CostEngine::new(CostConfig {
        price: HourlyPrice::from_dollars(3.6).unwrap(),
        overhead: None,
        pools: vec![PoolSpec::whole_host()],
        weights: WeightTable::default(),
        max_request_duration: Duration::from_mins(15),
        window: Duration::from_hours(1),
        min_tokens: 1,
    });
    let tick =
        |gateway| Tick { elapsed: Duration::from_secs(10), gateway, gpus: None, page_read: true };
    let quiet = EnvoyStats::default();
    engine.tick(&tick(Some(&quiet)));
    engine.tick(&tick(Some(&stats)));
    engine.tick(&tick(Some(&stats)));
    Snapshot {
        taken_at: Some(SystemTime::UNIX_EPOCH),
        envoy: up("envoy", stats),
        envoy_parse_errors: 0,
        nvml: Some(Nvml {
            gpus: up("nvml", GpuReading { gpus: vec![gpu()], lost: 1, no_permission: 0 }),
            init_failures: [(InitFailure::DriverNotLoaded, 2)].into(),
        }),
        cost: Some(engine.report()),
    }
}

#[track_caller]
fn has(page: &str, line: &str) {
    assert!(page.lines().any(|l| l == line), "no line\n{line}\nin\n{page}");
}

#[test]
fn merged_names_and_base_units() {
    let page = page(&snapshot());
    let gen_ai =
        r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="m""#;
    for line in [
        &format!(
            "gen_ai_server_time_to_first_token_seconds_bucket{{{gen_ai},upstream=\"u\",le=\"0.06\"}} 1"
        ),
        &format!(
            "gen_ai_server_time_to_first_token_seconds_bucket{{{gen_ai},upstream=\"u\",le=\"2.5\"}} 3"
        ),
        &format!(
            "gen_ai_server_time_to_first_token_seconds_bucket{{{gen_ai},upstream=\"u\",le=\"+Inf\"}} 4"
        ),
        &format!("gen_ai_server_time_to_first_token_seconds_sum{{{gen_ai},upstream=\"u\"}} 1.5"),
        // Two wire APIs of one operation and provider.
        &format!(
            "gen_ai_client_inference_usage_input_tokens_total{{{gen_ai},outcome=\"success\",source=\"reported\",tenant=\"t\",upstream=\"u\"}} 12"
        ),
        r#"gaugeway_duration_sum_seconds_total{api="openai_chat",model="m",upstream="u"} 1.25"#,
        r#"gaugeway_active_streams{upstream="u"} 2"#,
        r#"gaugeway_build_info{version="0.1.0"} 1"#,
        r#"gaugeway_envoy_requests_completed_total{stat_prefix="ingress"} 12"#,
        r#"gaugeway_envoy_requests_active{upstream="u"} 2"#,
    ] {
        has(&page, line);
    }
    assert!(page.contains(r#"gen_ai_request_model="a\"b""#), "values are escaped");
}

#[test]
fn gpus_in_base_units_and_without_what_they_lack() {
    let page = page(&snapshot());
    for line in [
        r#"gaugeway_gpu_info{gpu="0",uuid="GPU-1",name="H100"} 1"#,
        r#"gaugeway_gpu_utilization_ratio{gpu="0",uuid="GPU-1",task="general"} 0.5"#,
        r#"gaugeway_gpu_power_watts{gpu="0",uuid="GPU-1"} 350.5"#,
        r#"gaugeway_gpu_energy_joules_total{gpu="0",uuid="GPU-1",source="counter"} 1.5"#,
        r#"gaugeway_gpu_clock_hertz{gpu="0",uuid="GPU-1",domain="sm"} 1980000000"#,
        r#"gaugeway_nvml_devices{state="lost"} 1"#,
        r#"gaugeway_nvml_init_failures_total{reason="driver_not_loaded"} 2"#,
        "gaugeway_nvml_up 1",
    ] {
        has(&page, line);
    }
    assert!(!page.contains("temperature"));
    assert!(!page.contains(r#"domain="memory""#));
}

#[test]
fn cost_in_dollars() {
    let page = page(&snapshot());
    for line in [
        r#"gaugeway_cost_bill_dollars_total{component="instance"} 0.03"#,
        r#"gaugeway_cost_attributed_dollars_total{model="m",token_type="uncached_input",outcome="ok",tenant="t"} 0.00125"#,
        r#"gaugeway_cost_token_weight{model="m",token_type="output"} 4"#,
        r#"gaugeway_cost_idle_dollars_total{pool="default",reason="no_traffic"} 0.015"#,
        "gaugeway_cost_conservation_error_dollars 0",
    ] {
        has(&page, line);
    }
}

#[test]
fn a_source_that_is_down_has_no_numbers() {
    let mut snapshot = snapshot();
    snapshot.envoy.outcome = Err("refused".to_owned());
    snapshot.cost = None;
    if let Some(nvml) = &mut snapshot.nvml {
        nvml.gpus.outcome = Err("gone".to_owned());
    }
    let page = page(&snapshot);
    for source in ["envoy", "nvml", "price"] {
        has(&page, &format!("gaugeway_source_up{{source=\"{source}\"}} 0"));
    }
    has(&page, r#"gaugeway_source_last_success_timestamp_seconds{source="envoy"} 100"#);
    has(&page, "gaugeway_nvml_up 0");
    for absent in
        ["gen_ai_", "gaugeway_active", "gaugeway_gpu_", "gaugeway_cost_", "gaugeway_instance_"]
    {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn each_family_is_written_once() {
    let page = page(&snapshot());
    let families: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let distinct: std::collections::BTreeSet<_> = families.iter().collect();
    assert_eq!(families.len(), distinct.len());
    let helps = page.lines().filter(|line| line.starts_with("# HELP")).count();
    assert_eq!(helps, families.len());
}
