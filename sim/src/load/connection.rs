//! One connection, of either version of HTTP.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::Url;

/// The version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1. A client that leaves closes its connection.
    One,
    /// HTTP/2 without TLS and without asking first. A client that leaves resets its stream and keeps its connection.
    Two,
}

/// An open connection, in two parts, so that its driver can run while its sender waits.
pub(super) struct Connection {
    pub(super) sender: Sender,
    pub(super) driver: Driver,
}

/// Hands requests to the connection.
pub(super) enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    /// Whether the connection takes another request, once it is known.
    pub(super) async fn is_ready(&mut self) -> bool {
        match self {
            Self::One(sender) => sender.ready().await.is_ok(),
            Self::Two(sender) => sender.ready().await.is_ok(),
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::One(sender) => sender.send_request(request).await,
            Self::Two(sender) => sender.send_request(request).await,
        }
    }
}

/// Moves bytes between the socket and the request in flight. It runs inside the task that waits for them: a task of
/// its own would put the scheduler between an event's arrival and the look at the clock. Dropping it closes the
/// socket at once, which is what a client that leaves does. (HTTP/2 has parts that run as tasks in any case.)
pub(super) struct Driver(Option<Socket>);

enum Socket {
    One(Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>),
    Two(Box<http2::Connection<TokioIo<TcpStream>, Full<Bytes>, TokioExecutor>>),
}

impl Driver {
    /// Waits for something that needs this connection.
    pub(super) async fn drive<T>(&mut self, waited: impl Future<Output = T>) -> T {
        let mut waited = pin!(waited);
        poll_fn(|cx| {
            self.advance(cx);
            let result = waited.as_mut().poll(cx);
            // What was asked for just now goes out now.
            self.advance(cx);
            result
        })
        .await
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        // How the connection ended is seen by whoever waits for its response.
        let ended = match &mut self.0 {
            Some(Socket::One(connection)) => Pin::new(connection).poll(cx).map(drop),
            Some(Socket::Two(connection)) => Pin::new(connection).poll(cx).map(drop),
            None => Poll::Pending,
        };
        if ended.is_ready() {
            self.0 = None;
        }
    }
}

/// Opens a connection. None when the server cannot be reached.
pub(super) async fn connect(url: &Url, http: Http) -> Option<Connection> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let io = TokioIo::new(stream);
    match http {
        Http::One => {
            let (sender, connection) = http1::handshake(io).await.ok()?;
            let driver = Driver(Some(Socket::One(Box::new(connection))));
            Some(Connection { sender: Sender::One(sender), driver })
        }
        Http::Two => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.ok()?;
            let driver = Driver(Some(Socket::Two(Box::new(connection))));
            Some(Connection { sender: Sender::Two(sender), driver })
        }
    }
}
