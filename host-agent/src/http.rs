//! One GET (or PUT) over loopback TCP or a Unix socket, under deadlines and a size limit.
//!
//! Everything that the agent reads from a socket comes through here: no redirects, no proxy from
//! the environment, no body beyond its cap, no link-local address unless it was asked for.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Where a server is: `http://HOST:PORT` or `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `host:port`, resolved on each request.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Url { address, path } if path == "/" => Ok(address),
            Url { .. } => Err(format!("`{text}` is neither http://HOST:PORT nor unix:/PATH")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "http://{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A page on a server: `http://HOST:PORT/PATH`, or `unix:/SOCKET` whose path is `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The server.
    pub address: Address,
    /// The path with its query; `/` where none was written.
    pub path: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self { address: Address::Unix(path.into()), path: "/".to_owned() })
            } else {
                Err(format!("`{text}`: the socket's path must be absolute"))
            };
        }
        let uri: Uri = text.parse().map_err(|error| format!("`{text}`: {error}"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(at)) if !at.as_str().contains('@') => {
                let port = at.port_u16().ok_or_else(|| format!("`{text}`: a port is missing"))?;
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                let address = Address::Tcp(format!("{}:{port}", at.host()));
                Ok(Self { address, path: path.to_owned() })
            }
            _ => Err(format!("`{text}` is neither http://HOST:PORT nor unix:/PATH")),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, path } = self;
        if path == "/" { write!(f, "{address}") } else { write!(f, "{address}{path}") }
    }
}

/// How much patience and memory an answer may cost, and where it may come from.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the connection.
    pub connect: Duration,
    /// For the whole exchange.
    pub total: Duration,
    /// Most bytes of the body.
    pub body: usize,
    /// Whether link-local addresses, where clouds keep their metadata services, may be asked.
    pub link_local: bool,
}

impl Limits {
    /// For a metrics page.
    pub const PAGE: Self = Self {
        connect: Duration::from_secs(1),
        total: Duration::from_secs(5),
        body: 16 * 1024 * 1024,
        link_local: false,
    };
}

/// A request without a body.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// GET, or PUT where a service wants it.
    pub method: &'a Method,
    /// Path with query.
    pub path: &'a str,
    /// The `Host` header.
    pub host: &'a str,
    /// Further headers.
    pub headers: &'a [(&'static str, &'a str)],
}

impl<'a> Ask<'a> {
    /// A plain GET. The host is always `localhost`: what is read here is on this machine.
    pub fn get(path: &'a str) -> Self {
        Self { method: &Method::GET, path, host: "localhost", headers: &[] }
    }
}

/// Why a page could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Name resolution or the connection failed.
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    /// No connection in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The name resolves to link-local addresses only, where clouds keep their metadata services.
    #[error("refusing a link-local address")]
    LinkLocal,
    /// The path or a header holds what HTTP has no place for.
    #[error("the request cannot be written: {0}")]
    Request(#[from] hyper::http::Error),
    /// The other side does not speak HTTP/1.1, or broke off.
    #[error("bad HTTP exchange: {0}")]
    Http(#[from] hyper::Error),
    /// Anything but 200; redirects are not followed.
    #[error("unexpected status {0}")]
    Status(StatusCode),
    /// The page is over the limit.
    #[error("page is over {0} bytes")]
    TooLarge(usize),
    /// The whole exchange took too long.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
}

/// Asks a server and returns the body whole.
pub async fn fetch(at: &Address, ask: Ask<'_>, limits: Limits) -> Result<Vec<u8>, FetchError> {
    let answer = async {
        match at {
            Address::Tcp(at) => {
                exchange(within(limits, connect(at, limits.link_local)).await?, ask, limits).await
            }
            Address::Unix(socket) => {
                let connect = async { Ok(UnixStream::connect(socket).await?) };
                exchange(within(limits, connect).await?, ask, limits).await
            }
        }
    };
    timeout(limits.total, answer).await.unwrap_or(Err(FetchError::Timeout(limits.total)))
}

async fn within<T>(
    limits: Limits,
    connect: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let late = Err(FetchError::ConnectTimeout(limits.connect));
    timeout(limits.connect, connect).await.unwrap_or(late)
}

async fn connect(at: &str, link_local: bool) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::LinkLocal;
    // The address is checked after resolution: a name can be made to point anywhere.
    let allowed = |address: &SocketAddr| link_local || !is_link_local(*address);
    for address in tokio::net::lookup_host(at).await?.filter(allowed) {
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

async fn exchange<S>(stream: S, ask: Ask<'_>, limits: Limits) -> Result<Vec<u8>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header(header::HOST, ask.host)
        // Or a server that keeps connections open holds one of ours after each page.
        .header(header::CONNECTION, "close");
    for (name, value) in ask.headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        match response.status() {
            StatusCode::OK => read_capped(response.into_body(), limits.body).await,
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

async fn read_capped<B>(mut body: B, most: usize) -> Result<Vec<u8>, FetchError>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let expected = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    if expected.is_some_and(|bytes| bytes > most) {
        return Err(FetchError::TooLarge(most));
    }
    let mut page = Vec::with_capacity(expected.unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if page.len().saturating_add(data.len()) > most {
            return Err(FetchError::TooLarge(most));
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
        let tcp = |at: &str| Ok(Address::Tcp(at.to_owned()));
        assert_eq!("http://127.0.0.1:9901".parse(), tcp("127.0.0.1:9901"));
        assert_eq!("http://localhost:9901/".parse(), tcp("localhost:9901"));
        assert_eq!("http://[::1]:9901".parse(), tcp("[::1]:9901"));
        assert_eq!("unix:/run/a.sock".parse(), Ok(Address::Unix("/run/a.sock".into())));
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
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_keep_their_path() {
        let url: Url = "http://localhost:8000/metrics?a=b".parse().unwrap();
        assert_eq!(url.address, Address::Tcp("localhost:8000".to_owned()));
        assert_eq!(url.path, "/metrics?a=b");
        assert_eq!(url.to_string(), "http://localhost:8000/metrics?a=b");
        assert!("ftp://localhost:8000/".parse::<Url>().is_err());
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
