//! The client against the server, nothing in between: what one says it saw is what the other says it did.

use super::*;
use crate::plan::Stage;
use crate::served::ServedEnd;
use crate::{ModelProfile, Server, ServerConfig, Truth};

/// Models of every catalogue style that answer within milliseconds.
fn quick_models() -> Vec<ModelProfile> {
    let quick = |profile: ModelProfile| ModelProfile {
        ttft_ms: 15.0,
        ttft_jitter_ms: 5.0,
        tokens_per_second: 400.0,
        ..profile
    };
    ModelProfile::catalogue().into_iter().map(quick).collect()
}

fn server() -> Server {
    Server::start(ServerConfig { models: quick_models(), ..ServerConfig::default() }).unwrap()
}

fn config(server: &Server, requests: u64, mix: &str) -> LoadConfig {
    let models = quick_models().into_iter().map(|model| model.name).collect();
    LoadConfig {
        concurrency: NonZeroU32::new(40).unwrap(),
        until: Until::Requests(requests),
        mix: mix.parse().unwrap(),
        ramp: Duration::from_millis(50),
        ..LoadConfig::new(format!("http://{}", server.addr()).parse().unwrap(), models)
    }
}

const EVERYTHING: &str = "ok=40,no_usage=5,abort=20,truncate=10,error_in_stream=10,http=10,stall=5,reset=5,out_of_memory=5";

#[test]
fn both_sides_agree_on_every_request() {
    let server = server();
    let config = LoadConfig {
        apis: Api::ALL.to_vec(),
        include_usage_share: 0.8,
        tool_share: 0.3,
        ..config(&server, 600, EVERYTHING)
    };
    let report = run(&config, |_| ()).unwrap();
    assert!(server.settle(Duration::from_secs(10)));
    let truth = Truth::by_model(&server.shutdown(), &report.observations);

    assert_eq!(truth.len(), 5);
    for (model, truth) in &truth {
        assert_eq!(truth.disputed, [], "{model}");
        for bounds in &truth.unreported {
            assert!(bounds.received <= bounds.sent, "{model} {bounds:?}");
        }
    }
    for seen in &report.observations {
        assert_eq!(seen.outcome, seen.plan.expected(), "{seen:?}");
        if let Some((class, phase)) = seen.plan.expected_error() {
            assert_eq!((seen.error_class, seen.phase), (Some(class), Some(phase)), "{seen:?}");
        }
    }
    let requests: u64 = report.models.iter().map(|model| model.requests).sum();
    assert_eq!(requests, 600);
}

/// A server that resets after its head, a client that leaves at any stage, any coding, both versions of HTTP.
#[test]
fn both_sides_agree_whatever_is_spoken_between_them() {
    const ENDS: &str = "ok=6,truncate=1,end_early:2=1,reset=1,reset_after_headers=1,reset_in_stream:3=1,abort=1,\
        abort:request=1,abort:head=1,abort:role=1,abort:finish=1,abort:done=1,http=1,error_in_stream=1";
    for (coding, http) in
        Coding::ALL.iter().flat_map(|coding| [(coding, Http::One), (coding, Http::Two)])
    {
        let server = server();
        let config = LoadConfig { http, coding: *coding, ..config(&server, 120, ENDS) };
        let report = run(&config, |_| ()).unwrap();
        assert!(server.settle(Duration::from_secs(5)), "no server waits for a client that left");
        let truth = Truth::by_model(&server.shutdown(), &report.observations);
        for (model, truth) in &truth {
            assert_eq!(truth.disputed, [], "{model} {coding} {http:?}");
        }
        for seen in &report.observations {
            assert_eq!(seen.outcome, seen.plan.expected(), "{coding} {http:?} {seen:?}");
        }
    }
}

#[test]
fn a_server_that_never_answers_by_plan_is_a_timeout_for_both() {
    let server = server();
    let config =
        LoadConfig { timeout: Duration::from_millis(100), ..config(&server, 4, "timeout=1") };
    let report = run(&config, |_| ()).unwrap();
    assert!(server.settle(Duration::from_secs(5)));
    let truth = Truth::by_model(&server.shutdown(), &report.observations);
    assert!(truth.values().all(|truth| truth.disputed.is_empty()), "{truth:?}");
    assert!(report.observations.iter().all(|seen| seen.error_class == Some(ErrorClass::Timeout)));
}

#[test]
fn every_event_that_was_sent_is_seen() {
    let server = server();
    let config = LoadConfig {
        stream_share: 1.0,
        ..config(&server, 200, "ok=3,truncate=1,error_in_stream=1")
    };
    let report = run(&config, |_| ()).unwrap();
    assert!(server.settle(Duration::from_secs(10)));
    let served = server.shutdown();
    for seen in &report.observations {
        let served = served.iter().find(|served| served.id == seen.id).unwrap();
        assert_eq!(seen.generated_events, served.generated_events, "{seen:?} {served:?}");
        assert_eq!(seen.usage, served.usage_reported, "{seen:?}");
        if let (Some(seen), Some(served)) = (seen.ttft_us, served.first_event_us) {
            assert!(seen >= served, "seen after {seen} us, sent after {served} us");
        }
    }
}

#[test]
fn a_client_that_leaves_is_seen_leaving() {
    let server = server();
    let report = run(&config(&server, 60, "abort=1"), |_| ()).unwrap();
    assert!(
        server.settle(Duration::from_secs(10)),
        "the server notices long before its grace ends"
    );
    for served in server.shutdown() {
        assert_eq!(served.end, ServedEnd::ClientGone, "{served:?}");
        assert_eq!(served.usage_reported, None);
    }
    for seen in report.observations {
        let Plan::Abort(Stage::Events(after)) = seen.plan else { panic!("{seen:?}") };
        assert!(seen.generated_events >= u64::from(after), "{seen:?}");
    }
}

#[test]
fn a_thousand_users_are_served() {
    let server = server();
    let config = LoadConfig {
        concurrency: NonZeroU32::new(1000).unwrap(),
        output_tokens: 8..=12,
        stream_share: 1.0,
        ..config(&server, 1000, "stall:1:1000=1")
    };
    let report = run(&config, |_| ()).unwrap();
    let complete = report.observations.iter().filter(|seen| seen.outcome == Outcome::Success);
    assert_eq!(complete.count(), 1000);
    assert!(server.most_at_once() > 100, "{}", server.most_at_once());
}

#[test]
fn a_seed_asks_the_same_questions_whatever_the_times() {
    let ask = |concurrency| {
        let server = server();
        let config = LoadConfig {
            concurrency: NonZeroU32::new(concurrency).unwrap(),
            ..config(&server, 60, "ok=8,http=2")
        };
        let mut seen = run(&config, |_| ()).unwrap().observations;
        seen.sort_by(|a, b| a.id.cmp(&b.id));
        let facts = |seen: Observation| (seen.id, seen.model, seen.plan, seen.usage, seen.outcome);
        seen.into_iter().map(facts).collect::<Vec<_>>()
    };
    assert_eq!(ask(3), ask(20));
}

#[test]
fn a_server_that_is_not_there_is_a_connect_failure() {
    let server = server();
    let config = LoadConfig { concurrency: NonZeroU32::MIN, ..config(&server, 1, "ok=1") };
    drop(server);
    let report = run(&config, |_| ()).unwrap();
    assert_eq!(report.observations[0].error_class, Some(ErrorClass::ConnectFailure));
    assert_eq!(report.observations[0].status, None);
}

#[test]
fn a_server_that_never_answers_is_a_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let config = LoadConfig {
        until: Until::Requests(1),
        timeout: Duration::from_millis(50),
        ..LoadConfig::new(url, vec!["m".to_owned()])
    };
    let report = run(&config, |_| ()).unwrap();
    assert_eq!(report.observations[0].error_class, Some(ErrorClass::Timeout));
    assert_eq!(report.observations[0].phase, Some(Phase::BeforeStream));
}

#[test]
fn a_real_server_is_sent_no_orders() {
    let server = server();
    let real = |mix| LoadConfig { sim: false, ..config(&server, 20, mix) };
    let report = run(&real("ok=1,abort=1"), |_| ()).unwrap();
    assert_eq!(report.observations.len(), 20);
    assert!(server.settle(Duration::from_secs(10)));
    assert!(server.truth().iter().all(|served| served.id.starts_with("anonymous-")));
    assert!(matches!(run(&real("ok=1,truncate=1"), |_| ()), Err(LoadError::Config(_))));
}

#[test]
fn a_base_url_is_taken_as_clients_write_it() {
    for (text, host, port, prefix) in [
        ("http://localhost:8000", "localhost", 8000, ""),
        ("http://localhost:8000/v1/", "localhost", 8000, ""),
        ("http://gateway/llm/v1", "gateway", 80, "/llm"),
        ("http://[::1]:9", "::1", 9, ""),
    ] {
        let url = Url { host: host.to_owned(), port, prefix: prefix.to_owned() };
        assert_eq!(text.parse(), Ok(url), "{text}");
    }
    for text in ["https://api.example.com", "localhost:8000", "http://"] {
        assert!(text.parse::<Url>().is_err(), "{text}");
    }
}
