//! The rules and alerts that users are given, held to what promtool and amtool say, and to their unit tests.

use gaugeway_tests::queries::metrics;
use gaugeway_tests::rules::{self, Kind, Rule};
use gaugeway_tests::{real, workspace};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn promtool_accepts_all_rules_and_their_unit_tests_pass() {
    let Some(promtool) = real::promtool() else { return };
    run(&promtool, &["check", "rules"], &rules::files());
    run(&promtool, &["check", "config"], &[rules::folder().join("prometheus.yml")]);
    run(&promtool, &["test", "rules"], &rules::test_files());
}

#[test]
fn amtool_accepts_the_example() {
    let Some((_, amtool)) = real::alertmanager() else { return };
    run(
        &amtool,
        &["check-config"],
        &[workspace().join("monitoring/alertmanager/alertmanager.yml")],
    );
}

/// One that must fire and one that must not for each alert; a value for each series.
#[test]
fn every_rule_has_unit_tests() {
    let mut asked = BTreeMap::<String, BTreeSet<bool>>::new();
    for question in rules::test_files().iter().flat_map(|file| questions(&rules::yaml(file))) {
        let expression = question["expr"].as_str().expect("a question has an expression");
        let answered = !question["exp_samples"].as_array().expect("and an answer").is_empty();
        let alert = expression.split_once("alertname=\"").map(|(_, rest)| rest);
        let alert = alert.and_then(|rest| rest.split('"').next()).map(str::to_owned);
        for name in alert.into_iter().chain(metrics(expression)) {
            asked.entry(name).or_default().insert(answered);
        }
    }
    for rule in rules::all().iter().filter(|rule| !rule.is_threshold()) {
        let answers = asked.get(&rule.name).cloned().unwrap_or_default();
        let wanted: &[bool] = if rule.kind == Kind::Alert { &[true, false] } else { &[true] };
        for answered in wanted {
            assert!(
                answers.contains(answered),
                "{}: no unit test with answer: {answered}",
                rule.name
            );
        }
    }
}

#[test]
fn every_threshold_is_used_and_every_one_that_is_used_is_there() {
    let all = rules::all();
    let recorded: BTreeSet<&str> = all
        .iter()
        .filter(|rule| rule.kind == Kind::Recording)
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(recorded.len(), all.iter().filter(|rule| rule.kind == Kind::Recording).count());
    let used: BTreeSet<String> = all.iter().flat_map(|rule| metrics(&rule.expression)).collect();
    for name in used.iter().filter(|name| name.contains(':')) {
        assert!(recorded.contains(name.as_str()), "nothing records {name}");
    }
    for rule in all.iter().filter(|rule| rule.is_threshold()) {
        assert!(used.contains(&rule.name), "no alert uses {}", rule.name);
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for Rule { name, yaml, .. } in rules::all().iter().filter(|rule| rule.kind == Kind::Alert) {
        let severity = yaml["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{name}: severity {severity:?}");
        for text in ["summary", "description", "look_at", "action"] {
            let text = yaml["annotations"][text].as_str().unwrap_or_default();
            assert!(text.len() > 20, "{name}: {text:?}");
        }
    }
}

fn questions(file: &Value) -> Vec<Value> {
    let tests = file["tests"].as_array().expect("a file of unit tests has tests");
    let of = |test: &Value| test["promql_expr_test"].as_array().cloned().unwrap_or_default();
    tests.iter().flat_map(of).collect()
}

fn run(program: &Path, command: &[&str], files: &[PathBuf]) {
    let files = files.iter().map(|file| file.as_os_str());
    let args: Vec<&OsStr> = command.iter().map(OsStr::new).chain(files).collect();
    let output = Command::new(program).args(&args).output().expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program:?} {command:?}: {}", String::from_utf8_lossy(&said));
}
