//! One GET to Envoy's admin listener, over loopback TCP or a Unix socket.
//!
//! The admin listener can stop Envoy and leaks its configuration, so nothing but the fixed path is
//! ever asked for, redirects are errors, and no proxy from the environment is used.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Where Envoy's admin listener is: `http://HOST:PORT` or `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// `host:port`, resolved on each request.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(format!("`{text}`: the socket's path must be absolute"))
            };
        }
        let uri: Uri = text.parse().map_err(|error| format!("`{text}`: {error}"))?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(at)) if bare && !at.as_str().contains('@') => {
                let port = at.port_u16().ok_or_else(|| format!("`{text}`: a port is missing"))?;
                Ok(Self::Tcp(format!("{}:{port}", at.host())))
            }
            _ => Err(format!("`{text}` is neither http://HOST:PORT nor unix:/PATH")),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "http://{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why Envoy's page could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Name resolution or the connection failed.
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    /// No connection in time.
    #[error("no connection within {CONNECT_TIMEOUT:?}")]
    ConnectTimeout,
    /// The name resolves to link-local addresses only, where clouds keep their metadata services.
    #[error("refusing a link-local address")]
    LinkLocal,
    /// The other side does not speak HTTP/1.1, or broke off.
    #[error("bad HTTP exchange: {0}")]
    Http(#[from] hyper::Error),
    /// Anything but 200; redirects are not followed.
    #[error("unexpected status {0}")]
    Status(StatusCode),
    /// The page is over the limit.
    #[error("page is over {} MiB", MAX_BODY_BYTES / 1024 / 1024)]
    TooLarge,
    /// The whole exchange took too long.
    #[error("no complete answer within {TOTAL_TIMEOUT:?}")]
    Timeout,
}

/// Fetches `path` whole.
pub(super) async fn get(admin: &AdminAddress, path: &'static str) -> Result<Vec<u8>, FetchError> {
    let exchange = async {
        match admin {
            AdminAddress::Tcp(at) => exchange(within_connect(connect(at)).await?, path).await,
            AdminAddress::Unix(socket) => {
                let connect = async { Ok(UnixStream::connect(socket).await?) };
                exchange(within_connect(connect).await?, path).await
            }
        }
    };
    timeout(TOTAL_TIMEOUT, exchange).await.unwrap_or(Err(FetchError::Timeout))
}

async fn within_connect<T>(
    connect: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    timeout(CONNECT_TIMEOUT, connect).await.unwrap_or(Err(FetchError::ConnectTimeout))
}

async fn connect(at: &str) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::LinkLocal;
    // The address is checked after resolution: a name can be made to point anywhere.
    for address in tokio::net::lookup_host(at).await?.filter(|address| !is_link_local(*address)) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn is_link_local(address: SocketAddr) -> bool {
    // AWS serves instance metadata at this unique-local address too.
    const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == AWS_METADATA,
    }
}

async fn exchange<S>(stream: S, path: &'static str) -> Result<Vec<u8>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::from_static(path);
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    let answer = async {
        let response = sender.send_request(request).await?;
        match response.status() {
            StatusCode::OK => read_capped(response.into_body()).await,
            other => Err(FetchError::Status(other)),
        }
    };
    // The connection makes progress only while it is polled; it lives as long as the answer.
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error.into()),
        },
    }
}

async fn read_capped<B>(mut body: B) -> Result<Vec<u8>, FetchError>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let mut page = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if page.len().saturating_add(data.len()) > MAX_BODY_BYTES {
            return Err(FetchError::TooLarge);
        }
        page.extend_from_slice(&data);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |at: &str| Ok(AdminAddress::Tcp(at.to_owned()));
        assert_eq!("http://127.0.0.1:9901".parse(), tcp("127.0.0.1:9901"));
        assert_eq!("http://localhost:9901/".parse(), tcp("localhost:9901"));
        assert_eq!("http://[::1]:9901".parse(), tcp("[::1]:9901"));
        assert_eq!("unix:/run/a.sock".parse(), Ok(AdminAddress::Unix("/run/a.sock".into())));
        for bad in [
            "https://localhost:9901",
            "http://localhost",
            "http://a@localhost:1",
            "http://localhost:1/quitquitquit",
            "http://localhost:1/?a=b",
            "unix:run/a.sock",
            "localhost:9901",
            "",
        ] {
            assert!(bad.parse::<AdminAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_addresses_are_refused() {
        for (address, refused) in [
            ("169.254.169.254:80", true),
            ("[::ffff:169.254.169.254]:80", true),
            ("[fe80::1]:80", true),
            ("[fd00:ec2::254]:80", true),
            ("127.0.0.1:80", false),
            ("10.0.0.1:80", false),
            ("[::1]:80", false),
        ] {
            assert_eq!(is_link_local(address.parse().unwrap()), refused, "{address}");
        }
    }
}
