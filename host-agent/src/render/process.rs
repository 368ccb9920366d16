//! GPU memory by model: what the processes hold that serve it.

use std::collections::{BTreeMap, BTreeSet};

use gaugeway_core::stat::Label;

use super::page::Page;
use crate::discovery::Upstreams;
use crate::envoy::EnvoyStats;
use crate::snapshot::Snapshot;

pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let found = snapshot.discovery.as_ref().and_then(|found| found.outcome.as_deref().ok());
    let gpus = snapshot.nvml.as_ref().and_then(|nvml| nvml.gpus.outcome.as_deref().ok());
    let (Some(found), Some(gpus), Ok(stats)) = (found, gpus, &snapshot.envoy.outcome) else {
        return;
    };
    let models = models(stats);
    for gpu in &gpus.gpus {
        let mut memory = BTreeMap::<&str, u64>::new();
        for process in &gpu.processes {
            let model = only_model(process.pid, &found.upstreams, &models);
            if let (Some(model), Some(bytes)) = (model, process.memory_bytes) {
                *memory.entry(model).or_default() += bytes;
            }
        }
        for (model, bytes) in memory {
            #[expect(clippy::cast_precision_loss, reason = "bytes below 2^53")]
            page.gauge(
                "gaugeway_gpu_process_memory_bytes",
                "GPU memory of the processes that serve a model.",
                &[("uuid", &gpu.identity.uuid), ("model", model)],
                bytes as f64,
            );
        }
    }
}

/// The models seen at each upstream.
fn models(stats: &EnvoyStats) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut models = BTreeMap::<&str, BTreeSet<&str>>::new();
    for series in stats.series.keys() {
        if let (Some(upstream), Some(model)) =
            (series.labels.get(Label::Upstream), series.labels.get(Label::Model))
        {
            models.entry(upstream).or_default().insert(model);
        }
    }
    models
}

/// The model that a process serves; of a process that serves several none is told.
fn only_model<'a>(
    pid: u32,
    upstreams: &Upstreams,
    models: &BTreeMap<&str, BTreeSet<&'a str>>,
) -> Option<&'a str> {
    let served = upstreams.get(&pid)?.iter();
    let mut seen = served.filter_map(|upstream| models.get(upstream.as_str())).flatten();
    let first = *seen.next()?;
    seen.all(|model| *model == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_two_models_is_of_none() {
        let stats = EnvoyStats::read(
            b"gaugeway_errors_total{upstream=\"a\",model=\"x\"} 1\n\
              gaugeway_errors_total{upstream=\"b\",model=\"x\"} 1\n\
              gaugeway_errors_total{upstream=\"c\",model=\"y\"} 1\n",
        );
        let models = models(&stats);
        let upstreams = |names: &[&str]| -> Upstreams {
            [(7, names.iter().map(|name| (*name).to_owned()).collect())].into()
        };
        assert_eq!(only_model(7, &upstreams(&["a"]), &models), Some("x"));
        assert_eq!(only_model(7, &upstreams(&["a", "b"]), &models), Some("x"));
        assert_eq!(only_model(7, &upstreams(&["a", "c"]), &models), None);
        assert_eq!(only_model(7, &upstreams(&["d"]), &models), None);
        assert_eq!(only_model(8, &upstreams(&["a"]), &models), None);
    }
}
