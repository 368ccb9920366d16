//! What the agent costs for pages of a hundred to fifty thousand series.

use crate::process::{Process, free_port, wait};
use crate::results;
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// What is to be measured.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The agent's binary, built for release.
    #[arg(long, value_name = "FILE", default_value = "target/release/gaugeway-agent")]
    agent: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, value_name = "N", default_value = "20")]
    seconds: u64,
}

/// One page, asked for each second.
#[derive(Debug, Serialize)]
struct Row {
    series: usize,
    /// Fetching and reading Envoy's page, median of all ticks seen, milliseconds.
    scrape_and_read_ms: f64,
    /// Answering `GET /metrics`, milliseconds.
    page_p50_ms: f64,
    page_p99_ms: f64,
    /// CPU time of the process, percent of a core.
    cpu_percent: f64,
    /// Resident memory, megabytes.
    rss_mb: f64,
}

/// Measures, prints and writes.
pub(crate) fn run(results: &Path, args: &Args) -> Result<()> {
    let mut rows = Vec::new();
    for series in [100, 5_000, 50_000] {
        rows.push(row(series, args)?);
    }
    println!(
        "{:>8} {:>18} {:>12} {:>12} {:>10} {:>8}",
        "series", "scrape + read ms", "page p50 ms", "page p99 ms", "CPU %", "RSS MB"
    );
    for row in &rows {
        println!(
            "{:>8} {:>18.2} {:>12.2} {:>12.2} {:>10.2} {:>8.1}",
            row.series,
            row.scrape_and_read_ms,
            row.page_p50_ms,
            row.page_p99_ms,
            row.cpu_percent,
            row.rss_mb
        );
    }
    results::write(results, "agent", rows)
}

fn row(series: usize, args: &Args) -> Result<Row> {
    let scratch = env::temp_dir().join(format!("gaugeway-bench-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let envoy = serve(page(series))?;
    let port = free_port()?;
    let config = scratch.join("agent.toml");
    fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:{port}\"\ntick = \"1s\"\n[envoy]\nadmin = \"http://127.0.0.1:{envoy}\"\n\
             [nvml]\nenabled = false\n[price]\nusd_per_hour = 6.88\n"
        ),
    )?;
    let mut command = std::process::Command::new(&args.agent);
    command.arg("--config").arg(&config);
    let agent = Process::start(&mut command, &scratch.join("agent.log"))
        .with_context(|| format!("{} (cargo build --release)", args.agent.display()))?;
    let get = || {
        ureq::get(format!("http://127.0.0.1:{port}/metrics"))
            .call()
            .ok()?
            .body_mut()
            .read_to_string()
            .ok()
    };
    wait(|| get().filter(|page| source(page, "gaugeway_source_up") == Some(1.0)))?;

    let (started, cpu) = (Instant::now(), agent.cpu()?);
    let (mut pages, mut reads) = (Vec::new(), Vec::new());
    while started.elapsed() < Duration::from_secs(args.seconds) {
        let asked = Instant::now();
        let page = get().context("no page")?;
        pages.push(asked.elapsed().as_secs_f64() * 1e3);
        let took = source(&page, "gaugeway_source_duration_seconds").context("no duration")?;
        if reads.last() != Some(&(took * 1e3)) {
            reads.push(took * 1e3);
        }
        thread::sleep(Duration::from_millis(100));
    }
    let used = agent.cpu()?.saturating_sub(cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    pages.sort_by(f64::total_cmp);
    reads.sort_by(f64::total_cmp);
    let row = Row {
        series,
        scrape_and_read_ms: results::quantile(&reads, 0.5),
        page_p50_ms: results::quantile(&pages, 0.5),
        page_p99_ms: results::quantile(&pages, 0.99),
        cpu_percent: used * 100.0,
        rss_mb: agent.rss_mb()?,
    };
    drop(agent);
    fs::remove_dir_all(&scratch)?;
    Ok(row)
}

/// What the page says of the source `envoy`.
fn source(page: &str, name: &str) -> Option<f64> {
    let line = page.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with("{source=\"envoy\"}"))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A page of Envoy with so many series, made of one model's after another.
fn page(series: usize) -> String {
    let template = include_str!("../../host-agent/tests/loopback/envoy_page.txt");
    let models: Vec<&str> = template.lines().filter(|line| line.contains("llama-8b")).collect();
    let mut page: String = template
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let lines = (0..).flat_map(|model: u32| {
        models.iter().map(move |line| line.replace("llama-8b", &format!("llama-{model}")))
    });
    for line in lines.take(series) {
        page.push_str(&line);
        page.push('\n');
    }
    page
}

/// Answers every request with the page, for as long as the process lives.
fn serve(page: String) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                page.len()
            );
            // A client that has gone asks again.
            let _ = stream
                .read(&mut request)
                .and_then(|_| stream.write_all(head.as_bytes()))
                .and_then(|()| stream.write_all(page.as_bytes()));
        }
    });
    Ok(port)
}
