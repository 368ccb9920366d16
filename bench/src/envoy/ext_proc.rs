//! The least that an external processor can do: it answers each message with an empty one.

use anyhow::Result;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Serves `envoy.service.ext_proc.v3.ExternalProcessor/Process` until the process ends.
pub(crate) fn serve(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async {
                let service = hyper::service::service_fn(process);
                let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                server.max_concurrent_streams(10_000);
                // A connection that breaks ends its streams, and that is all.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn process(request: Request<Incoming>) -> Result<Response<Answers>, Infallible> {
    let (answers, body) = channel(64);
    tokio::spawn(answer(request.into_body(), answers));
    let mut response = Response::new(Answers(body));
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// Answers each message of the request until it ends.
async fn answer(mut request: Incoming, answers: Sender<Frame<Bytes>>) {
    let mut buffer = BytesMut::new();
    while let Some(Ok(frame)) = request.frame().await {
        let Ok(data) = frame.into_data() else { break };
        buffer.extend_from_slice(&data);
        while let Some(message) = message(&mut buffer) {
            if answers.send(Frame::data(empty_answer(&message))).await.is_err() {
                return;
            }
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let _ = answers.send(Frame::trailers(trailers)).await;
}

/// Takes one gRPC message off the buffer: a flag, a length, and so many bytes.
fn message(buffer: &mut BytesMut) -> Option<BytesMut> {
    let length = buffer.get(1..5)?.try_into().ok().map(u32::from_be_bytes)?;
    let length = usize::try_from(length).ok()?;
    buffer.get(5..5 + length)?;
    buffer.advance(5);
    Some(buffer.split_to(length))
}

/// `ProcessingRequest` has its kinds in the fields 2 to 7, `ProcessingResponse` the answer to each in the
/// field before: an empty message there lets the stream go on (`ext_proc/v3/external_processor.proto`).
fn empty_answer(message: &[u8]) -> Bytes {
    let kinds = message.first().map_or(2, |tag| tag >> 3);
    let kind = if (2..=7).contains(&kinds) { kinds } else { 2 };
    Bytes::copy_from_slice(&[0, 0, 0, 0, 2, (kind - 1) << 3 | 2, 0])
}

struct Answers(Receiver<Frame<Bytes>>);

impl Body for Answers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}
