//! What the fuzz targets call, one function each: bytes go in, and what must hold for all bytes is
//! asserted. The seeds in `fuzz/corpus/` are read by a plain test here as well.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::discovery::Clusters;
use crate::engines::EngineStats;
use crate::envoy::EnvoyStats;
use crate::exposition::samples;
use crate::price::{Instance, cloud};
use crate::render;

/// A page that Prometheus could read, or not: of any source, and through Envoy's reader on to our own page,
/// which is one that can be read whatever came in.
pub fn prometheus_text(page: &[u8]) {
    let lines = page.split(|byte| *byte == b'\n').count();
    assert!(samples(page).count() <= lines);
    assert!(samples(page).flatten().all(|sample| !sample.name.is_empty()));
    let _of_an_engine = EngineStats::read(page);
    let text = render::gateway_page(&EnvoyStats::read(page));
    let mut series = BTreeSet::new();
    assert!(samples(text.as_bytes()).all(|sample| sample.is_ok()), "{text}");
    for sample in samples(text.as_bytes()).flatten() {
        let known = sample.name.starts_with("gaugeway_") || sample.name.starts_with("gen_ai_");
        assert!(known, "{sample:?} in\n{text}");
        let names: BTreeSet<_> = sample.labels.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), sample.labels.len(), "a label twice: {sample:?}");
        let labels: BTreeSet<_> = sample.labels.iter().cloned().collect();
        assert!(series.insert((sample.name.clone(), labels)), "twice: {sample:?}");
    }
}

/// A configuration: what is refused is refused with a key and in one line.
pub fn agent_config(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Err(refusal) = Config::parse(text) {
        assert!(!refusal.key.is_empty(), "{refusal:?}");
        assert!(!refusal.reason.is_empty() && !refusal.reason.contains('\n'), "{refusal:?}");
    }
}

/// Answers of metadata services, each on a line of its own: what is taken for an instance has printable names.
pub fn cloud_metadata(answers: &[u8]) {
    let mut lines = answers.split(|byte| *byte == b'\n');
    let mut name = || cloud::name(lines.next().unwrap_or_default());
    let gcp = match (name(), name(), name()) {
        (Some(machine), Some(zone), Some(spot)) => cloud::of_gcp(machine, zone, spot),
        _ => None,
    };
    for Instance { instance_type, region, .. } in gcp.into_iter().chain(cloud::of_azure(answers)) {
        for name in [instance_type, region.unwrap_or_default()] {
            assert!(
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()),
                "{name:?}"
            );
        }
    }
}

/// Envoy's page of clusters.
pub fn envoy_clusters(page: &[u8]) {
    if let Ok(clusters) = Clusters::read(page) {
        assert!(clusters.0.keys().all(|at| at.ip() == at.ip().to_canonical()));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Each function and the folder of its seeds.
    type Target = (&'static str, fn(&[u8]));
    const TARGETS: &[Target] = &[
        ("prometheus_text", super::prometheus_text),
        ("agent_config", super::agent_config),
        ("cloud_metadata", super::cloud_metadata),
        ("envoy_clusters", super::envoy_clusters),
    ];

    #[test]
    fn every_seed_passes() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let seeds: Vec<_> = std::fs::read_dir(corpus.join(name))
                .unwrap_or_else(|error| panic!("no seeds for {name}: {error}"))
                .map(|seed| seed.unwrap().path())
                .collect();
            assert!(seeds.len() >= 3, "{name} has too few seeds");
            for seed in seeds {
                println!("{}", seed.display());
                target(&std::fs::read(&seed).unwrap());
            }
        }
    }
}
