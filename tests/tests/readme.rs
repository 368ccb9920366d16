//! README's table of stats is the catalogue.

use gaugeway_core::stat::Stat;
use gaugeway_tests::catalogue::kind_and_labels;

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
    let (kind, labels) = kind_and_labels(stat);
    format!("| `{}` | {kind} | {} | {} |", spec.name, labels, spec.help)
}
