//! The metrics page of a serving engine in trouble, as vLLM writes it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// Serves the page for the rest of the process: the KV cache is full, requests wait, a first token takes five
/// seconds, and no token that the gateway sees is counted.
pub fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback can be bound");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        let began = Instant::now();
        for stream in listener.incoming().flatten() {
            // A client that has gone is none.
            let _ = answer(stream, &page(began.elapsed().as_secs()));
        }
    });
    address
}

fn page(seconds: u64) -> String {
    let figures = [
        ("num_requests_running", "8".to_owned()),
        ("num_requests_waiting", "4".to_owned()),
        ("kv_cache_usage_perc", "0.99".to_owned()),
        ("prompt_tokens_total", "1000".to_owned()),
        ("generation_tokens_total", "1000".to_owned()),
        ("num_preemptions_total", seconds.to_string()),
        ("prefix_cache_queries_total", (seconds * 100).to_string()),
        ("prefix_cache_hits_total", (seconds * 40).to_string()),
        ("inter_token_latency_seconds_sum", seconds.to_string()),
        ("inter_token_latency_seconds_count", (seconds * 50).to_string()),
        ("time_to_first_token_seconds_sum", (seconds * 5).to_string()),
        ("time_to_first_token_seconds_count", seconds.to_string()),
    ];
    figures.map(|(name, value)| format!("vllm:{name}{{model_name=\"m\"}} {value}\n")).concat()
}

fn answer(mut stream: TcpStream, page: &str) -> std::io::Result<()> {
    for line in BufReader::new(stream.try_clone()?).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", page.len());
    stream.write_all((head + page).as_bytes())
}
