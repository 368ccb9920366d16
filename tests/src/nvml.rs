//! An agent and a scripted driver: what the tests of GPU telemetry have in common.

use crate::agent::Agent;
use crate::fake_nvml::FakeNvml;
use crate::page::{Page, Sample};
use crate::wait_for;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Nothing listens there: GPUs are shown whether or not the gateway is.
pub const NO_ENVOY: &str = "[envoy]\nadmin = \"http://127.0.0.1:1\"\n";
/// How long a page is waited for.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A GPU of which everything is known.
pub const FULL: &str = r#"
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

/// The first or another GPU of which everything is known: `GPU-0`, `GPU-1`, …
pub fn full(index: usize) -> String {
    format!("[[gpus]]\nuuid = \"GPU-{index}\"\n{FULL}")
}

/// An agent that sees this driver, and no gateway.
pub fn start(dir: &Path, driver: &FakeNvml) -> Agent {
    Agent::start(dir, &format!("{NO_ENVOY}{}", driver.config()))
}

/// Waits for a page that has what is looked for.
pub fn page_with<T>(agent: &Agent, what: &str, look: impl Fn(&Page) -> Option<T>) -> (Page, T) {
    wait_for(what, PATIENCE, || {
        let page = agent.page();
        let found = look(&page);
        found.map(|found| (page, found)).ok_or_else(|| agent.metrics())
    })
}

/// Whether the page says that NVML works.
pub fn up(page: &Page) -> Option<()> {
    (page.sum("gaugeway_nvml_up", &[]) == Some(1.0)).then_some(())
}

/// Whether the page says that NVML does not work.
pub fn down(page: &Page) -> Option<()> {
    (page.sum("gaugeway_nvml_up", &[]) == Some(0.0)).then_some(())
}

/// What the page says of GPUs and MIG instances.
pub fn gpu_families(page: &Page) -> Vec<&Sample> {
    let of_gpus =
        |name: &str| name.starts_with("gaugeway_gpu_") || name.starts_with("gaugeway_mig_");
    page.samples.iter().filter(|sample| of_gpus(&sample.name)).collect()
}

/// What a GPU shows: short name and own labels.
pub fn shown(page: &Page, uuid: &str) -> BTreeSet<String> {
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
