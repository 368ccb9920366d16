//! The traffic: paced streams, one event per read, and short unary answers.

use crate::process::{Process, free_port, wait};
use crate::results::quantile;
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A kind of traffic.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Load {
    /// 200 streams at once, each with 100 events a second: a busy gateway.
    Busy,
    /// 200 streams at once, each with 25 events a second.
    #[value(name = "200")]
    Streams200,
    /// 2,000 streams at once, each with 2.5 events a second.
    #[value(name = "2000")]
    Streams2000,
    /// Unary answers as fast as 16 clients can take them.
    Unary,
}

/// The simulated LLM server.
pub(crate) struct Server {
    _process: Process,
    /// Where it listens.
    pub(crate) port: u16,
}

/// What the clients saw.
pub(crate) struct Seen {
    /// Events of streams, or requests where answers are unary.
    pub(crate) units: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) requests_per_second: f64,
}

#[derive(Deserialize)]
struct Observation {
    outcome: String,
    ttft_us: Option<f64>,
    duration_us: f64,
    generated_events: u64,
}

#[derive(Deserialize)]
struct Summary {
    elapsed_seconds: f64,
}

impl Load {
    pub(crate) const ALL: [Self; 4] =
        [Self::Busy, Self::Streams200, Self::Streams2000, Self::Unary];

    /// How many that look at streams are measured with one that does not: little time is to lie
    /// between them.
    pub(crate) const WATCHERS_IN_GROUP: usize = 3;

    /// How many variants run at the same time: all of a group where each leaves enough of two cores to the
    /// others.
    pub(crate) const fn at_once(self) -> usize {
        match self {
            Self::Streams200 | Self::Streams2000 => 1 + Self::WATCHERS_IN_GROUP,
            Self::Busy | Self::Unary => 1,
        }
    }

    /// What is counted.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Busy | Self::Streams200 | Self::Streams2000 => "event",
            Self::Unary => "request",
        }
    }

    /// As a heading.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Busy => "200 streams at once, each of 250 events, 100 a second",
            Self::Streams200 => "200 streams at once, each of 250 events, 25 a second",
            Self::Streams2000 => "2,000 streams at once, each of 25 events, 2.5 a second",
            Self::Unary => "Unary answers, 16 clients",
        }
    }

    /// Events a second of each stream.
    const fn pace(self) -> f64 {
        match self {
            Self::Busy => 100.0,
            Self::Streams200 => 25.0,
            Self::Streams2000 => 2.5,
            Self::Unary => 1_000_000.0,
        }
    }

    /// Tokens of each answer, in a stream one event each.
    const fn tokens(self) -> usize {
        match self {
            Self::Busy | Self::Streams200 => 250,
            Self::Streams2000 => 25,
            Self::Unary => 20,
        }
    }

    /// Starts the server with a model of this load's pace.
    pub(crate) fn start_server(self, sim: &Path, scratch: &Path) -> Result<Server> {
        let (tokens_per_second, tokens) = (self.pace(), self.tokens());
        let file = scratch.join("models.toml");
        fs::write(
            &file,
            format!(
                "[[model]]\nname = \"llama\"\nstyle = \"vllm\"\nttft_ms = 1\nttft_jitter_ms = 0\n\
                 tokens_per_second = {tokens_per_second}\noutput_tokens = [{tokens}, {tokens}]\nbytes_per_token = 24\n"
            ),
        )?;
        let port = free_port()?;
        let mut command = Command::new(sim);
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .arg("--config")
            .arg(&file);
        let process = Process::start(&mut command, &scratch.join("sim.log"))?;
        wait(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok(Server { _process: process, port })
    }

    /// A little of it.
    pub(crate) fn warm_up(self, sim: &Path, port: u16, scratch: &Path) -> Result<()> {
        self.client(
            sim,
            port,
            scratch,
            &["--requests", "20", "--concurrency", "20", "--max-tokens", "10", "--ramp", "0"],
        )
        .map(|_| ())
    }

    /// All of it.
    pub(crate) fn run(self, sim: &Path, port: u16, scratch: &Path) -> Result<Seen> {
        // How much, how many at once, and over how many seconds the first of them start.
        let [extent, clients, ramp] = match self {
            Self::Busy => [["--requests", "600"], ["--concurrency", "200"], ["--ramp", "1"]],
            Self::Streams200 => [["--requests", "200"], ["--concurrency", "200"], ["--ramp", "5"]],
            Self::Streams2000 => {
                [["--requests", "2000"], ["--concurrency", "2000"], ["--ramp", "5"]]
            }
            Self::Unary => [["--seconds", "3"], ["--concurrency", "16"], ["--ramp", "0"]],
        };
        let tokens = self.tokens().to_string();
        let tokens = ["--max-tokens", &tokens];
        let (observations, summary) =
            self.client(sim, port, scratch, &[extent, clients, ramp, tokens].concat())?;
        let mut latencies: Vec<f64> = observations
            .iter()
            .map(|seen| if self == Self::Unary { Some(seen.duration_us) } else { seen.ttft_us })
            .collect::<Option<_>>()
            .context("a stream without a first token")?;
        latencies.sort_by(f64::total_cmp);
        let requests = u64::try_from(observations.len())?;
        let events = observations.iter().map(|seen| seen.generated_events).sum();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let requests_per_second = requests as f64 / summary.elapsed_seconds;
        Ok(Seen {
            units: if self == Self::Unary { requests } else { events },
            p50_us: quantile(&latencies, 0.5),
            p99_us: quantile(&latencies, 0.99),
            requests_per_second,
        })
    }

    fn client(
        self,
        sim: &Path,
        port: u16,
        scratch: &Path,
        extent: &[&str],
    ) -> Result<(Vec<Observation>, Summary)> {
        let (lines, summary) = (scratch.join("requests.jsonl"), scratch.join("summary.json"));
        let share = if self == Self::Unary { "0" } else { "1" };
        let status = Command::new(sim)
            .args(["load", "--url", &format!("http://127.0.0.1:{port}"), "--models", "llama"])
            .args(["--stream-share", share, "--tool-share", "0", "--prompt-words", "50"])
            .args(extent)
            .arg("--requests-out")
            .arg(&lines)
            .arg("--json")
            .arg(&summary)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "the load client ended with {status}");
        let observations: Vec<Observation> = fs::read_to_string(lines)?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let failed = observations.iter().filter(|seen| seen.outcome != "success").count();
        ensure!(failed == 0, "{failed} of {} requests failed", observations.len());
        Ok((observations, serde_json::from_slice(&fs::read(summary)?)?))
    }
}
