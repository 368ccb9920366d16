use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::budget::{BudgetReport, Month};
use crate::cost::NanoDollars;
use crate::cost::{
    CostConfig, CostEngine, GpuName, HourlyPrice, PoolSpec, Rates, Tick, WeightTable,
};
use crate::engines::{Difference, EngineStats};
use crate::envoy::EnvoyStats;
use crate::gpu::{
    Energy, EnergySource, GpuIdentity, GpuLog, GpuReading, GpuSample, InitFailure, Memory,
    Utilization,
};
use crate::host::{HostStats, Traffic};
use crate::price::Price;
use crate::snapshot::{Engine, Nvml, Source};

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
        outcome: Ok(Arc::new(value)),
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
        memory: Some(Memory { total: 80, used: 30, free: 49, reserved: Some(1) }),
        power_milliwatts: Some(350_500),
        energy: Some(Energy { source: EnergySource::Counter, millijoules: 1_500 }),
        sm_clock_megahertz: Some(1_980),
        ..GpuSample::default()
    }
}

pub(crate) fn snapshot() -> Snapshot {
    let stats = EnvoyStats::read(ENVOY_PAGE.as_bytes());
    let mut engine = CostEngine::new(CostConfig {
        pools: vec![PoolSpec::whole_host()],
        weights: WeightTable::default(),
        max_request_duration: Duration::from_mins(15),
        window: Duration::from_hours(1),
        min_tokens: 1,
        calibrate: false,
    });
    let rates = Rates {
        instance: HourlyPrice::from_dollars(3.6).unwrap(),
        overhead: None,
        electricity: None,
    };
    let price = Price { rates, source: "config", as_of: None, instance: None };
    let tick = |gateway| Tick {
        elapsed: Duration::from_secs(10),
        rates,
        gateway,
        gpus: None,
        page_read: true,
    };
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
            log: GpuLog {
                init_failures: [(InitFailure::DriverNotLoaded, 2)].into(),
                ..GpuLog::default()
            },
            dcgm_names: false,
        }),
        price: Ok(price),
        cost: Some(engine.report()),
        engines: vec![Engine {
            name: "llama".to_owned(),
            upstream: Some("u".to_owned()),
            stats: up("engine:llama", EngineStats::read(ENGINE_PAGE.as_bytes()).unwrap()),
            parse_errors: 3,
        }],
        differences: [(
            "u".to_owned(),
            Difference { output_tokens: Some(-4.0), ..Difference::default() },
        )]
        .into(),
        host: Some(up(
            "host",
            HostStats {
                cpu_seconds: vec![("user", 1.5)],
                networks: [("eth0".to_owned(), Traffic { input: 10, output: 20 })].into(),
                ..HostStats::default()
            },
        )),
        pools: vec![PoolSpec {
            name: "p".to_owned(),
            upstreams: vec!["u".to_owned()],
            models: Vec::new(),
            // Twice the same one, which is one series.
            gpus: Some(vec![GpuName::Index(0), GpuName::of_uuid("GPU-1".to_owned())]),
        }],
        discovery: None,
        budgets: vec![BudgetReport {
            name: "all".to_owned(),
            limit: NanoDollars(5_000_000_000),
            spent: NanoDollars(1_000_000_000),
            period: Month { start: 0, end: 100 },
            run_rate: Some(NanoDollars(2_500_000_000)),
            blended: None,
        }],
        state: Some(up("state", ())),
    }
}

#[test]
fn engines_host_and_budgets() {
    let page = page(&snapshot());
    for line in [
        r#"gaugeway_engine_requests_waiting{engine="llama",kind="llama_cpp",upstream="u"} 2"#,
        r#"gaugeway_engine_output_tokens_total{engine="llama",kind="llama_cpp",upstream="u"} 12"#,
        r#"gaugeway_engine_token_difference{upstream="u",token_type="output"} -4"#,
        r#"gaugeway_scrape_parse_errors_total{source="engine:llama"} 3"#,
        r#"gaugeway_source_up{source="engine:llama"} 1"#,
        r#"gaugeway_host_cpu_seconds_total{mode="user"} 1.5"#,
        r#"gaugeway_host_network_transmit_bytes_total{device="eth0"} 20"#,
        r#"gaugeway_budget_limit_dollars{budget="all"} 5"#,
        r#"gaugeway_budget_forecast_dollars{budget="all",method="run_rate"} 2.5"#,
        r#"gaugeway_budget_period_end_timestamp_seconds{budget="all"} 100"#,
        r#"gaugeway_instance_info{price_source="config",currency="USD"} 1"#,
        "gaugeway_instance_price_dollars_per_hour 3.6",
    ] {
        has(&page, line);
    }
    for absent in ["kv_cache", r#"token_type="input""#, r#"method="blended""#, "memory_available"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

const ENGINE_PAGE: &str = "llamacpp:requests_deferred 2\nllamacpp:tokens_predicted_total 12\n";

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
        "gaugeway_cost_billed_seconds_total 30",
        r#"gaugeway_pool_info{pool="p",uuid="GPU-1",upstream="u"} 1"#,
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
    snapshot.price = Err("not set".to_owned());
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
