//! `gaugeway-agent envoy-config` on bootstraps as people have them: the real Envoy takes what it makes of them.

use gaugeway_tests::{build, real, scratch, workspace};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn the_real_envoy_takes_what_it_writes() {
    let Some(envoy) = real::envoy() else { return };
    let dir = scratch::dir("envoy_config_command");
    for (name, original) in bootstraps() {
        let file = dir.join(name);
        fs::write(&file, &original).unwrap();
        validate(&envoy, &file);

        let shown = command(&file, &[]);
        assert!(shown.status.success(), "{name}: {}", text(&shown.stderr));
        assert_eq!(fs::read_to_string(&file).unwrap(), original, "{name}: only shown");

        let written = command(&file, &["--access-log", "--write"]);
        assert!(written.status.success(), "{name}: {}", text(&written.stderr));
        assert!(text(&written.stdout).contains("\n+"), "{name}: {}", text(&written.stdout));
        validate(&envoy, &file);

        let again = command(&file, &["--access-log", "--write"]);
        assert_eq!(text(&again.stdout), "", "{name}: a second time changes nothing");

        let filters = loaded(&file).to_string().matches("extensions.filters.http.wasm").count();
        assert_eq!(filters, if name == "two-listeners.yaml" { 2 } else { 1 }, "{name}");

        let removed = removal(&file);
        assert!(removed.status.success(), "{name}: {}", text(&removed.stderr));
        assert_eq!(fs::read_to_string(&file).unwrap(), original, "{name}: as it was");
    }
}

#[test]
fn what_it_does_not_understand_is_left_alone() {
    let dir = scratch::dir("envoy_config_refused");
    let file = dir.join("envoy.yaml");
    fs::write(&file, "static_resources:\n  clusters: []\n").unwrap();
    let output = command(&file, &["--write"]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(said.contains("envoy.yaml: static_resources.listeners has no HTTP"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "static_resources:\n  clusters: []\n");

    let missing = command(&dir.join("none.yaml"), &[]);
    assert_eq!(missing.status.code(), Some(1));
}

fn bootstraps() -> Vec<(&'static str, String)> {
    let plain = plain();
    let listener =
        plain.split_once("  listeners:\n").unwrap().1.split_once("  clusters:\n").unwrap().0;
    let second = listener
        .replace("name: llm\n    address", "name: internal\n    address")
        .replace("10000", "10001");
    let own_stats = "stats_flush_interval: 10s\nstats_config:\n  stats_tags:\n  - tag_name: team # ours\n    regex: '^team\\.((.+?)\\.)'\n  histogram_bucket_settings:\n  - match: {prefix: http}\n    buckets: [1, 10, 100]\n\n";
    let json: Value = serde_saphyr::from_str(&plain).unwrap();
    vec![
        ("two-listeners.yaml", plain.replace("  clusters:\n", &format!("{second}  clusters:\n"))),
        ("http2.yaml", plain.replace("stat_prefix: llm\n", "stat_prefix: llm\n          codec_type: HTTP2\n          http2_protocol_options: {max_concurrent_streams: 100}\n")),
        ("own-stats.yaml", plain.replacen("static_resources:\n", &format!("{own_stats}static_resources:\n"), 1)),
        ("bootstrap.json", format!("{json:#}\n")),
        ("one-line.json", json.to_string()),
        ("plain.yaml", plain),
    ]
}

/// The example without what is Gaugeway's.
fn plain() -> String {
    let mut plain = fs::read_to_string(workspace().join("envoy/envoy.yaml")).unwrap();
    for fragment in ["stats", "access-log", "filter"] {
        let (open, close) = (
            format!("# >>> fragments/{fragment}.yaml\n"),
            format!("# <<< fragments/{fragment}.yaml\n"),
        );
        let (before, rest) = plain.split_once(&open).unwrap();
        let (_, after) = rest.split_once(&close).unwrap();
        plain = format!("{}{after}", before.trim_end_matches(' '));
    }
    plain.replace("          access_log:\n", "")
}

fn command(file: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(build::agent());
    command.args(["envoy-config", "--wasm"]).arg(build::filter()).arg(file).args(args);
    command.output().unwrap()
}

fn removal(file: &Path) -> Output {
    let mut command = Command::new(build::agent());
    command.args(["envoy-config", "--remove", "--write"]).arg(file);
    command.output().unwrap()
}

fn loaded(file: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn validate(envoy: &Path, file: &Path) {
    let mut command = Command::new(envoy);
    let output = command.args(["--mode", "validate", "--config-path"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
