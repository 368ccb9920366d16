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
    for word in [
        "--config",
        "check",
        "status",
        "/metrics",
        "/readyz",
        "/healthz",
        "/api/v1/summary",
        "/api/v1/series",
        "SIGHUP",
        "web.config.file",
        "--compat",
        "64",
    ] {
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

#[test]
fn a_hangup_reads_the_price_again_and_status_shows_it() {
    let folder = Folder::new("hangup");
    let config = |price: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\ntick = \"100ms\"\n[envoy]\nadmin = \"http://127.0.0.1:1\"\n\
             [nvml]\nenabled = false\n[price]\nusd_per_hour = {price}\n"
        )
    };
    let file = write(&folder, &config("2.0"));
    let mut child = agent().arg("--config").arg(&file).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("serving")).unwrap();
    let url = line.split_whitespace().last().unwrap().trim_end_matches("/metrics").to_owned();
    let hang_up = || {
        let signal = Command::new("kill").arg("-HUP").arg(child.id().to_string()).status();
        assert!(signal.unwrap().success());
    };
    // A file that is wrong changes nothing.
    write(&folder, &config("\"free\""));
    hang_up();
    let line = lines.find(|line| line.starts_with("error")).unwrap();
    assert!(line.contains("price.usd_per_hour") && line.contains("stays as it was"), "{line}");
    write(&folder, &config("7.5"));
    hang_up();
    lines.find(|line| line.contains("the price was read again")).unwrap();
    let status = loop {
        let output = run(&["status", "--url", &url]);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        if text.contains("7.5000") {
            break text;
        }
    };
    assert!(status.contains("SOURCE") && status.contains("Connection refused"), "{status}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn status_of_nobody_is_an_error() {
    let output = run(&["status", "--url", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("http://127.0.0.1:1: cannot connect")
    );
}
