//! TLS and basic auth by the exporters' shared web configuration.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use gaugeway_agent::Agent;
use gaugeway_agent::config::Config;
use gaugeway_agent::http::Address;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Folder;
use super::agent::{Running, config};

fn with_web(folder: &Folder, text: &str) -> Config {
    let file = folder.0.join("web.yml");
    fs::write(&file, text).unwrap();
    Config { web_config: Some(file), ..config(Address::Tcp("127.0.0.1:1".to_owned())) }
}

/// Writes `cert.pem` and `key.pem` and returns the certificate.
fn certificate(folder: &Folder) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.0.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.0.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, headers: &str) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn ask_tls(at: SocketAddr, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(at).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(ask(stream, "").await)
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_without_a_restart() {
    let folder = Folder::new("tls");
    let old = certificate(&folder);
    let web =
        "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  min_version: TLS13\n";
    let agent = Running::start(with_web(&folder, web)).await;
    assert!(ask_tls(agent.address, &old).await.unwrap().starts_with("HTTP/1.1 200"));
    let stranger = certificate(&Folder::new("tls-stranger"));
    assert!(ask_tls(agent.address, &stranger).await.is_err());
    let new = certificate(&folder);
    assert!(ask_tls(agent.address, &new).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask_tls(agent.address, &old).await.is_err());
    agent.stop().await;
}

#[tokio::test]
async fn every_page_asks_for_the_password() {
    let folder = Folder::new("auth");
    let hash = bcrypt::hash("secret", 4).unwrap();
    let agent =
        Running::start(with_web(&folder, &format!("basic_auth_users:\n  ann: {hash}\n"))).await;
    let open = |headers| async move {
        ask(TcpStream::connect(agent.address).await.unwrap(), headers).await
    };
    let refused = open("").await;
    assert!(
        refused.starts_with("HTTP/1.1 401") && refused.contains("www-authenticate: Basic"),
        "{refused}"
    );
    assert!(open("authorization: Basic YW5uOndyb25n\r\n").await.starts_with("HTTP/1.1 401"));
    let page = open("authorization: Basic YW5uOnNlY3JldA==\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("x-content-type-options: nosniff"));
    agent.stop().await;
}

#[tokio::test]
async fn a_wrong_web_configuration_keeps_the_agent_from_starting() {
    let folder = Folder::new("web-bad");
    let started = Agent::start(with_web(&folder, "tls_server_config: {}")).await;
    let error = started.err().unwrap();
    assert!(error.to_string().contains("web.yml: "), "{error}");
}
