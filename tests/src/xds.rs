//! A control plane that gives one Envoy its listener and the configuration of its filter: aggregated discovery over
//! gRPC, the whole state each time, as Istio's proxies are served (`envoy/service/discovery/v3/ads.proto`).

mod proto;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::Message;
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;

/// What is discovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// LDS.
    Listener,
    /// ECDS: the configuration of a filter.
    Filter,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Listener, Self::Filter];

    /// The type of its resources.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Filter => "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        }
    }

    /// A resource as protobuf, from the parts of its JSON that the tests use.
    fn encode(self, json: &Value) -> Message {
        let name = text(&json["name"]);
        match self {
            Self::Filter => {
                Message::default().with(1, name).with(2, proto::any_of(&json["typed_config"]))
            }
            Self::Listener => {
                let address = &json["address"]["socket_address"];
                let port = address["port_value"].as_u64().expect("a port");
                let address =
                    Message::default().with(2, text(&address["address"])).with_number(3, port);
                let filter = &json["filter_chains"][0]["filters"][0];
                let filter = Message::default()
                    .with(1, text(&filter["name"]))
                    .with(4, proto::any_of(&filter["typed_config"]));
                Message::default()
                    .with(1, name)
                    .with(2, Message::default().with(1, address))
                    .with(3, Message::default().with(3, filter))
            }
        }
    }
}

/// What Envoy shall have of a kind. Version 0 is nothing yet.
#[derive(Clone, Debug, Default)]
struct Offer {
    version: u64,
    resource: Message,
}

type Offers = [Offer; Kind::ALL.len()];

/// Envoy's answer to an offer: it has it now, or why it does not want it.
#[derive(Debug)]
struct Verdict {
    kind: Kind,
    version: u64,
    result: Result<(), String>,
}

/// The control plane. Its thread ends with the test's process.
#[derive(Debug)]
pub struct ControlPlane {
    address: SocketAddr,
    offers: watch::Sender<Offers>,
    verdicts: mpsc::Receiver<Verdict>,
}

impl ControlPlane {
    /// Listens on a free port.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("an event loop can be had");
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)));
        let listener = listener.expect("loopback can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let offers = watch::Sender::new(Offers::default());
        let (judge, verdicts) = mpsc::channel();
        let given = offers.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                while let Ok((stream, _)) = listener.accept().await {
                    let (given, judge) = (given.subscribe(), judge.clone());
                    tokio::spawn(async {
                        let service = hyper::service::service_fn(move |request| {
                            let answer = answer(request, given.clone(), judge.clone());
                            async { Ok::<_, Infallible>(answer) }
                        });
                        // An Envoy that ends breaks its connection, and that is all.
                        let server = http2::Builder::new(TokioExecutor::new());
                        let _ = server.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
            });
        });
        Self { address, offers, verdicts }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Offers a resource, written as Envoy's JSON, in place of the one before.
    pub fn offer(&self, kind: Kind, resource: &Value) {
        let resource = proto::any(kind.type_url(), &kind.encode(resource));
        self.offers.send_modify(|offers| {
            let offer = &mut offers[kind as usize];
            *offer = Offer { version: offer.version + 1, resource };
        });
    }

    /// Envoy's answer to the last offer of that kind: the error is its reason to refuse it.
    pub fn verdict(&self, kind: Kind) -> Result<(), String> {
        let version = self.offers.borrow()[kind as usize].version;
        loop {
            let verdict = self.verdicts.recv_timeout(Duration::from_secs(30));
            let verdict = verdict.unwrap_or_else(|_| panic!("{kind:?} {version} is not answered"));
            if verdict.kind == kind && verdict.version == version {
                return verdict.result;
            }
        }
    }
}

/// Serves `StreamAggregatedResources`.
fn answer(
    request: Request<Incoming>,
    given: watch::Receiver<Offers>,
    judge: mpsc::Sender<Verdict>,
) -> Response<Channel<Bytes, Infallible>> {
    let (replies, body) = Channel::new(16);
    tokio::spawn(async { discuss(request.into_body(), replies, given, judge).await });
    let mut response = Response::new(body);
    let grpc = hyper::header::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, grpc);
    response
}

/// What Envoy has asked for of a kind.
#[derive(Clone, Debug, Default)]
struct Subscription {
    names: Vec<String>,
    /// The version that was sent for these names.
    sent: u64,
}

/// Sends what is asked for whenever it is another, and passes on what Envoy says of it. `None` when Envoy has gone.
async fn discuss(
    mut requests: Incoming,
    mut replies: Sender<Bytes, Infallible>,
    mut given: watch::Receiver<Offers>,
    judge: mpsc::Sender<Verdict>,
) -> Option<()> {
    let mut subscriptions: [Option<Subscription>; Kind::ALL.len()] = [None, None];
    let mut buffer = BytesMut::new();
    loop {
        tokio::select! {
            changed = given.changed() => changed.ok()?,
            frame = requests.frame() => {
                buffer.extend_from_slice(&frame?.ok()?.into_data().ok()?);
                while let Some(message) = message(&mut buffer) {
                    hear(&message, &mut subscriptions, &judge);
                }
            }
        }
        let offers = given.borrow_and_update().clone();
        for (kind, offer) in Kind::ALL.into_iter().zip(offers) {
            let Some(subscription) = &mut subscriptions[kind as usize] else { continue };
            if subscription.sent != offer.version {
                subscription.sent = offer.version;
                replies.send_data(reply(kind, &offer)).await.ok()?;
            }
        }
    }
}

/// Reads a `DiscoveryRequest`, which subscribes and says what became of the last response.
fn hear(
    message: &[u8],
    subscriptions: &mut [Option<Subscription>; Kind::ALL.len()],
    judge: &mpsc::Sender<Verdict>,
) {
    let fields = proto::fields(message);
    let all =
        |number| fields.iter().filter(move |(field, _)| *field == number).map(|(_, bytes)| *bytes);
    let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let one = |number| all(number).next().map(utf8);

    let asked = one(4).unwrap_or_default();
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.type_url() == asked) else { return };
    let names: Vec<String> = all(3).map(utf8).collect();
    let subscription = subscriptions[kind as usize].get_or_insert_default();
    if subscription.names != names {
        *subscription = Subscription { names, sent: 0 };
    }
    if let Some(version) = one(5).and_then(|nonce| nonce.parse().ok()) {
        let reason =
            |status: &[u8]| proto::fields(status).iter().map(|(_, text)| utf8(text)).collect();
        let result = all(6).next().map_or(Ok(()), |status| Err(reason(status)));
        // The test may have ended.
        let _ = judge.send(Verdict { kind, version, result });
    }
}

/// A `DiscoveryResponse` in gRPC's framing.
fn reply(kind: Kind, offer: &Offer) -> Bytes {
    let version = offer.version.to_string();
    let response = Message::default()
        .with(1, &version)
        .with(2, &offer.resource)
        .with(4, kind.type_url())
        .with(5, &version);
    let response = response.as_ref();
    let mut framed = BytesMut::with_capacity(5 + response.len());
    framed.put_u8(0);
    framed.put_u32(response.len().try_into().expect("a small message"));
    framed.put_slice(response);
    framed.freeze()
}

/// Takes one message of gRPC off the buffer: a flag, a length, and so many bytes.
fn message(buffer: &mut BytesMut) -> Option<BytesMut> {
    let length = u32::from_be_bytes(buffer.get(1..5)?.try_into().ok()?) as usize;
    buffer.get(5..5 + length)?;
    buffer.advance(5);
    Some(buffer.split_to(length))
}

fn text(json: &Value) -> &str {
    json.as_str().expect("text")
}
