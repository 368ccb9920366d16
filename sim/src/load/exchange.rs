//! One request over a connection that is kept as long as the server lets it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use tokio::time::{Instant, timeout};

use super::connection::{Connection, Http, connect};
use super::watch::{Stop, Watch};
use super::{LoadConfig, Observation, RequestPlan, Url};
use crate::coding::{Coding, Transcoder};
use crate::outcome::Mode;
use crate::plan::{CODING_HEADER, ID_HEADER, OUTPUT_HEADER, PLAN_HEADER, Plan, Stage};

/// How long a client waits for a response head that it does not want. Gateway and server have the request by then.
const IMPATIENCE: Duration = Duration::from_millis(200);

/// A client with at most one connection.
pub(super) struct Client {
    url: Url,
    http: Http,
    coding: Coding,
    patience: Duration,
    connection: Option<Connection>,
}

impl Client {
    pub(super) fn new(config: &LoadConfig) -> Self {
        let LoadConfig { url, http, coding, timeout: patience, .. } = config.clone();
        Self { url, http, coding, patience, connection: None }
    }

    /// Makes one request and watches its answer to the end.
    pub(super) async fn ask(&mut self, plan: &RequestPlan) -> Observation {
        let mut watch = Watch::start();
        let patience = self.patience;
        let exchange = self.exchange(plan, &mut watch);
        let stop = timeout(patience, exchange).await.unwrap_or(Stop::TimedOut);
        let end = Instant::now();
        let kept = stop == Stop::End || (stop == Stop::Left && self.http == Http::Two);
        if !kept {
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
            match sender.send(request).await {
                Ok(response) => read(response, plan, watch).await,
                Err(_) => Stop::Broken,
            }
        };
        if plan.plan == Plan::Abort(Stage::Request) {
            return timeout(IMPATIENCE, driver.drive(answered)).await.unwrap_or(Stop::Left);
        }
        driver.drive(answered).await
    }

    fn request(&self, plan: &RequestPlan) -> Request<Full<Bytes>> {
        let Url { host, port, prefix } = &self.url;
        let path = plan.api.path();
        let mut request = match self.http {
            Http::One => {
                Request::post(format!("{prefix}{path}")).header(HOST, format!("{host}:{port}"))
            }
            Http::Two => Request::post(format!("http://{host}:{port}{prefix}{path}")),
        };
        request = request.header(CONTENT_TYPE, "application/json");
        if self.coding != Coding::Identity {
            request = request.header(ACCEPT_ENCODING, self.coding.as_str());
        }
        if plan.sim {
            request = request
                .header(ID_HEADER, &plan.id)
                .header(PLAN_HEADER, plan.plan.to_string())
                .header(OUTPUT_HEADER, plan.output_tokens)
                .header(CODING_HEADER, self.coding.as_str());
        }
        request.body(plan.body().into()).unwrap_or_default()
    }

    /// The kept connection if it is still good, else a new one. Connecting is not part of any measured time.
    async fn connected(&mut self) -> Option<&mut Connection> {
        let kept = match &mut self.connection {
            Some(Connection { sender, driver }) => driver.drive(sender.is_ready()).await,
            None => false,
        };
        if !kept {
            self.connection = connect(&self.url, self.http).await;
        }
        self.connection.as_mut()
    }
}

async fn read(mut response: Response<Incoming>, plan: &RequestPlan, watch: &mut Watch) -> Stop {
    let status = response.status().as_u16();
    watch.status = Some(status);
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let streamed = status == 200
        && header(CONTENT_TYPE).is_some_and(|media| media.starts_with("text/event-stream"));
    let coding = header(CONTENT_ENCODING).map_or(Ok(Coding::Identity), str::parse);
    let Some(mut decoder) = coding.ok().and_then(|coding| Transcoder::decoder(coding).ok()) else {
        return Stop::Broken;
    };
    let stage = match plan.plan {
        Plan::Abort(stage) if streamed => Some(stage),
        _ => None,
    };
    if stage == Some(Stage::Head) {
        return Stop::Left;
    }
    let mut whole = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        let now = Instant::now();
        let Ok(frame) = frame else { return Stop::Broken };
        let Ok(bytes) = frame.into_data() else { continue };
        if bytes.is_empty() {
            continue;
        }
        watch.touched(now);
        let Ok(bytes) = decoder.piece(&bytes) else { return Stop::Broken };
        if streamed {
            watch.stream_bytes(&bytes, now);
        } else {
            whole.extend_from_slice(&bytes);
        }
        if stage.is_some_and(|stage| watch.reached(stage)) {
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
