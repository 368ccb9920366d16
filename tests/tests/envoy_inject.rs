//! The opt-in `usage.request: "inject"` in the real Envoy: every server reports usage, and the client that did not
//! ask for it gets a stream that does not show it.

use gaugeway_sim::load::{self, Http, LoadConfig, Until};
use gaugeway_sim::wire::Api;
use gaugeway_sim::{Coding, ModelProfile, Observation, Outcome, Served, Server, ServerConfig};
use gaugeway_tests::envoy::Envoy;
use gaugeway_tests::{gateway, real, scratch, wait_for};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const INJECT: &str = r#"{"usage": {"request": "inject"}}"#;
const REQUESTS: u64 = 24;

/// A server of every style, and the gateway before it.
fn start(name: &str) -> Option<(Server, Envoy)> {
    let binary = real::envoy()?;
    let quick = |model| ModelProfile { ttft_ms: 40.0, tokens_per_second: 400.0, ..model };
    let models = ModelProfile::catalogue().into_iter().map(quick).collect();
    let server = Server::start(ServerConfig { models, ..ServerConfig::default() }).unwrap();
    let config = gateway::config(server.addr()).filter(INJECT);
    let envoy = Envoy::start(&binary, &scratch::dir(name), config).unwrap();
    Some((server, envoy))
}

/// How a load is asked and what its clients may see.
#[derive(Clone, Copy, Debug)]
struct Way {
    client: Http,
    route: &'static str,
    coding: Coding,
    /// The share of requests that are streams, and of those that ask for usage.
    streams: f64,
    asking: f64,
    sees_usage: bool,
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for (client, route) in
        [(Http::One, "h1"), (Http::One, "h2"), (Http::Two, "h1"), (Http::Two, "h2")]
    {
        let silent = Way {
            client,
            route,
            coding: Coding::Identity,
            streams: 1.0,
            asking: 0.0,
            sees_usage: false,
        };
        ways.extend([
            silent,
            Way { asking: 1.0, sees_usage: true, ..silent },
            Way { streams: 0.0, sees_usage: true, ..silent },
            // Of a coded stream nothing can be taken out.
            Way { coding: Coding::Gzip, sees_usage: true, ..silent },
        ]);
    }
    ways
}

#[test]
fn usage_is_reported_and_shown_to_those_who_asked() {
    let Some((server, envoy)) = start("envoy_inject") else { return };
    let asked: Vec<(Way, Vec<Observation>)> =
        ways().into_iter().zip(1..).map(|(way, seed)| (way, ask(&envoy, way, seed))).collect();
    assert!(server.settle(Duration::from_secs(10)));
    let served: BTreeMap<String, Served> =
        server.shutdown().into_iter().map(|served| (served.id.clone(), served)).collect();

    let mut tokens = 0;
    for (way, observation) in asked.iter().flat_map(|(way, all)| all.iter().map(move |o| (way, o)))
    {
        let served = &served[&observation.id];
        let reported = served.usage_reported.unwrap_or_else(|| panic!("{way:?}: {served:?}"));
        tokens += reported.output;
        assert_eq!(observation.outcome, Outcome::Success, "{way:?}: {observation:?}");
        assert_eq!(
            observation.generated_events, served.generated_events,
            "{way:?}: {observation:?}"
        );
        let seen = way.sees_usage.then_some(reported);
        assert_eq!(observation.usage, seen, "{way:?}: {observation:?}");
    }
    let labels = [("outcome", "success"), ("source", "reported")];
    wait_for("every token to be counted", Duration::from_secs(10), || {
        let counted = envoy.stats().sum("gaugeway_output_tokens_total", &labels);
        if counted == Some(tokens as f64) {
            Ok(())
        } else {
            Err(format!("{counted:?}, not {tokens}"))
        }
    });
    let stats = envoy.stats();
    assert_eq!(stats.sum("gaugeway_output_tokens_total", &[]), Some(tokens as f64));
    assert_eq!(stats.sum("gaugeway_usage_missing_total", &[]), None);
}

fn ask(envoy: &Envoy, way: Way, seed: u64) -> Vec<Observation> {
    let url = format!("http://{}/{}", envoy.listener(), way.route).parse().unwrap();
    let models = ModelProfile::catalogue().into_iter().map(|model| model.name).collect();
    let config = LoadConfig {
        until: Until::Requests(REQUESTS),
        seed,
        apis: vec![Api::Chat, Api::Completions],
        stream_share: way.streams,
        include_usage_share: way.asking,
        http: way.client,
        coding: way.coding,
        ramp: Duration::ZERO,
        ..LoadConfig::new(url, models)
    };
    load::run(&config, |_| ()).unwrap().observations
}

/// A request in pieces, which the filter must neither hold nor tear, and one that says what it does not want.
#[test]
fn a_chunked_request_is_asked_too_and_a_refusal_is_respected() {
    let Some((server, envoy)) = start("envoy_inject_raw") else { return };
    let plain =
        r#"{"model":"llama-3.1-8b","messages":[{"role":"user","content":"a } b"}],"stream":true}"#;
    let refusing =
        r#"{"stream_options":{"include_usage":false},"model":"llama-3.1-8b","stream":true}"#;
    for size in [1, 7, 1000] {
        for (body, reports) in [(plain, true), (refusing, false)] {
            let id = format!("{size}-{reports}");
            let answer = chunked(envoy.listener(), &id, body, size);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.contains("data: [DONE]\n\n"), "{answer}");
            assert!(answer.ends_with("\r\n0\r\n\r\n"), "the body ends as it must: {answer}");
            assert!(!answer.contains("total_tokens"), "{answer}");
            assert!(server.settle(Duration::from_secs(10)));
            let served = server.truth().into_iter().find(|served| served.id == id).unwrap();
            assert_eq!(served.usage_reported.is_some(), reports, "{served:?}");
        }
    }
}

/// Sends a body in chunks of `size` bytes, each in a write of its own, and reads until the gateway closes.
fn chunked(gateway: SocketAddr, id: &str, body: &str, size: usize) -> String {
    let mut socket = TcpStream::connect(gateway).unwrap();
    socket.set_nodelay(true).unwrap();
    write!(
        socket,
        "POST /h1/v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\nx-sim-id: {id}\r\n\
         x-sim-output: 4\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .unwrap();
    for piece in body.as_bytes().chunks(size) {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend([piece, b"\r\n"].concat());
        socket.write_all(&chunk).unwrap();
    }
    socket.write_all(b"0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}
