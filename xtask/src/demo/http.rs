//! GET on loopback.

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// The body of an answer with status 200.
pub(crate) fn get(url: &str) -> Result<String> {
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .new_agent();
    let mut response = agent.get(url).call().with_context(|| format!("GET {url}"))?;
    response.body_mut().read_to_string().with_context(|| format!("GET {url}"))
}

/// The JSON body of an answer with status 200.
pub(crate) fn get_json<T: DeserializeOwned>(url: &str) -> Result<T> {
    serde_json::from_str(&get(url)?).with_context(|| format!("GET {url}: unexpected JSON"))
}

/// An address on loopback that nothing listens on, for programs that cannot say which port they chose.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}

/// Text as a part of a query.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
