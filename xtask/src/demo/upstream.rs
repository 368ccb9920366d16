//! The server to measure.

use std::str::FromStr;

/// An LLM server with OpenAI's API, reached in plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// Name or address, an IPv6 address without brackets.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
}

impl FromStr for Upstream {
    type Err = String;

    /// Reads `http://HOST[:PORT]`.
    fn from_str(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(
                "it must start with http://; for https, give the cluster of envoy/envoy.yaml \
                        a TLS transport socket and run Envoy yourself"
                    .to_owned(),
            );
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(
                "only http://HOST:PORT is supported, without path or credentials: the requests \
                        go to /v1/... of that server"
                    .to_owned(),
            );
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, "80"),
        };
        let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("the host is missing".to_owned());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read() {
        for (url, host, port) in [
            ("http://127.0.0.1:8000", "127.0.0.1", 8000),
            ("http://vllm.internal:80/", "vllm.internal", 80),
            ("http://vllm", "vllm", 80),
            ("http://[::1]:8000", "::1", 8000),
            ("http://[::1]", "::1", 80),
        ] {
            assert_eq!(url.parse(), Ok(Upstream { host: host.to_owned(), port }), "{url}");
        }
    }

    #[test]
    fn what_is_not_supported_is_said() {
        for (url, reason) in [
            ("https://api.example.com", "TLS"),
            ("127.0.0.1:8000", "http://"),
            ("http://host:8000/v1", "without path"),
            ("http://user@host", "credentials"),
            ("http://host:eighty", "`eighty` is no port"),
            ("http://", "host is missing"),
        ] {
            let error = url.parse::<Upstream>().unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
