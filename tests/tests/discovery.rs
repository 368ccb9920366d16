//! Without a word of configuration: two servers hold GPUs and listen on ports behind the real Envoy, and the
//! agent finds out which GPU serves which model.

use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_tests::agent::Agent;
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::page::Page;
use gaugeway_tests::process::Process;
use gaugeway_tests::{build, http, real, scratch, wait_for};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const LARGE: &str = "qwen3-32b";
const SMALL: &str = "llama-3.1-8b";

/// An LLM server: a process of its own with a port of its own.
struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    fn start(dir: &Path, name: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], http::free_port()));
        let mut command = Command::new(build::sim());
        command.args(["serve", "--listen", &address.to_string()]);
        let mut process = Process::start(&mut command, &dir.join(format!("{name}.log")));
        wait_for(name, PATIENCE, || {
            process.alive()?;
            http::get(&format!("http://{address}/v1/models"))
        });
        Self { process, address }
    }
}

/// One GPU of the large model, and one in two halves: the small model has the first, the second is held
/// by somebody who serves nobody.
fn gpus(large: u32, small: u32) -> String {
    let somebody = std::process::id();
    let half = |place: u32, pid: u32| {
        format!(
            "[[gpus.mig]]\nuuid = \"MIG-{place}\"\nname = \"NVIDIA H100 80GB HBM3 MIG 3g.40gb\"\n\
             gpu_instance = {place}\ncompute_instance = 0\n\
             memory = {{ total = 42949672960, used = 1 }}\n\
             processes = [{{ pid = {pid}, memory = 3000 }}]\n"
        )
    };
    format!(
        "[[gpus]]\nuuid = \"GPU-0\"\nprocesses = [{{ pid = {large}, memory = 7000 }}]\n\
         [[gpus]]\nuuid = \"GPU-1\"\nmemory = {{ total = 85899345920, used = 1 }}\n{}{}",
        half(1, small),
        half(2, somebody),
    )
}

fn envoy(large: SocketAddr, small: SocketAddr) -> Config {
    let port = large.port();
    Config::example(small)
        .replace(
            "\n              routes:",
            "\n              routes:\n              - match: {prefix: /large/}\n                \
             route: {cluster: large, timeout: 0s, prefix_rewrite: /}",
        )
        .replace(
            "\n  clusters:",
            &format!(
                "\n  clusters:\n  - name: large\n    type: STATIC\n    load_assignment: \
                 {{cluster_name: large, endpoints: [{{lb_endpoints: [{{endpoint: {{address: \
                 {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}"
            ),
        )
}

fn ask(envoy: &Envoy, path: &str, model: &str, seed: u64) {
    let url = format!("http://{}{path}", envoy.listener()).parse().unwrap();
    let config = LoadConfig {
        until: Until::Requests(20),
        seed,
        ..LoadConfig::new(url, vec![model.to_owned()])
    };
    load::run(&config, |_| ()).unwrap();
}

#[test]
fn the_gpu_of_each_model_is_found() {
    let Some(binary) = real::envoy() else { return };
    let dir = scratch::dir("discovery");
    let (large, small) = (Server::start(&dir, "large"), Server::start(&dir, "small"));
    let driver = FakeNvml::new(&dir, &gpus(large.process.id(), small.process.id()));
    let envoy = Envoy::start(&binary, &dir, envoy(large.address, small.address)).unwrap();
    let admin = envoy.admin();
    let agent = Agent::start(
        &dir,
        &format!(
            "[envoy]\nadmin = \"http://{admin}\"\n[price]\nusd_per_hour = 3600.0\n{}",
            driver.config()
        ),
    );

    let labels = ["pool", "uuid", "upstream"];
    let expected = [["large", "GPU-0", "large"], ["llm", "MIG-1", "llm"]];
    let expected = expected.map(|series| series.map(str::to_owned)).to_vec();
    until(&agent, |page| {
        page.sum_by("gaugeway_pool_info", labels).into_keys().collect::<Vec<_>>() == expected
    });

    ask(&envoy, "/large", LARGE, 1);
    ask(&envoy, "", SMALL, 2);
    // A process' memory is its model's once the model has been seen.
    let page = until(&agent, |page| {
        page.sum("gaugeway_cost_attributed_dollars_total", &[("model", SMALL)]) > Some(0.0)
            && page.sum("gaugeway_cost_pending_dollars", &[]) == Some(0.0)
    });
    let memory = page.sum_by("gaugeway_gpu_process_memory_bytes", ["uuid", "model"]);
    assert_eq!(memory, [(["GPU-0", LARGE], 7000.0), (["GPU-1", SMALL], 3000.0)].map(owned).into());
    let gpus = page.sum_by("gaugeway_pool_gpus", ["pool"]);
    // The pool of the whole host, until these were found, has none left.
    let expected = [(["default"], 0.0), (["large"], 1.0), (["llm"], 0.5)];
    assert_eq!(gpus, expected.map(owned).into());
    assert!(page.sum("gaugeway_cost_attributed_dollars_total", &[("model", LARGE)]) > Some(0.0));

    // From here on nobody asks, and each pool is idle for its part of the host.
    let idle = |page: &Page| page.sum_by("gaugeway_cost_idle_dollars_total", ["pool"]);
    let later = until(&agent, |later| {
        idle(later).iter().all(|(pool, sum)| *sum > idle(&page)[pool] + 0.2 || pool[0] == "default")
    });
    let bill = |page: &Page| page.sum("gaugeway_cost_bill_dollars_total", &[]).unwrap();
    let billed = bill(&later) - bill(&page);
    for (pool, part) in [("large", 0.5), ("llm", 0.25), ("none", 0.25)] {
        let key = [pool.to_owned()];
        let share = (idle(&later)[&key] - idle(&page)[&key]) / billed;
        assert!((share - part).abs() < 1e-6, "{pool}: {share}");
    }
}

fn owned<const N: usize>((labels, value): ([&str; N], f64)) -> ([String; N], f64) {
    (labels.map(str::to_owned), value)
}

fn until(agent: &Agent, accept: impl Fn(&Page) -> bool) -> Page {
    wait_for("the page", PATIENCE, || {
        let page = agent.page();
        if accept(&page) { Ok(page) } else { Err(agent.metrics()) }
    })
}
