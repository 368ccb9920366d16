//! An Envoy admin listener, an engine or a metadata service that answers what a test wants.

use std::path::Path;

use gaugeway_agent::http::Address;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};

/// What the listener does once it has read a request.
#[derive(Clone)]
pub(super) enum Answer {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Answers 200 with the text whose path and method the request begins with, else 404.
    ByPath(Vec<(&'static str, String)>),
    /// Sends a body without end.
    Endless,
    /// Keeps the connection and says nothing.
    Silence,
}

impl Answer {
    pub(super) fn page(text: &str) -> Self {
        Self::response("200 OK", text)
    }

    /// What a request of this head gets.
    fn to(self, head: &str) -> Self {
        let Self::ByPath(pages) = self else { return self };
        let page = pages.into_iter().find(|(path, _)| head.starts_with(path));
        page.map_or_else(|| Self::response("404 Not Found", ""), |(_, text)| Self::page(&text))
    }

    pub(super) fn response(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes(),
        )
    }
}

pub(super) struct FakeEnvoy {
    pub(super) address: Address,
    answer: watch::Sender<Answer>,
    requests: mpsc::UnboundedReceiver<String>,
}

impl FakeEnvoy {
    pub(super) async fn tcp(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap().to_string());
        let (answer, requests, stage) = stage(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(stage.clone().play(stream));
            }
        });
        Self { address, answer, requests }
    }

    pub(super) async fn unix(path: &Path, answer: Answer) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (answer, requests, stage) = stage(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(stage.clone().play(stream));
            }
        });
        Self { address: Address::Unix(path.to_owned()), answer, requests }
    }

    /// Answers differently from the next request on.
    pub(super) fn answer(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    /// The next request's head.
    pub(super) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    /// Returns once a tick that began after this call has ended, which the request of the tick
    /// after it shows.
    pub(super) async fn whole_tick(&mut self) {
        while self.requests.try_recv().is_ok() {}
        for _ in 0..3 {
            self.request().await;
        }
    }
}

#[derive(Clone)]
struct Stage {
    answer: watch::Receiver<Answer>,
    requests: mpsc::UnboundedSender<String>,
}

fn stage(answer: Answer) -> (watch::Sender<Answer>, mpsc::UnboundedReceiver<String>, Stage) {
    let (send_answer, answer) = watch::channel(answer);
    let (requests, got) = mpsc::unbounded_channel();
    (send_answer, got, Stage { answer, requests })
}

impl Stage {
    async fn play(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let answer = self.answer.borrow().clone();
        let head = String::from_utf8(head).unwrap();
        let answer = answer.to(&head);
        let _ = self.requests.send(head);
        match answer {
            Answer::ByPath(_) => {}
            Answer::Raw(bytes) => drop(stream.write_all(&bytes).await),
            Answer::Silence => drop(stream.read_u8().await),
            Answer::Endless => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b'#'; 64 * 1024]).await;
                }
            }
        }
    }
}

/// One request; the whole answer, head included.
pub(super) async fn http(address: std::net::SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
