//! What the agent costs the host that it runs on, and how long its page keeps a scraper waiting: eight GPUs, a page
//! of Envoy with 5,000 series that all move, a tick a second.
//!
//! Figures of a build with optimisation, on a machine that is otherwise quiet:
//!
//! ```text
//! cargo build --release -p gaugeway-agent
//! GAUGEWAY_AGENT=target/release/gaugeway-agent cargo test -p gaugeway-tests --test agent_load -- --ignored --nocapture
//! ```

use gaugeway_tests::agent::{Agent, Launch};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::hostile::{Answer, Hostile};
use gaugeway_tests::{scratch, wait_for};
use std::fmt::Write;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

const GETS: usize = 1000;
const SERIES: usize = 5000;
const HISTOGRAMS: [&str; 7] =
    ["duration", "ttfb", "ttft", "ttfo", "tpot", "inter_chunk", "max_stall"];

#[test]
#[ignore = "measures a release build for half a minute"]
fn what_the_agent_costs() {
    let dir = scratch::dir("agent_load");
    let envoy = Hostile::start(page(1));
    let driver = FakeNvml::new(&dir, &(0..8).map(gpu).collect::<String>());
    let config = format!(
        "[envoy]\nadmin = \"http://{}\"\n[price]\nusd_per_hour = 98.32\n{}",
        envoy.address(),
        driver.config()
    );
    let launch = Launch { tick: Duration::from_secs(1), ..Launch::new(&config) };
    let agent = launch.start(&dir);
    wait_for("GPUs and series", Duration::from_secs(20), || {
        let samples = agent.page().samples.len();
        if samples > SERIES { Ok(()) } else { Err(format!("{samples} samples")) }
    });

    // As it is in use: all counters move, and the page is read once a tick.
    let (began, before) = (Instant::now(), cpu_seconds(&agent));
    for second in 2..22 {
        envoy.answer(page(second));
        agent.metrics();
        thread::sleep(Duration::from_secs(1));
    }
    let share = (cpu_seconds(&agent) - before) / began.elapsed().as_secs_f64();

    let mut waited: Vec<_> = (0..GETS)
        .map(|_| {
            let began = Instant::now();
            agent.metrics();
            let waited = began.elapsed();
            thread::sleep(Duration::from_millis(7));
            waited
        })
        .collect();
    waited.sort();
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|q| waited[((GETS - 1) as f64 * q) as usize]);
    println!(
        "{} samples of {} bytes; page p50 {p50:?}, p99 {p99:?}, most {most:?}; {:.2} % of a core at one scrape a \
         second; {} KiB resident",
        agent.page().samples.len(),
        agent.metrics().len(),
        share * 100.0,
        resident(&agent)
    );
}

/// A page of 5,000 series, of models with everything that the filter tells of each.
fn page(second: u64) -> Answer {
    let mut page = String::from("envoy_server_uptime{} 1000\n");
    for model in 0.. {
        if page.lines().count() >= SERIES {
            break;
        }
        let labels = format!("model=\"model-{model}\",api=\"openai_chat\",upstream=\"vllm\"");
        for histogram in HISTOGRAMS {
            for bucket in 1..=22_u64 {
                let (le, count) = (bucket * 10_000, bucket * second);
                let name = format!("gaugeway_{histogram}_us_bucket");
                writeln!(page, "{name}{{{labels},le=\"{le}\"}} {count}").unwrap();
            }
            for part in ["sum", "count"] {
                writeln!(page, "gaugeway_{histogram}_us_{part}{{{labels}}} {}", 22 * second)
                    .unwrap();
            }
        }
        for outcome in ["success", "error", "client_abort"] {
            for name in ["input_tokens", "output_tokens", "cache_read_input_tokens", "requests"] {
                let labels =
                    format!("{labels},outcome=\"{outcome}\",source=\"reported\",tenant=\"t\"");
                writeln!(page, "gaugeway_{name}_total{{{labels}}} {}", 100 * second).unwrap();
            }
        }
    }
    Answer::Page(page.into_bytes().into())
}

fn gpu(place: usize) -> String {
    let fields: String = [74, 76, 82, 138, 139, 142, 143, 144, 145, 197, 198, 230, 269, 270, 271]
        .map(|field| format!("{field} = {{ line = [[0, 0], [1000, 1000000]] }}\n"))
        .concat();
    format!(
        "[[gpus]]\nuuid = \"GPU-{place}\"\nname = \"NVIDIA H100 80GB HBM3\"\narchitecture = 9\n\
         utilization = 50\nmemory_utilization = 25\nencoder_utilization = 1\ndecoder_utilization = 2\n\
         memory = {{ total = 85899345920, used = 42949672960, reserved = 536870912 }}\n\
         power_milliwatts = 350000\npower_limit_milliwatts = 700000\n\
         energy_millijoules = {{ line = [[0, 0], [1000, 350000000]] }}\ntemperature = 60\n\
         sm_clock = 1980\nmemory_clock = 2619\ngraphics_clock = 1980\nclock_event_reasons = 4\n\
         pcie_replays = 0\necc = {{ corrected = [3, 30], uncorrected = [0, 0] }}\n\
         [gpus.fields]\n{fields}[gpus.gpm]\n1 = 91\n2 = 80\n3 = 40\n5 = 30\n10 = 20\n"
    )
}

/// Of user and system time, by the kernel's clock of 100 Hz.
fn cpu_seconds(agent: &Agent) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", agent.id())).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn resident(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
