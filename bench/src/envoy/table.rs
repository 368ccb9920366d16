//! The result as a table: medians, and what each way adds to no filter in the same round.

use super::config::Variant;
use super::load::Load;
use super::{Sample, Samples};
use crate::results::quantile;
use std::collections::BTreeMap;

/// Prints Markdown.
pub(crate) fn print(by_load: &BTreeMap<Load, Samples>) {
    for (load, samples) in by_load {
        println!("\n{}\n", load.name());
        println!("{}", markdown(*load, samples));
    }
}

fn markdown(load: Load, samples: &Samples) -> String {
    let unit = load.unit();
    let latency = if load == Load::Unary { "duration" } else { "TTFT" };
    let rate = if load == Load::Unary { " requests/s |" } else { "" };
    let mut text = format!(
        "| | CPU µs/{unit} | added, median (range) | added {latency} p50 µs | p99 µs |{rate} RSS MB |\n|---|---|---|---|---|{}---|\n",
        if rate.is_empty() { "" } else { "---|" }
    );
    let Some(base) = samples.get(&Variant::None) else { return text };
    for (variant, rounds) in samples {
        let added = |of: fn(&Sample) -> f64| -> Vec<f64> {
            sorted(rounds.iter().zip(base).map(|(with, without)| of(with) - of(without)))
        };
        let median = |of: fn(&Sample) -> f64| quantile(&sorted(rounds.iter().map(of)), 0.5);
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
            results::read::<BTreeMap<Load, Samples>>(&root.join("results"), "envoy").unwrap();
        let readme = std::fs::read_to_string(root.join("../README.md")).unwrap();
        assert!(readme.contains(&committed.date) && readme.contains("AMD EPYC, 2 cores"));
        for (load, samples) in &committed.result {
            let table = markdown(*load, samples);
            assert!(readme.contains(&table), "README.md lacks:\n{table}");
        }
    }
}
