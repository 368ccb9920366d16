//! Drivers that fail: what is lost is absent, what goes on is shown, and what comes back counts on.

use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::nvml::{PATIENCE, down, full, gpu_families, page_with, shown, start, up};
use gaugeway_tests::page::Page;
use gaugeway_tests::{scratch, wait_for};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

#[test]
fn a_driver_that_does_not_start_is_down_with_the_reason() {
    let returns = |code: u32| format!("rules = [{{ call = \"nvmlInit_v2\", returns = {code} }}]");
    let cases = [
        ("not-loaded", returns(9), "driver_not_loaded"),
        ("no-permission", returns(4), "no_permission"),
        ("mismatch", returns(18), "version_mismatch"),
        ("unknown", returns(999), "unknown"),
        ("no-nvml", String::new(), "library_missing"),
        ("no-file", String::new(), "library_missing"),
    ];
    for (case, script, reason) in cases {
        let dir = scratch::dir(&format!("nvml-{case}"));
        let driver = match case {
            "no-nvml" => FakeNvml::without(&dir, &script, &["nvmlInit_v2"]),
            _ => FakeNvml::new(&dir, &script),
        };
        if case == "no-file" {
            fs::remove_file(dir.join("libnvidia-ml.so.1")).unwrap();
        }
        let agent = start(&dir, &driver);
        let (page, failures) = page_with(&agent, case, |page| {
            page.sum("gaugeway_nvml_init_failures_total", &[("reason", reason)])
        });
        assert!(failures >= 1.0, "{case}");
        assert_eq!(down(&page), Some(()), "{case}");
        assert_eq!(page.sum("gaugeway_source_up", &[("source", "nvml")]), Some(0.0), "{case}");
        assert!(gpu_families(&page).is_empty(), "{case}: {:?}", gpu_families(&page));
    }
}

#[test]
fn a_driver_without_gpus_is_a_failure() {
    let dir = scratch::dir("nvml-no-gpus");
    let agent = start(&dir, &FakeNvml::new(&dir, ""));
    wait_for("a failed collection", PATIENCE, || {
        let summary = agent.summary();
        let mut sources = summary["sources"].as_array().unwrap().iter();
        let nvml = sources.find(|source| source["name"] == "nvml").unwrap();
        let error = nvml["error"].as_str().unwrap_or_default();
        if error.contains("none of 0 GPUs") { Ok(()) } else { Err(nvml.to_string()) }
    });
    assert_eq!(down(&agent.page()), Some(()));
}

/// Calls, and the series of a GPU that lacks them.
const LOST_WITH: &[(&str, &[&str])] = &[
    (
        "nvmlDeviceGetUtilizationRates",
        &["gpu_utilization_ratio general", "gpu_memory_activity_ratio"],
    ),
    ("nvmlDeviceGetEncoderUtilization", &["gpu_utilization_ratio encoder"]),
    ("nvmlDeviceGetDecoderUtilization", &["gpu_utilization_ratio decoder"]),
    ("nvmlDeviceGetPowerUsage", &["gpu_power_watts"]),
    ("nvmlDeviceGetEnforcedPowerLimit", &["gpu_power_limit_watts"]),
    ("nvmlDeviceGetTemperature", &["gpu_temperature_celsius gpu"]),
    (
        "nvmlDeviceGetClockInfo",
        &["gpu_clock_hertz sm", "gpu_clock_hertz memory", "gpu_clock_hertz graphics"],
    ),
    ("nvmlDeviceGetPcieReplayCounter", &["gpu_pcie_replays_total"]),
    (
        "nvmlDeviceGetTotalEccErrors",
        &[
            "gpu_ecc_errors corrected volatile",
            "gpu_ecc_errors corrected aggregate",
            "gpu_ecc_errors uncorrected volatile",
            "gpu_ecc_errors uncorrected aggregate",
        ],
    ),
    (
        "nvmlDeviceGetFieldValues",
        &[
            "gpu_temperature_celsius memory",
            "gpu_remapped_rows corrected",
            "gpu_remapped_rows uncorrected",
            "gpu_row_remap_pending",
            "gpu_row_remap_failure",
            "gpu_recovery_action",
            "gpu_pcie_bytes_total sent",
            "gpu_pcie_bytes_total received",
            "gpu_nvlink_bytes_total sent",
            "gpu_nvlink_bytes_total received",
            "gpu_clock_event_seconds_total sw_power_cap",
            "gpu_clock_event_seconds_total sync_boost",
            "gpu_clock_event_seconds_total sw_thermal_slowdown",
            "gpu_clock_event_seconds_total hw_thermal_slowdown",
            "gpu_clock_event_seconds_total hw_power_brake",
        ],
    ),
    ("nvmlDeviceGetComputeRunningProcesses_v3", &[]),
    ("nvmlDeviceGetMigMode", &[]),
    ("nvmlDeviceRegisterEvents", &[]),
    (
        "nvmlGpmSampleGet",
        &[
            "gpu_graphics_activity_ratio",
            "gpu_sm_utilization_ratio",
            "gpu_sm_occupancy_ratio",
            "gpu_tensor_activity_ratio",
            "gpu_dram_bandwidth_utilization_ratio",
        ],
    ),
];

/// GPU 0 has everything, GPU n everything but the n-th call, which answers with `code`.
#[track_caller]
fn each_call_in_turn_answers(name: &str, code: u32) -> Page {
    let dir = scratch::dir(&format!("nvml-{name}"));
    let mut script: String = (0..=LOST_WITH.len()).map(full).collect();
    for (gpu, (call, _)) in LOST_WITH.iter().enumerate() {
        let gpu = gpu + 1;
        write!(script, "\n[[rules]]\ncall = \"{call}\"\ngpu = {gpu}\nreturns = {code}\n").unwrap();
    }
    let agent = start(&dir, &FakeNvml::new(&dir, &script));
    let (page, ()) = page_with(&agent, "GPM of two samples", |page| {
        page.sum("gaugeway_gpu_sm_utilization_ratio", &[("uuid", "GPU-0")]).map(|_| ())
    });
    let all = shown(&page, "GPU-0");
    for (gpu, (call, lost)) in LOST_WITH.iter().enumerate() {
        let own = shown(&page, &format!("GPU-{}", gpu + 1));
        let missing: BTreeSet<_> = all.difference(&own).map(String::as_str).collect();
        assert_eq!(missing, lost.iter().copied().collect(), "{name}: without {call}");
    }
    assert_eq!(
        page.sum("gaugeway_nvml_devices", &[("state", "ok")]),
        Some((LOST_WITH.len() + 1) as f64)
    );
    page
}

#[test]
fn what_a_gpu_does_not_support_is_absent_and_no_error() {
    let page = each_call_in_turn_answers("not-supported", 3);
    assert_eq!(page.sum("gaugeway_nvml_call_errors_total", &[]), None);
}

#[test]
fn a_code_without_a_name_for_another_version_is_like_not_supported() {
    let page = each_call_in_turn_answers("argument-version", 25);
    assert_eq!(page.sum("gaugeway_nvml_call_errors_total", &[]), None);
}

#[test]
fn what_fails_is_absent_and_counted() {
    let page = each_call_in_turn_answers("unknown-error", 999);
    for call in ["power_usage", "field_values", "gpm_sample", "clock_sm"] {
        let errors = [("call", call), ("error", "unknown")];
        assert!(page.sum("gaugeway_nvml_call_errors_total", &errors) >= Some(1.0), "{call}");
    }
}

#[test]
fn a_gpu_that_may_not_be_opened_leaves_the_others() {
    let dir = scratch::dir("nvml-one-forbidden");
    let rule = "[[rules]]\ncall = \"nvmlDeviceGetHandleByIndex_v2\"\ngpu = 1\nreturns = 4\n";
    let script: String = (0..3).map(full).chain([rule.to_owned()]).collect();
    let agent = start(&dir, &FakeNvml::new(&dir, &script));
    let (page, ()) = page_with(&agent, "a sample", up);
    let states = ["ok", "lost", "no_permission"]
        .map(|state| page.sum("gaugeway_nvml_devices", &[("state", state)]).unwrap());
    assert_eq!(states, [2.0, 0.0, 1.0]);
    let powers = page.sum_by("gaugeway_gpu_power_watts", ["uuid"]);
    assert_eq!(powers.into_keys().collect::<Vec<_>>(), [["GPU-0"], ["GPU-2"]]);
}

#[test]
fn a_gpu_falls_off_the_bus_and_comes_back() {
    let dir = scratch::dir("nvml-lost");
    let xids = "xids = [[3, 31], [4, 79], [4, 79]]\n[gpus.fields]";
    let rule = "[[rules]]\ncall = \"*\"\ngpu = 1\nfrom = 6\nuntil = 12\nreturns = 15\n";
    let script =
        ["step_seconds = 1.0\n", &full(0), &full(1).replace("[gpus.fields]", xids), rule].concat();
    let agent = start(&dir, &FakeNvml::new(&dir, &script));
    let energy = |page: &Page| page.sum("gaugeway_gpu_energy_joules_total", &[("uuid", "GPU-1")]);
    let (_, before) = page_with(&agent, "both GPUs", |page| energy(page));
    let (page, ()) = page_with(&agent, "a lost GPU", |page| {
        (page.sum("gaugeway_nvml_devices", &[("state", "lost")]) == Some(1.0)).then_some(())
    });
    assert!(shown(&page, "GPU-0").len() > 20, "the other goes on");
    let of_lost: Vec<_> = page.find("gaugeway_gpu_power_watts", &[("uuid", "GPU-1")]).collect();
    assert!(of_lost.is_empty(), "{of_lost:?}");
    for (xid, count) in [("31", 1.0), ("79", 2.0)] {
        let labels = [("uuid", "GPU-1"), ("xid", xid)];
        assert_eq!(page.sum("gaugeway_gpu_xid_errors_total", &labels), Some(count));
        assert!(page.sum("gaugeway_gpu_xid_last_timestamp_seconds", &labels) > Some(1.7e9));
    }
    let (_, after) = page_with(&agent, "the GPU again", |page| energy(page));
    assert!(after >= before, "{before} {after}");
}

#[test]
fn a_reloaded_driver_costs_no_counter_its_past() {
    let dir = scratch::dir("nvml-reload");
    // The counter starts again from 0 at second 6, when for a moment no call works.
    let energy =
        "energy_millijoules = { line = [[0, 9000000], [5.9, 9005900], [6, 0], [1000, 994000]] }";
    let script = full(0)
        .replace("energy_millijoules = { line = [[0, 5000000], [1000, 355000000]] }", energy);
    let script = format!(
        "step_seconds = 1.0\n{script}[[rules]]\ncall = \"*\"\ngpu = 0\nfrom = 6\nuntil = 7\nreturns = 1\n"
    );
    let agent = start(&dir, &FakeNvml::new(&dir, &script));
    let mut last = 0.0;
    wait_for("twelve joules that never fall", PATIENCE, || {
        let Some(joules) = agent.page().sum("gaugeway_gpu_energy_joules_total", &[]) else {
            return Err("no energy now".to_owned());
        };
        assert!(joules >= last, "{last} {joules}");
        last = joules;
        if joules >= 12.0 { Ok(()) } else { Err(format!("{joules} J")) }
    });
}

#[test]
fn a_call_that_blocks_stops_neither_page_nor_agent() {
    let dir = scratch::dir("nvml-blocks");
    let rule = "[[rules]]\ncall = \"nvmlDeviceGetPowerUsage\"\nwhile_file = \"blocked\"\n";
    let agent = start(&dir, &FakeNvml::new(&dir, &format!("{}{rule}", full(0))));
    page_with(&agent, "a sample", up);
    fs::write(dir.join("blocked"), "").unwrap();
    let (page, ()) = page_with(&agent, "a driver that is down", down);
    assert!(gpu_families(&page).is_empty(), "no stale numbers: {:?}", gpu_families(&page));
    let stamp = |page: &Page| page.sum("gaugeway_nvml_last_success_timestamp_seconds", &[]);
    let stale = stamp(&page);
    assert!(stale > Some(1.7e9));
    assert_eq!(stamp(&agent.page()), stale);
    fs::remove_file(dir.join("blocked")).unwrap();
    let (page, ()) = page_with(&agent, "a sample again", up);
    assert!(stamp(&page) > stale);
}

#[test]
fn an_old_driver_shows_what_it_can() {
    let dir = scratch::dir("nvml-old");
    let lacks = [
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetTotalEnergyConsumption",
        "nvmlEventSetCreate",
        "nvmlGpmQueryDeviceSupport",
        "nvmlDeviceGetArchitecture",
        "nvmlSystemGetCudaDriverVersion_v2",
    ];
    let agent = start(&dir, &FakeNvml::without(&dir, &full(0), &lacks));
    let (page, ()) = page_with(&agent, "a sample", up);
    assert_eq!(page.sum("gaugeway_gpu_power_watts", &[]), Some(350.0));
    // The old call counts what is reserved as used.
    let used = page.sum("gaugeway_gpu_memory_used_bytes", &[]);
    assert_eq!(used, Some(42_949_672_960.0 + 536_870_912.0));
    assert_eq!(page.sum("gaugeway_gpu_memory_reserved_bytes", &[]), None);
    assert_eq!(page.sum("gaugeway_gpu_recovery_action", &[]), None);
    assert_eq!(page.sum("gaugeway_nvml_call_errors_total", &[]), None);
    assert_eq!(page.find("gaugeway_gpu_info", &[]).next().unwrap().label("cuda_version"), "");
}
