//! GET on loopback, and ports that are free.

use std::net::TcpListener;
use std::time::Duration;

/// Status and body of a GET, or why there is none.
pub fn get(url: &str) -> Result<(u16, String), String> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .new_agent();
    let mut response = agent.get(url).call().map_err(|error| format!("GET {url}: {error}"))?;
    let body = response
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_string()
        .map_err(|error| format!("GET {url}: {error}"))?;
    Ok((response.status().as_u16(), body))
}

/// The body of a GET that must be answered with 200.
pub fn get_ok(url: &str) -> Result<String, String> {
    match get(url)? {
        (200, body) => Ok(body),
        (status, body) => Err(format!("GET {url}: HTTP {status}: {body}")),
    }
}

/// A port of 127.0.0.1 that nothing listens on now. For programs that cannot say which port they chose.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback can be bound");
    listener.local_addr().expect("a bound socket has an address").port()
}
