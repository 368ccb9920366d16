//! README's table of stats is the catalogue.

use gaugeway_core::stat::{Kind, Label, Stat};

#[test]
fn the_table_of_stats_is_the_catalogue() {
    let readme =
        std::fs::read_to_string(gaugeway_tests::workspace().join("README.md")).expect("README");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `gaugeway_")).collect();
    let expected: Vec<String> = Stat::ALL.iter().map(|stat| row(*stat)).collect();
    assert_eq!(rows, expected);
}

fn row(stat: Stat) -> String {
    let spec = stat.spec();
    let kind = match spec.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let tenant = spec.tenant.then_some(Label::Tenant);
    let labels =
        spec.scope.labels().iter().copied().chain(tenant).chain(spec.extra.iter().copied());
    let labels: Vec<&str> = labels.map(Label::name).collect();
    format!("| `{}` | {kind} | {} | {} |", spec.name, labels.join(", "), spec.help)
}
