//! The Envoy source against admin listeners that behave and that do not.

use gaugeway_agent::envoy::collect;
use gaugeway_agent::http::{Address, FetchError};

use super::Folder;
use super::fake_envoy::{Answer, FakeEnvoy};

#[tokio::test]
async fn one_read_only_request_for_what_is_needed() {
    let mut envoy = FakeEnvoy::tcp(Answer::page("gaugeway_streams_seen_total{} 5\n")).await;
    let stats = collect(&envoy.address).await.unwrap();
    assert_eq!(stats.series.len(), 1);
    let request = envoy.request().await;
    let path = request.split(' ').nth(1).unwrap();
    assert!(request.starts_with("GET /stats/prometheus?usedonly&filter="), "{request}");
    assert!(request.contains("host: localhost\r\n"), "{request}");
    let filter = percent_decoded(path.split_once("filter=").unwrap().1);
    assert_eq!(
        filter,
        r"^(wasmcustom\.|http\..*\.downstream_rq_completed$|cluster\..*\.upstream_rq_active$|server\.uptime$)"
    );
}

#[tokio::test]
async fn over_a_unix_socket() {
    let folder = Folder::new("unix");
    let socket = folder.0.join("admin.sock");
    let envoy = FakeEnvoy::unix(&socket, Answer::page("envoy_server_uptime{} 7\n")).await;
    assert_eq!(collect(&envoy.address).await.unwrap().uptime_seconds, Some(7.0));
}

#[tokio::test]
async fn no_one_there() {
    let socket = Address::Unix("/nonexistent/admin.sock".into());
    assert!(matches!(collect(&socket).await, Err(FetchError::Connect(_))));
    // Port 1 is reserved and has no service.
    let nobody = Address::Tcp("127.0.0.1:1".to_owned());
    assert!(matches!(collect(&nobody).await, Err(FetchError::Connect(_))));
}

#[tokio::test]
async fn redirects_and_errors_are_not_pages() {
    for status in ["302 Found", "404 Not Found", "500 Internal Server Error", "204 No Content"] {
        let envoy = FakeEnvoy::tcp(Answer::response(status, "")).await;
        let error = collect(&envoy.address).await.unwrap_err();
        assert!(matches!(error, FetchError::Status(code) if status.starts_with(code.as_str())));
    }
}

#[tokio::test]
async fn a_page_without_end_is_cut_off() {
    let envoy = FakeEnvoy::tcp(Answer::Endless).await;
    assert!(matches!(collect(&envoy.address).await, Err(FetchError::TooLarge(_))));
}

#[tokio::test]
async fn garbage_and_half_answers_are_errors() {
    for raw in ["SSH-2.0-x\r\n", "", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
        let envoy = FakeEnvoy::tcp(Answer::Raw(raw.into())).await;
        assert!(matches!(collect(&envoy.address).await, Err(FetchError::Http(_))), "{raw}");
    }
}

/// The clock stands still and jumps to the next deadline when nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_times_out() {
    let envoy = FakeEnvoy::tcp(Answer::Silence).await;
    assert!(matches!(collect(&envoy.address).await, Err(FetchError::Timeout(_))));
}

#[tokio::test]
async fn link_local_addresses_are_refused() {
    let metadata = Address::Tcp("169.254.169.254:80".to_owned());
    assert!(matches!(collect(&metadata).await, Err(FetchError::LinkLocal)));
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        decoded.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        decoded.push_str(rest);
    }
    decoded
}
