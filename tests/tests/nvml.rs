//! GPU telemetry through the real NVML bindings: on a driver that follows a script, and on the real one
//! where there is one.

use gaugeway_tests::agent::{Agent, Launch};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::page::{Page, Sample};
use gaugeway_tests::{real, scratch, wait_for};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Nothing listens there: GPUs are shown whether or not the gateway is.
const NO_ENVOY: &str = "[envoy]\nadmin = \"http://127.0.0.1:1\"\n";
const PATIENCE: Duration = Duration::from_secs(40);

/// A GPU of which everything is known.
const FULL: &str = r#"
name = "NVIDIA H100 80GB HBM3"
pci_bus_id = "00000000:1B:00.0"
architecture = 9
utilization = 50
memory_utilization = 25
encoder_utilization = 1
decoder_utilization = 2
memory = { total = 85899345920, used = 42949672960, reserved = 536870912 }
power_milliwatts = 350000
power_limit_milliwatts = 700000
energy_millijoules = { line = [[0, 5000000], [1000, 355000000]] }
temperature = 60
sm_clock = 1980
memory_clock = 2619
graphics_clock = 1980
clock_event_reasons = 4
pcie_replays = { line = [[0, 100], [100, 200]] }
ecc = { corrected = [3, 30], uncorrected = [1, 10] }
processes = [{ pid = 4242, memory = 1073741824 }]
# The numbers of 269 to 271 are those of CUDA 13.
[gpus.fields]
74 = { line = [[0, 0], [100, 50000000000]] }
76 = 0
82 = 70
138 = { line = [[0, 1000], [100, 2000]] }
139 = { line = [[0, 1000], [100, 2000]] }
142 = 1
143 = 2
144 = 1
145 = 0
197 = { line = [[0, 0], [100, 1000]] }
198 = { line = [[0, 0], [100, 2000]] }
230 = 2
269 = 0
270 = 0
271 = 0
[gpus.gpm]
1 = 91
2 = 80
3 = 40
5 = 30
10 = 20
"#;

fn full(index: usize) -> String {
    format!("[[gpus]]\nuuid = \"GPU-{index}\"\n{FULL}")
}

fn start(dir: &Path, driver: &FakeNvml) -> Agent {
    Agent::start(dir, &format!("{NO_ENVOY}{}", driver.config()))
}

/// Waits for a page that has what is looked for.
fn page_with<T>(agent: &Agent, what: &str, look: impl Fn(&Page) -> Option<T>) -> (Page, T) {
    wait_for(what, PATIENCE, || {
        let page = agent.page();
        let found = look(&page);
        found.map(|found| (page, found)).ok_or_else(|| agent.metrics())
    })
}

fn up(page: &Page) -> Option<()> {
    (page.sum("gaugeway_nvml_up", &[]) == Some(1.0)).then_some(())
}

fn down(page: &Page) -> Option<()> {
    (page.sum("gaugeway_nvml_up", &[]) == Some(0.0)).then_some(())
}

fn gpu_families(page: &Page) -> Vec<&Sample> {
    let of_gpus =
        |name: &str| name.starts_with("gaugeway_gpu_") || name.starts_with("gaugeway_mig_");
    page.samples.iter().filter(|sample| of_gpus(&sample.name)).collect()
}

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

/// What a GPU shows: short name and own labels.
fn shown(page: &Page, uuid: &str) -> BTreeSet<String> {
    let own = gpu_families(page).into_iter().filter(|sample| sample.label("uuid") == uuid);
    own.map(|sample| {
        let mut text = sample.name.trim_start_matches("gaugeway_").to_owned();
        for label in ["task", "sensor", "domain", "type", "scope", "direction", "reason"] {
            match sample.label(label) {
                "" => {}
                value => write!(text, " {value}").unwrap(),
            }
        }
        text
    })
    .collect()
}

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
fn all_figures_in_base_units() {
    let dir = scratch::dir("nvml-units");
    let agent = start(&dir, &FakeNvml::new(&dir, &full(0)));
    let (page, _) = page_with(&agent, "GPM of two samples", |page| {
        page.sum("gaugeway_gpu_sm_utilization_ratio", &[])
    });
    let is = |name: &str, labels: &[(&str, &str)], value: f64| {
        let found = page.sum(name, labels);
        assert!(found.is_some_and(|found| (found - value).abs() < 1e-9), "{name}: {found:?}");
    };
    is("gaugeway_gpu_utilization_ratio", &[("task", "general")], 0.5);
    is("gaugeway_gpu_memory_total_bytes", &[], 85_899_345_920.0);
    is("gaugeway_gpu_memory_reserved_bytes", &[], 536_870_912.0);
    is("gaugeway_gpu_power_watts", &[], 350.0);
    is("gaugeway_gpu_power_limit_watts", &[], 700.0);
    is("gaugeway_gpu_temperature_celsius", &[("sensor", "memory")], 70.0);
    is("gaugeway_gpu_clock_hertz", &[("domain", "memory")], 2.619e9);
    is("gaugeway_gpu_clock_event_active", &[("reason", "sw_power_cap")], 1.0);
    is("gaugeway_gpu_clock_event_active", &[("reason", "gpu_idle")], 0.0);
    is("gaugeway_gpu_ecc_errors", &[("type", "uncorrected"), ("scope", "aggregate")], 10.0);
    is("gaugeway_gpu_remapped_rows", &[("type", "uncorrected")], 2.0);
    is("gaugeway_gpu_row_remap_pending", &[], 1.0);
    is("gaugeway_gpu_row_remap_failure", &[], 0.0);
    is("gaugeway_gpu_recovery_action", &[], 2.0);
    is("gaugeway_gpu_sm_utilization_ratio", &[], 0.8);
    is("gaugeway_gpu_sm_occupancy_ratio", &[], 0.4);
    is("gaugeway_gpu_tensor_activity_ratio", &[], 0.3);
    is("gaugeway_gpu_dram_bandwidth_utilization_ratio", &[], 0.2);
    let info: Vec<_> = page.find("gaugeway_gpu_info", &[]).collect();
    assert_eq!(info[0].label("name"), "NVIDIA H100 80GB HBM3");
    assert_eq!(info[0].label("architecture"), "Hopper");
    assert_eq!(info[0].label("driver_version"), "580.95.05");
    assert_eq!(info[0].label("cuda_version"), "13.0");
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
fn without_an_energy_counter_power_is_integrated() {
    let dir = scratch::dir("nvml-integrated");
    let script =
        full(0).replace("energy_millijoules = { line = [[0, 5000000], [1000, 355000000]] }", "");
    let agent = start(&dir, &FakeNvml::new(&dir, &script));
    let (page, joules) = page_with(&agent, "some joules", |page| {
        page.sum("gaugeway_gpu_energy_joules_total", &[("source", "integrated")])
            .filter(|joules| *joules > 0.0)
    });
    assert!(joules < 350.0 * PATIENCE.as_secs_f64() * 2.0);
    assert_eq!(page.sum("gaugeway_gpu_energy_joules_total", &[("source", "counter")]), None);
}

#[test]
fn mig_instances_are_a_family_of_their_own() {
    let dir = scratch::dir("nvml-mig");
    let instance = |place: usize, ci: usize| {
        format!(
            "[[gpus.mig]]\nuuid = \"MIG-{place}-{ci}\"\nname = \"NVIDIA H100 80GB HBM3 MIG 3g.40gb\"\n\
             gpu_instance = {place}\ncompute_instance = {ci}\n\
             memory = {{ total = 42949672960, used = {used} }}\ngpm = {{ 2 = {used} }}\n",
            used = place * 10,
        )
    };
    let script = format!(
        "[[gpus]]\nuuid = \"GPU-0\"\npower_milliwatts = 350000\n{}{}{}",
        instance(1, 0),
        instance(2, 0),
        instance(2, 1),
    );
    let agent = start(&dir, &FakeNvml::new(&dir, &script));
    let (page, _) = page_with(&agent, "GPM of the instances", |page| {
        page.sum("gaugeway_mig_sm_utilization_ratio", &[("gpu_instance_id", "2")])
    });
    assert_eq!(page.sum("gaugeway_gpu_power_watts", &[]), Some(350.0));
    assert_eq!(page.sum("gaugeway_gpu_utilization_ratio", &[]), None);
    let infos = page.sum_by(
        "gaugeway_mig_info",
        ["uuid", "mig_uuid", "gpu_instance_id", "compute_instance_id", "profile"],
    );
    let infos: Vec<_> = infos.keys().map(|labels| labels.join(" ")).collect();
    assert_eq!(
        infos,
        ["GPU-0 MIG-1-0 1 0 3g.40gb", "GPU-0 MIG-2-0 2 0 3g.40gb", "GPU-0 MIG-2-1 2 1 3g.40gb",]
    );
    // Two compute instances share the memory of the second.
    let used = page.sum_by("gaugeway_mig_memory_used_bytes", ["gpu_instance_id"]);
    assert_eq!(used, [(["1".to_owned()], 10.0), (["2".to_owned()], 20.0)].into());
    let busy = page.sum_by("gaugeway_mig_sm_utilization_ratio", ["gpu_instance_id"]);
    assert!((busy[&["1".to_owned()]] - 0.1).abs() < 1e-9, "{busy:?}");
    assert!((busy[&["2".to_owned()]] - 0.2).abs() < 1e-9, "{busy:?}");
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

#[test]
fn the_energy_of_gpus_is_accounted_for() {
    let dir = scratch::dir("nvml-energy");
    let driver = FakeNvml::new(&dir, &format!("step_seconds = 1.0\n{}{}", full(0), full(1)));
    let config = format!("{NO_ENVOY}[price]\nusd_per_hour = 7.2\n{}", driver.config());
    let agent = Agent::start(&dir, &config);
    let (page, measured) = page_with(&agent, "some joules", |page| {
        page.sum("gaugeway_energy_measured_joules_total", &[]).filter(|joules| *joules > 0.0)
    });
    let down = [("reason", "gateway_down")];
    let parts = [
        page.sum("gaugeway_energy_attributed_joules_total", &[]).unwrap_or(0.0),
        page.sum("gaugeway_energy_idle_joules_total", &[]).unwrap(),
        page.sum("gaugeway_energy_unattributed_joules_total", &down).unwrap(),
        page.sum("gaugeway_energy_pending_joules", &[]).unwrap(),
    ];
    assert_eq!(parts, [0.0, 0.0, measured, 0.0], "nobody saw what they did");
}

#[test]
fn dashboards_of_dcgm_find_their_names() {
    let dir = scratch::dir("nvml-dcgm");
    let driver = FakeNvml::new(&dir, &full(0));
    let asked = Launch::new(&format!("{NO_ENVOY}{}dcgm_names = true\n", driver.config()));
    let by_flag = Launch::new(&format!("{NO_ENVOY}{}", driver.config()));
    for launch in [asked, Launch { args: &["--compat=dcgm"], ..by_flag }] {
        has_names_of_dcgm(&launch.start(&dir));
    }
}

fn has_names_of_dcgm(agent: &Agent) {
    let (page, _) = page_with(agent, "GPM of two samples", |page| {
        page.sum("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", &[])
    });
    // The panels of dashboard 12239, and units that differ from ours.
    let expected = [
        ("DCGM_FI_DEV_GPU_TEMP", 60.0),
        ("DCGM_FI_DEV_POWER_USAGE", 350.0),
        ("DCGM_FI_DEV_SM_CLOCK", 1980.0),
        ("DCGM_FI_DEV_GPU_UTIL", 50.0),
        ("DCGM_FI_DEV_FB_USED", 40960.0),
        ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 0.3),
        ("DCGM_FI_DEV_XID_ERRORS", 0.0),
    ];
    for (name, value) in expected {
        let found: Vec<_> = page.find(name, &[("gpu", "0"), ("UUID", "GPU-0")]).collect();
        assert_eq!(found.len(), 1, "{name}");
        assert!((found[0].value - value).abs() < 1e-9, "{:?}", found[0]);
        assert_eq!(found[0].label("modelName"), "NVIDIA H100 80GB HBM3");
    }
    assert!(page.sum("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", &[]) >= Some(5_000_000.0));
    assert_eq!(page.sum("gaugeway_gpu_power_watts", &[]), Some(350.0), "ours stay");
}

#[test]
fn promtool_likes_a_page_with_eight_gpus() {
    let Some(promtool) = real::promtool() else { return };
    let dir = scratch::dir("nvml-eight");
    let script: String = (0..8).map(full).collect();
    let driver = FakeNvml::new(&dir, &script);
    let config = format!("{NO_ENVOY}[price]\nusd_per_hour = 55.04\n{}", driver.config());
    let agent = Agent::start(&dir, &config);
    let (page, _) = page_with(&agent, "GPM of two samples", |page| {
        page.sum("gaugeway_gpu_sm_utilization_ratio", &[("uuid", "GPU-7")])
    });
    assert_eq!(page.find("gaugeway_gpu_info", &[]).count(), 8);
    gaugeway_tests::prometheus::check_metrics(&promtool, &agent.metrics());
}

#[test]
fn the_real_driver_of_this_host() {
    let loadable = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/aarch64-linux-gnu"]
        .iter()
        .any(|folder| Path::new(folder).join("libnvidia-ml.so.1").exists());
    if !loadable || !Path::new("/dev/nvidiactl").exists() {
        println!("skipped: no NVIDIA driver on this host");
        return;
    }
    let dir = scratch::dir("nvml-real");
    let agent = Agent::start(&dir, NO_ENVOY);
    let (page, ()) = page_with(&agent, "a sample", up);
    let gpus = page.sum("gaugeway_nvml_devices", &[("state", "ok")]);
    assert!(gpus >= Some(1.0));
    assert_eq!(page.sum("gaugeway_gpu_info", &[]), gpus);
    for sample in gpu_families(&page) {
        let name = &sample.name;
        assert!(sample.value.is_finite() && sample.value >= 0.0, "{sample:?}");
        assert!(!name.ends_with("_ratio") || sample.value <= 1.0, "{sample:?}");
    }
    page_with(&agent, "energy", |page| {
        page.sum("gaugeway_gpu_energy_joules_total", &[]).filter(|joules| *joules > 0.0)
    });
}
