//! The result as a table: medians, and what each way adds to no filter in the same round.

use super::config::Variant;
use super::load::Load;
use super::{Group, Sample};
use crate::results::quantile;
use std::collections::{BTreeMap, BTreeSet};

/// Prints Markdown.
pub(crate) fn print(by_load: &BTreeMap<Load, Vec<Group>>) {
    for (load, groups) in by_load {
        println!("\n{}:\n", load.name());
        println!("{}", markdown(*load, groups));
    }
}

fn markdown(load: Load, groups: &[Group]) -> String {
    let unit = load.unit();
    let latency = if load == Load::Unary { "duration" } else { "TTFT" };
    let rate = if load == Load::Unary { " requests/s |" } else { "" };
    let mut text = format!(
        "| | CPU µs/{unit} | added, median (range) | added {latency} p50 µs | p99 µs |{rate} RSS MB |\n|---|---|---|---|---|{}---|\n",
        if rate.is_empty() { "" } else { "---|" }
    );
    let variants: BTreeSet<Variant> = groups.iter().flat_map(BTreeMap::keys).copied().collect();
    for variant in variants {
        // Each with what ran without a filter at the same time.
        let pairs: Vec<_> =
            groups.iter().filter_map(|it| it.get(&variant).zip(it.get(&Variant::None))).collect();
        let added = |of: fn(&Sample) -> f64| -> Vec<f64> {
            sorted(pairs.iter().map(|(with, without)| of(with) - of(without)))
        };
        let median =
            |of: fn(&Sample) -> f64| quantile(&sorted(pairs.iter().map(|(with, _)| of(with))), 0.5);
        let cpu = added(|sample| sample.cpu_us);
        let cell = |values: &[f64]| match variant {
            Variant::None => "-".to_owned(),
            _ => format!("{:+.0}", quantile(values, 0.5)),
        };
        let processor = median(|sample| sample.processor_us);
        let outside =
            if processor > 0.0 { format!(", and {processor:.1} outside") } else { String::new() };
        let of_cpu = match variant {
            Variant::None => "-".to_owned(),
            _ => format!(
                "{:+.2} ({:+.2} to {:+.2}){outside}",
                quantile(&cpu, 0.5),
                quantile(&cpu, 0.0),
                quantile(&cpu, 1.0)
            ),
        };
        let rate = if rate.is_empty() {
            String::new()
        } else {
            format!(" {:.0} |", median(|sample| sample.requests_per_second))
        };
        text += &format!(
            "| {} | {:.2} | {of_cpu} | {} | {} |{rate} {:.0} |\n",
            variant.name(),
            median(|sample| sample.cpu_us),
            cell(&added(|sample| sample.p50_us)),
            cell(&added(|sample| sample.p99_us)),
            median(|sample| sample.rss_mb),
        );
    }
    text
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results;
    use std::path::Path;

    #[test]
    fn readme_shows_the_committed_results() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let committed =
            results::read::<BTreeMap<Load, Vec<Group>>>(&root.join("results"), "envoy").unwrap();
        let readme = std::fs::read_to_string(root.join("../README.md")).unwrap();
        assert!(readme.contains(&committed.date) && readme.contains("AMD EPYC, 2 cores"));
        for (load, groups) in &committed.result {
            let table = markdown(*load, groups);
            assert!(readme.contains(&table), "README.md lacks:\n{table}");
        }
    }
}
