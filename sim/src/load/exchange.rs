//! One request over a connection that is kept as long as the server lets it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::watch::{Stop, Watch};
use super::{Observation, RequestPlan, Url};
use crate::outcome::Mode;
use crate::plan::{ID_HEADER, OUTPUT_HEADER, PLAN_HEADER, Plan};

/// A client with at most one connection.
pub(super) struct Client {
    url: Url,
    patience: Duration,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// Moves bytes between the socket and the request in flight. It runs inside the task that waits for them: a task of
/// its own would put the scheduler between an event's arrival and the look at the clock. Dropping it closes the
/// socket at once, which is what a client that leaves does.
struct Driver(Option<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>);

impl Driver {
    /// Waits for something that needs this connection.
    async fn drive<T>(&mut self, waited: impl Future<Output = T>) -> T {
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
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.0 = None;
        }
    }
}

impl Client {
    pub(super) fn new(url: Url, patience: Duration) -> Self {
        Self { url, patience, connection: None }
    }

    /// Makes one request and watches its answer to the end.
    pub(super) async fn ask(&mut self, plan: &RequestPlan) -> Observation {
        let mut watch = Watch::start();
        let patience = self.patience;
        let exchange = self.exchange(plan, &mut watch);
        let stop = timeout(patience, exchange).await.unwrap_or(Stop::TimedOut);
        let end = Instant::now();
        if stop != Stop::End {
            self.connection = None;
        }
        observation(plan, &watch, stop, end)
    }

    async fn exchange(&mut self, plan: &RequestPlan, watch: &mut Watch) -> Stop {
        let request = self.request(plan);
        let Some(connection) = self.connected().await else { return Stop::Unreachable };
        *watch = Watch::start();
        let Connection { sender, driver } = connection;
        let answered = async {
            match sender.send_request(request).await {
                Ok(response) => read(response, plan, watch).await,
                Err(_) => Stop::Broken,
            }
        };
        driver.drive(answered).await
    }

    fn request(&self, plan: &RequestPlan) -> Request<Full<Bytes>> {
        let Url { host, port, prefix } = &self.url;
        let mut request = Request::post(format!("{prefix}{}", plan.api.path()))
            .header(HOST, format!("{host}:{port}"))
            .header(CONTENT_TYPE, "application/json");
        if plan.sim {
            request = request
                .header(ID_HEADER, &plan.id)
                .header(PLAN_HEADER, plan.plan.to_string())
                .header(OUTPUT_HEADER, plan.output_tokens);
        }
        request.body(plan.body().into()).unwrap_or_default()
    }

    /// The kept connection if it is still good, else a new one. Connecting is not part of any measured time.
    async fn connected(&mut self) -> Option<&mut Connection> {
        let kept = match &mut self.connection {
            Some(Connection { sender, driver }) => driver.drive(sender.ready()).await.is_ok(),
            None => false,
        };
        if !kept {
            self.connection = connect(&self.url).await;
        }
        self.connection.as_mut()
    }
}

async fn connect(url: &Url) -> Option<Connection> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    Some(Connection { sender, driver: Driver(Some(connection)) })
}

async fn read(mut response: Response<Incoming>, plan: &RequestPlan, watch: &mut Watch) -> Stop {
    let status = response.status().as_u16();
    watch.status = Some(status);
    let content_type =
        response.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let streamed = status == 200 && content_type.starts_with(b"text/event-stream");
    let leave_after = match plan.plan {
        Plan::Abort { after } if streamed => Some(u64::from(after)),
        _ => None,
    };
    let mut whole = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        let now = Instant::now();
        let Ok(frame) = frame else { return Stop::Broken };
        let Ok(bytes) = frame.into_data() else { continue };
        watch.touched(now);
        if streamed {
            watch.stream_bytes(&bytes, now);
        } else {
            whole.extend_from_slice(&bytes);
        }
        if leave_after.is_some_and(|after| watch.generated_events >= after) {
            return Stop::Left;
        }
    }
    match (status, streamed) {
        (200, true) => {}
        (200, false) => watch.unary_body(&whole),
        _ => watch.error_body(status, &whole),
    }
    Stop::End
}

fn observation(plan: &RequestPlan, watch: &Watch, stop: Stop, end: Instant) -> Observation {
    let (outcome, error) = watch.verdict(stop);
    let streamed = plan.mode == Mode::Stream;
    Observation {
        id: plan.id.clone(),
        model: plan.model.clone(),
        path: plan.api.path().to_owned(),
        mode: plan.mode,
        plan: plan.plan,
        status: watch.status,
        outcome,
        error_class: error.map(|(class, _)| class),
        phase: error.map(|(_, phase)| phase),
        ttfb_us: watch.ttfb_us(),
        ttft_us: watch.ttft_us().filter(|_| streamed),
        ttfo_us: watch.ttfo_us().filter(|_| streamed),
        tpot_us: watch.tpot_us().filter(|_| streamed),
        max_stall_us: watch.max_stall_us(),
        duration_us: watch.duration_us(end),
        generated_events: watch.generated_events,
        usage: watch.usage,
    }
}
