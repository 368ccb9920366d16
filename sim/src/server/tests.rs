use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::*;
use crate::Mode;
use crate::served::ServedEnd;

fn start() -> Server {
    let models = vec![ModelProfile {
        name: "m".to_owned(),
        ttft_ms: 5.0,
        ttft_jitter_ms: 0.0,
        tokens_per_second: 1000.0,
        ..ModelProfile::default()
    }];
    Server::start(ServerConfig { models, ..ServerConfig::default() }).unwrap()
}

/// Sends one request as text and reads until the server closes.
fn raw(server: &Server, head: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(server.addr()).unwrap();
    let length = body.len();
    write!(
        socket,
        "{head}\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1\r\nx-sim-id: one\r\nx-sim-output: 3";

#[test]
fn models_and_health_are_answered_and_other_paths_are_not() {
    let server = start();
    let models = raw(&server, "GET /v1/models HTTP/1.1", "");
    assert!(models.contains(r#""data":[{"id":"m","object":"model""#), "{models}");
    assert!(raw(&server, "GET /health HTTP/1.1", "").starts_with("HTTP/1.1 200"));
    assert!(raw(&server, "POST /v1/dreams HTTP/1.1", "").starts_with("HTTP/1.1 404"));
    assert_eq!(server.truth(), []);
}

#[test]
fn an_answer_is_written_down_as_it_was_sent() {
    let server = start();
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"one two"}]}"#;
    let answer = raw(&server, CHAT, body);
    assert!(answer.contains("content-type: text/event-stream"), "{answer}");
    assert!(
        answer.contains(r#""usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}"#)
    );
    assert!(answer.contains("data: [DONE]"));
    let truth = server.shutdown();
    let [served] = truth.as_slice() else { panic!("{truth:?}") };
    assert_eq!(served.id, "one");
    assert_eq!(
        (served.mode, served.status, served.end),
        (Mode::Stream, Some(200), ServedEnd::Complete)
    );
    assert_eq!(
        (served.generated_events, served.output_tokens_sent, served.input_tokens),
        (3, 3, 2)
    );
    assert_eq!(served.usage_reported.unwrap().output, 3);
    let (first, last) = (served.first_event_us.unwrap(), served.last_event_us.unwrap());
    assert!(first >= 5_000 && last >= 6_500, "deadlines are absolute: {first} {last}");
}

#[test]
fn an_unknown_model_is_a_404_in_the_words_of_the_hosted_api() {
    let server = start();
    let answer = raw(&server, CHAT, r#"{"model":"nobody","messages":[]}"#);
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains(r#""code":"model_not_found""#));
    assert_eq!(server.shutdown()[0].end, ServedEnd::Error);
}

/// A gateway numbers its attempts; only the first one fails.
#[test]
fn a_second_attempt_is_answered() {
    let server = start();
    let attempt = |plan: &str, number: u8| {
        let head = format!("{CHAT}\r\nx-sim-plan: {plan}\r\nx-envoy-attempt-count: {number}");
        raw(&server, &head, r#"{"model":"m"}"#)
    };
    assert!(attempt("retry_once:503", 1).starts_with("HTTP/1.1 503"));
    assert!(attempt("retry_once:503", 2).starts_with("HTTP/1.1 200"));
    assert!(attempt("retry_once:reset", 2).starts_with("HTTP/1.1 200"));
    assert_eq!(server.shutdown().len(), 3);
}

#[test]
fn a_coding_is_named_and_an_unknown_one_refused() {
    let server = start();
    let head = format!("{CHAT}\r\nx-sim-coding: compress");
    let answer = raw(&server, &head, r#"{"model":"m"}"#);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("`compress` is none of"));
}

#[test]
fn a_wrong_plan_is_refused_and_said() {
    let server = start();
    let answer = raw(&server, &format!("{CHAT}\r\nx-sim-plan: dance"), r#"{"model":"m"}"#);
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("`dance` is no plan"),
        "{answer}"
    );
}

#[test]
fn a_stream_that_shutdown_interrupts_was_truncated_by_the_server() {
    let server = start();
    let body = r#"{"model":"m","stream":true}"#;
    let mut socket = TcpStream::connect(server.addr()).unwrap();
    let plan = "x-sim-plan: stall:1:60000";
    let length = body.len();
    write!(socket, "{CHAT}\r\nhost: sim\r\n{plan}\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    assert_ne!(socket.read(&mut [0; 64]).unwrap(), 0, "the head came");
    assert!(!server.settle(Duration::ZERO), "the stream is in progress");
    assert_eq!(server.shutdown()[0].end, ServedEnd::Truncated);
}

#[test]
fn only_the_last_requests_are_kept() {
    let server = Server::start(ServerConfig { truth_kept: 2, ..ServerConfig::default() }).unwrap();
    for id in ["a", "b", "c"] {
        let head =
            format!("POST /v1/chat/completions HTTP/1.1\r\nx-sim-id: {id}\r\nx-sim-plan: http:401");
        raw(&server, &head, r#"{"model":"gpt-4o-mini"}"#);
    }
    assert!(server.settle(Duration::from_secs(10)));
    assert_eq!(server.truth_dropped(), 1);
    let kept: Vec<_> = server.shutdown().into_iter().map(|served| served.id).collect();
    assert_eq!(kept, ["b", "c"]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_the_reason() {
    let twice = vec![ModelProfile::default(), ModelProfile::default()];
    let slow = vec![ModelProfile { tokens_per_second: -1.0, ..ModelProfile::default() }];
    for (models, reason) in
        [(vec![], "at least one model"), (twice, "there twice"), (slow, "tokens_per_second")]
    {
        let error = Server::start(ServerConfig { models, ..ServerConfig::default() }).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_thousand_streams_run_at_once() {
    let server = start();
    let body = r#"{"model":"m","stream":true}"#;
    let open = |_| {
        let mut socket = TcpStream::connect(server.addr()).unwrap();
        let length = body.len();
        let plan = "x-sim-plan: stall:1:600000";
        write!(socket, "{CHAT}\r\nhost: sim\r\n{plan}\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        socket
    };
    let mut sockets: Vec<_> = (0..1000).map(open).collect();
    for socket in &mut sockets {
        assert_ne!(socket.read(&mut [0; 64]).unwrap(), 0, "every stream began, none has ended");
    }
    assert_eq!(server.most_at_once(), 1000);
    drop(sockets);
    assert!(server.settle(Duration::from_secs(10)));
    assert!(server.shutdown().iter().all(|served| served.end == ServedEnd::ClientGone));
}

#[test]
fn a_models_file_is_read_and_a_wrong_key_is_named() {
    let dir = std::env::temp_dir().join(format!("gaugeway-sim-models-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("models.toml");
    std::fs::write(
        &path,
        "[[model]]\nname = \"tiny\"\nstyle = \"llamacpp\"\noutput_tokens = [1, 9]",
    )
    .unwrap();
    let models = ServerConfig::read_models(&path).unwrap();
    assert_eq!((models[0].name.as_str(), models[0].output_tokens), ("tiny", (1, 9)));
    std::fs::write(&path, "[[model]]\nname = \"tiny\"\nspeed = 3").unwrap();
    let error = ServerConfig::read_models(&path).unwrap_err().to_string();
    assert!(error.contains("models.toml") && error.contains("speed"), "{error}");
    std::fs::remove_dir_all(&dir).unwrap();
}
