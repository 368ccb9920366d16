//! The script as it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A host with GPUs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    #[serde(default = "driver_version")]
    pub(crate) driver_version: String,
    #[serde(default = "cuda_version")]
    pub(crate) cuda_version: i32,
    pub(crate) step_seconds: Option<f64>,
    #[serde(default)]
    pub(crate) gpus: Vec<Gpu>,
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    /// Where the files of the rules are.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

/// One GPU. What is absent is not supported.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gpu {
    pub(crate) uuid: String,
    pub(crate) name: Option<String>,
    pub(crate) pci_bus_id: Option<String>,
    pub(crate) architecture: Option<Value>,
    pub(crate) utilization: Option<Value>,
    pub(crate) memory_utilization: Option<Value>,
    pub(crate) encoder_utilization: Option<Value>,
    pub(crate) decoder_utilization: Option<Value>,
    pub(crate) memory: Option<Memory>,
    pub(crate) power_milliwatts: Option<Value>,
    pub(crate) power_limit_milliwatts: Option<Value>,
    pub(crate) energy_millijoules: Option<Value>,
    pub(crate) temperature: Option<Value>,
    pub(crate) sm_clock: Option<Value>,
    pub(crate) memory_clock: Option<Value>,
    pub(crate) graphics_clock: Option<Value>,
    pub(crate) clock_event_reasons: Option<Value>,
    pub(crate) pcie_replays: Option<Value>,
    pub(crate) ecc: Option<Ecc>,
    /// By the number that is asked for.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Value>,
    /// By metric.
    #[serde(default)]
    pub(crate) gpm: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) processes: Vec<Process>,
    /// MIG is on when this is there, and not supported when it is not.
    pub(crate) mig: Option<Vec<Mig>>,
    /// Second and XID.
    #[serde(default)]
    pub(crate) xids: Vec<(f64, u64)>,
}

/// A MIG instance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mig {
    pub(crate) uuid: String,
    pub(crate) name: Option<String>,
    pub(crate) gpu_instance: u32,
    pub(crate) compute_instance: u32,
    pub(crate) memory: Option<Memory>,
    #[serde(default)]
    pub(crate) gpm: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) processes: Vec<Process>,
}

/// Bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    pub(crate) total: Value,
    pub(crate) used: Value,
    #[serde(default)]
    pub(crate) reserved: u64,
}

/// Errors since the reset and ever.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ecc {
    pub(crate) corrected: [Value; 2],
    pub(crate) uncorrected: [Value; 2],
}

/// A process with a context.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Not available when absent.
    pub(crate) memory: Option<u64>,
    /// Whether it is a client of an MPS server.
    #[serde(default)]
    pub(crate) mps: bool,
}

/// A number as a function of time; points are second and value.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Constant(f64),
    Steps { steps: Vec<(f64, f64)> },
    Line { line: Vec<(f64, f64)> },
}

/// What becomes of some calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    call: String,
    gpu: Option<usize>,
    #[serde(default)]
    from: f64,
    until: Option<f64>,
    pub(crate) returns: Option<u32>,
    pub(crate) delay_ms: Option<u64>,
    if_file: Option<PathBuf>,
    pub(crate) while_file: Option<PathBuf>,
}

impl Value {
    /// Its value at a second.
    pub(crate) fn at(&self, second: f64) -> f64 {
        let passed = |points: &[(f64, f64)]| points.iter().rposition(|(at, _)| *at <= second);
        match self {
            Self::Constant(value) => *value,
            Self::Steps { steps } => {
                passed(steps).or(Some(0)).and_then(|at| steps.get(at)).map_or(0.0, |step| step.1)
            }
            Self::Line { line } => {
                let at = passed(line).unwrap_or(0);
                match (line.get(at), line.get(at + 1)) {
                    (Some((t0, v0)), Some((t1, v1))) => {
                        v0 + (v1 - v0) * ((second - t0) / (t1 - t0)).clamp(0.0, 1.0)
                    }
                    (Some((_, value)), None) => *value,
                    (None, _) => 0.0,
                }
            }
        }
    }

    /// The same, as a count.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates where the script is out of range"
    )]
    pub(crate) fn count(&self, second: f64) -> u64 {
        self.at(second).round() as u64
    }
}

impl Rule {
    /// Whether it is about this call. Its files are in `folder`.
    pub(crate) fn fits(&self, call: &str, gpu: Option<usize>, second: f64, folder: &Path) -> bool {
        (self.call == "*" || self.call == call)
            && (self.gpu.is_none() || self.gpu == gpu)
            && second >= self.from
            && self.until.is_none_or(|until| second < until)
            && self.if_file.as_ref().is_none_or(|file| folder.join(file).exists())
    }
}

fn driver_version() -> String {
    "580.95.05".to_owned()
}

fn cuda_version() -> i32 {
    13_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_over_time() {
        let steps = Value::Steps { steps: vec![(0.0, 1.0), (5.0, 2.0)] };
        assert_eq!([0.0, 4.9, 5.0, 9.0].map(|t| steps.at(t)), [1.0, 1.0, 2.0, 2.0]);
        let line = Value::Line { line: vec![(0.0, 0.0), (10.0, 100.0), (20.0, 100.0)] };
        assert_eq!([0.0, 5.0, 10.0, 15.0, 30.0].map(|t| line.count(t)), [0, 50, 100, 100, 100]);
    }
}
