//! GPU telemetry through the real NVML bindings: on a driver that follows a script, and on the real one
//! where there is one.

use gaugeway_tests::agent::{Agent, Launch};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::nvml::{NO_ENVOY, PATIENCE, full, gpu_families, page_with, start, up};
use gaugeway_tests::{real, scratch};
use std::path::Path;

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
