//! The program, as a user calls it.

use crate::guests::wasm;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Counts body bytes and callbacks, records the time of the log phase, and keeps the content type. The
/// number of callbacks depends on the cuts and is a stat only when the configuration is `c`.
const COUNTS: &str = r#"
  (global $counts (mut i32) (i32.const 0))
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $define (i32.const 0) «side=.=up;.;bytes» (i32.const 0)))
    (drop (call $define (i32.const 2) «ended_ms» (i32.const 0)))
    (global.set $counts (i32.eq (local.get 1) (i32.const 1)))
    (if (global.get $counts)
      (then (drop (call $define (i32.const 0) «callbacks» (i32.const 0)))))
    (if (i32.gt_u (local.get 1) (i32.const 1))
      (then (drop (call $log (i32.const 4) «the configuration is too long»))))
    (i32.le_u (local.get 1) (i32.const 1)))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $get_header (i32.const 2) «content-type» (i32.const 0) (i32.const 4)))
    (drop (call $set_property «my.type» (i32.load (i32.const 0)) (i32.load (i32.const 4))))
    (i32.const 0))
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (drop (call $record (i32.const 4) (i64.extend_i32_u (local.get 1))))
    (if (global.get $counts) (then (drop (call $increment (i32.const 8) (i64.const 1)))))
    (i32.const 0))
  (func (export "proxy_on_log") (param i32)
    (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 16)))
    (drop (call $record (i32.const 6)
      (i64.sub (i64.div_u (i64.load (i32.const 16)) (i64.const 1000000)) (i64.const 3600000)))))"#;

/// A folder of its own for each test, with the guest and one exchange.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("guest.wasm"), wasm(COUNTS)).unwrap();
    fs::write(folder.join("hello.body"), "data: hi\n\n").unwrap();
    let sidecar = r#"{"request_path": "/v1", "request_body": {"b": 1}, "status": 200, "expected": {},
        "content_type": "text/event-stream", "content_encoding": null, "response_headers": {},
        "body_file": "hello.body", "chunks": [[30, 4], [250, 6]]}"#;
    fs::write(folder.join("hello.json"), sidecar).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gaugeway-harness"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn a_replay_says_what_the_module_made_of_an_exchange() {
    let folder = folder("replay");
    let output = run(&folder, &["replay", "--wasm", "guest.wasm", "hello.json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line = stdout(&output);
    assert_eq!(line["name"], "hello");
    assert_eq!(line["filter_state"], serde_json::json!({"my.type": "text/event-stream"}));
    let stats = serde_json::json!([
        {"name": "bytes", "labels": {"side": "up"}, "type": "counter", "value": 10},
        {"name": "ended_ms", "labels": {}, "type": "histogram", "values": [270]},
    ]);
    assert_eq!(line["stats"], stats);
    assert_eq!(line["passthrough"], true);
    assert_eq!(line["memory_bytes"], 131_072);
    assert!(line["fuel"].as_u64().unwrap() > 0);
    assert!(line.get("splits").is_none());
}

#[test]
fn a_module_that_only_counts_bytes_is_the_same_at_every_cut() {
    let folder = folder("cuts");
    let whole = stdout(&run(&folder, &["replay", "--wasm", "guest.wasm", "hello.json"]));
    for split in ["bytes", "random:1", "random:2"] {
        let arguments = ["replay", "--wasm", "guest.wasm", "--split", split, "hello.json"];
        let line = stdout(&run(&folder, &arguments));
        assert_eq!(
            (&line["stats"], &line["filter_state"]),
            (&whole["stats"], &whole["filter_state"])
        );
    }
    let every = run(&folder, &["replay", "--wasm", "guest.wasm", "--split", "every", "hello.json"]);
    assert_eq!(every.status.code(), Some(0));
    let every = stdout(&every);
    assert_eq!((&every["splits"], &every["splits_differ"]), (&9.into(), &serde_json::json!([])));
}

#[test]
fn a_module_that_counts_callbacks_is_caught_at_the_cuts_that_show_it() {
    let folder = folder("caught");
    fs::write(folder.join("config"), "c").unwrap();
    let arguments =
        ["replay", "--wasm", "guest.wasm", "--config", "config", "--split", "every", "hello.json"];
    let output = run(&folder, &arguments);
    assert_eq!(output.status.code(), Some(1));
    let differ = stdout(&output)["splits_differ"].clone();
    assert_eq!(differ, serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8, 9]));
}

#[test]
fn a_configuration_is_accepted_or_refused_with_the_reason() {
    let folder = folder("check");
    fs::write(folder.join("good"), "c").unwrap();
    fs::write(folder.join("bad"), "ccc").unwrap();
    let good = run(&folder, &["check", "--wasm", "guest.wasm", "good"]);
    assert_eq!((good.status.code(), good.stdout.as_slice()), (Some(0), &b"ok\n"[..]));
    let bad = run(&folder, &["check", "--wasm", "guest.wasm", "bad"]);
    assert_eq!((bad.status.code(), bad.stdout.as_slice()), (Some(1), &b""[..]));
    let said = String::from_utf8(bad.stderr).unwrap();
    assert!(said.contains("error: the configuration is too long"), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder("unreadable");
    fs::write(folder.join("short.json"), r#"{"request_path": "/"}"#).unwrap();
    for (arguments, named) in [
        (&["replay", "--wasm", "none.wasm", "hello.json"][..], "none.wasm"),
        (&["replay", "--wasm", "guest.wasm", "none.json"], "none.json"),
        (&["replay", "--wasm", "guest.wasm", "short.json"], "request_body"),
        (&["replay", "--wasm", "guest.wasm", "--config", "none", "hello.json"], "none"),
        (&["check", "--wasm", "guest.wasm", "none"], "none"),
        (&["inspect", "none.wasm"], "none.wasm"),
    ] {
        let output = run(&folder, arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(named) || said.contains("status"), "{arguments:?}: {said}");
    }
}

#[test]
fn an_inspection_marks_what_envoy_does_not_offer() {
    let folder = folder("inspect");
    let good = run(&folder, &["inspect", "guest.wasm"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(said.contains("env.proxy_log\n") && said.contains("0_2_1"), "{said}");
    let strange = r#"(module (import "env" "odd" (func)) (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) (i32.const 8)))"#;
    fs::write(folder.join("strange.wasm"), wat::parse_str(strange).unwrap()).unwrap();
    let output = run(&folder, &["inspect", "strange.wasm"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("env.odd   <- Envoy does not offer this"), "{said}");
}

#[test]
fn help_has_examples_and_exit_statuses() {
    let folder = folder("help");
    for command in ["replay", "check", "inspect"] {
        let help = String::from_utf8(run(&folder, &[command, "--help"]).stdout).unwrap();
        assert!(help.contains("Example") && help.contains("Exit status"), "{help}");
    }
}
