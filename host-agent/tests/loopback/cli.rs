//! The program itself: exit codes, signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::Folder;

fn agent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gaugeway-agent"))
}

fn write(folder: &Folder, text: &str) -> PathBuf {
    let file = folder.0.join("agent.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn run(args: &[&str]) -> Output {
    agent().args(args).output().unwrap()
}

#[test]
fn a_bad_configuration_exits_64_with_one_line() {
    let folder = Folder::new("bad-config");
    let file = write(&folder, "[envoy]\nadmin = \"http://127.0.0.1:9901\"\nadmim = 1\n");
    let file = file.to_str().unwrap();
    for args in [&["--config", file][..], &["check", "--config", file]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(64));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(file) && said.contains("envoy.admim: unknown field"), "{said}");
    }
    let output = run(&["--config", "/nonexistent/agent.toml"]);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn check_accepts_the_example() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/gaugeway-agent.example.toml");
    let output = run(&["check", "--config", example]);
    assert!(output.status.success() && output.stderr.is_empty());
}

#[test]
fn help_names_every_page_and_exit_status() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for word in ["--config", "check", "/metrics", "/readyz", "/healthz", "/api/v1/summary", "64"] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
}

#[test]
fn serves_and_ends_on_a_signal() {
    let folder = Folder::new("signal");
    let file = write(
        &folder,
        "listen = \"127.0.0.1:0\"\n[envoy]\nadmin = \"http://127.0.0.1:1\"\n[nvml]\nenabled = false\n",
    );
    let mut child = agent().arg("--config").arg(file).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find_map(|line| line.ok().filter(|line| line.contains("serving"))).unwrap();
    let address = line.split("http://").nth(1).unwrap().trim_end_matches("/metrics");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let killed = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(child.wait().unwrap().success());
}
