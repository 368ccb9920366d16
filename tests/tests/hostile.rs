//! Sources that are slow, huge, endless, that lead elsewhere or talk nonsense: the page stays up, they are down, and
//! the agent's memory stays what it was.

use gaugeway_tests::agent::{Agent, Launch};
use gaugeway_tests::hostile::{Answer, Hostile};
use gaugeway_tests::page::Page;
use gaugeway_tests::{http, scratch, wait_for};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// A slow source costs the deadline of five seconds, twice.
const PATIENCE: Duration = Duration::from_secs(40);
/// A page may have this many bytes; this one has almost as many, each in a series that is kept.
const MOST: usize = 16 * 1024 * 1024;
/// What the shipped systemd unit allows.
const MOST_KIB: u64 = 256 * 1024;

#[test]
fn the_page_stays_up_and_memory_flat() {
    let dir = scratch::dir("hostile");
    let servers = [0; 3].map(|_| Hostile::start(Answer::Raw(b"")));
    let [envoy, engines @ ..] = &servers;
    let mut config = format!(
        "[envoy]\nadmin = \"http://{}\"\n[nvml]\nenabled = false\n[price]\nusd_per_hour = 1.0\n",
        envoy.address()
    );
    for (place, engine) in engines.iter().enumerate() {
        config += &format!(
            "[[engines]]\nname = \"e{place}\"\nurl = \"http://{}/metrics\"\nupstream = \"u\"\n",
            engine.address()
        );
    }
    let agent = Launch { tick: Duration::from_millis(200), ..Launch::new(&config) }.start(&dir);

    for (name, answers) in slow() {
        is_down(name, answers, &servers, &agent);
    }
    for (name, answer) in quick() {
        is_down(name, [0; 3].map(|_| answer.clone()), &servers, &agent);
    }
    let before = (memory(&agent, "VmRSS"), memory(&agent, "VmHWM"));
    for (name, answer) in [quick(), quick(), quick()].into_iter().flatten() {
        is_down(name, [0; 3].map(|_| answer.clone()), &servers, &agent);
    }
    let after = (memory(&agent, "VmRSS"), memory(&agent, "VmHWM"));
    println!("resident and most ever, in KiB: {before:?}, after three more rounds {after:?}");
    assert!(after.0 < before.0 + 8 * 1024, "{before:?} {after:?}");

    labels_stay_labels(&servers, &agent);
    let most = memory(&agent, "VmHWM");
    println!("with as many series as there may be: {most} KiB");
    assert!(most < MOST_KIB, "{most} KiB");
}

/// What only the deadline ends, side by side, because each costs it.
fn slow() -> Vec<(&'static str, [Answer; 3])> {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = || Answer::Endless(CHUNKED, "1\r\nx\r\n");
    let head = Answer::Endless("HTTP/1.1 200 OK\r\n", "x: y\r\n");
    vec![
        (
            "silence, a byte now and then, endless chunks",
            [Answer::Silence, Answer::Dribble, chunks()],
        ),
        ("endless chunks, silence, an endless head", [chunks(), Answer::Silence, head]),
    ]
}

fn quick() -> Vec<(&'static str, Answer)> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\n\r\n";
    const SAID_LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    const MOVED: &[u8] =
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    vec![
        ("an endless line", Answer::Endless(HEAD, "x")),
        ("an endless body of a said length", Answer::Endless(SAID_LENGTH, "x")),
        ("endless series", Answer::EndlessSeries),
        ("somewhere else", Answer::Raw(MOVED)),
        ("an error", Answer::Raw(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n")),
        ("no HTTP", Answer::Raw(b"\xff\xfe\x00garbage\r\n\r\n")),
        ("half an answer", Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")),
        ("nothing", Answer::Raw(b"")),
    ]
}

/// Each server has answered like this, twice, and the page has all of them down and none of their figures.
fn is_down(name: &str, answers: [Answer; 3], servers: &[Hostile; 3], agent: &Agent) {
    servers.iter().zip(answers).for_each(|(server, answer)| server.answer(answer));
    let page = wait_for(name, PATIENCE, || {
        let asked = servers.iter().map(Hostile::requests).min();
        // The page is there all the while.
        let page = agent.page();
        // The tick that asks for the third time comes after one that had nothing else.
        if asked >= Some(3) { Ok(page) } else { Err(format!("asked {asked:?} times")) }
    });
    for source in ["envoy", "engine:e0", "engine:e1"] {
        let up = page.sum("gaugeway_source_up", &[("source", source)]);
        assert_eq!(up, Some(0.0), "{name}: {source}");
    }
    let foreign = |name: &str| name.starts_with("gaugeway_engine_") || name.starts_with("gen_ai_");
    let seen: Vec<_> = page.samples.iter().filter(|sample| foreign(&sample.name)).collect();
    assert!(seen.is_empty(), "{name}: {seen:?}");
    assert!(agent.summary().is_object());
}

/// Values that want to be lines, labels or markup; and as many series as a page can have.
fn labels_stay_labels(servers: &[Hostile; 3], agent: &Agent) {
    let model = r#"m\"} 1\nevil_total{x=\"\\"#;
    let wanted = "m\"} 1\nevil_total{x=\"\\";
    let series = |model: &str| {
        format!(
            "gaugeway_output_tokens_total{{model=\"{model}\",upstream=\"u\",tenant=\"<script>\",\
             source=\"reported\",outcome=\"success\"}} 7\nvllm:generation_tokens_total{{m=\"{model}\"}} 7\n"
        )
    };
    let mut page = series(model);
    for place in 0.. {
        let more = series(&format!("m{place}"));
        if page.len() + more.len() > MOST {
            break;
        }
        page += &more;
    }
    let page: Arc<[u8]> = page.into_bytes().into();
    servers.iter().for_each(|server| server.answer(Answer::Page(Arc::clone(&page))));
    let page: Page = wait_for("a page of labels", PATIENCE, || {
        let page = agent.page();
        match page.sum("gaugeway_source_up", &[("source", "envoy")]) {
            Some(1.0) => Ok(page),
            _ => Err(http::get_ok(&format!("http://{}/metrics", agent.address()))?),
        }
    });
    let seen = page.find("gen_ai_client_inference_usage_output_tokens_total", &[]);
    assert!(seen.into_iter().any(|sample| sample.label("gen_ai_request_model") == wanted));
    assert!(!page.samples.iter().any(|sample| sample.name.starts_with("evil")));
    println!("{} samples on the page", page.samples.len());
}

/// A figure of the kernel's, in KiB.
fn memory(agent: &Agent, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
