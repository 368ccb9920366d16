//! Two real processes that listen, the kernel's real tables, and the clusters of a fake Envoy.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use gaugeway_agent::cost::{GpuName, PoolSpec};
use gaugeway_agent::discovery::Discovery;
use gaugeway_agent::gpu::{GpuIdentity, GpuProcess, GpuReading, GpuSample};

use super::Folder;
use super::fake_envoy::{Answer, FakeEnvoy};

/// A process with a port of its own: an agent, for want of an LLM server.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Folder, name: &str) -> Self {
        let file = folder.0.join(format!("{name}.toml"));
        let config = "listen = \"127.0.0.1:0\"\n[envoy]\nadmin = \"http://127.0.0.1:1\"\n[nvml]\nenabled = false\n";
        std::fs::write(&file, config).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_gaugeway-agent"))
            .arg("--config")
            .arg(file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let line =
            lines.find_map(|line| line.ok().filter(|line| line.contains("serving"))).unwrap();
        let port = line.rsplit_once(':').unwrap().1.trim_end_matches("/metrics").parse().unwrap();
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn gpu(index: u32, pids: &[u32]) -> GpuSample {
    GpuSample {
        identity: GpuIdentity { index, uuid: format!("GPU-{index}"), ..GpuIdentity::default() },
        processes: pids.iter().map(|pid| GpuProcess { pid: *pid, memory_bytes: Some(1) }).collect(),
        ..GpuSample::default()
    }
}

fn pool(name: &str, gpu: &str) -> PoolSpec {
    PoolSpec {
        name: name.to_owned(),
        upstreams: vec![name.to_owned()],
        models: Vec::new(),
        gpus: Some(vec![GpuName::Uuid(gpu.to_owned())]),
    }
}

#[tokio::test]
async fn each_gpu_is_given_to_the_upstream_whose_port_its_process_has() {
    let folder = Folder::new("discovery");
    let (large, small) = (Server::start(&folder, "large"), Server::start(&folder, "small"));
    let host = |port: u16| {
        format!(
            r#"{{"address":{{"socket_address":{{"address":"127.0.0.1","port_value":{port}}}}}}}"#
        )
    };
    let clusters = format!(
        r#"{{"cluster_statuses":[{{"name":"large","host_statuses":[{}]}},{{"name":"small","host_statuses":[{}]}}]}}"#,
        host(large.port),
        host(small.port)
    );
    let envoy =
        FakeEnvoy::tcp(Answer::ByPath(vec![("GET /clusters?format=json ", clusters)])).await;
    let mut discovery = Discovery::new(envoy.address.clone(), "/proc".into());
    let gpus = GpuReading {
        // The last one is held by a process that is behind no cluster.
        gpus: vec![
            gpu(0, &[small.process.id()]),
            gpu(1, &[large.process.id()]),
            gpu(2, &[std::process::id()]),
        ],
        ..GpuReading::default()
    };
    let found = discovery.look(&gpus).await.unwrap().unwrap();
    assert_eq!(found.pools, [pool("large", "GPU-1"), pool("small", "GPU-0")]);
    assert!(discovery.look(&gpus).await.is_none(), "nothing has changed");

    let gone = GpuReading { gpus: vec![gpu(0, &[small.process.id()])], ..GpuReading::default() };
    assert_eq!(discovery.look(&gone).await.unwrap().unwrap().pools, [pool("small", "GPU-0")]);
}

#[tokio::test]
async fn without_envoys_clusters_nothing_is_guessed() {
    let envoy = FakeEnvoy::tcp(Answer::response("503 Service Unavailable", "")).await;
    let mut discovery = Discovery::new(envoy.address.clone(), "/proc".into());
    let gpus = GpuReading { gpus: vec![gpu(0, &[1])], ..GpuReading::default() };
    assert!(discovery.look(&gpus).await.unwrap().is_err());
}
