//! From a request to its response.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response};
use tokio::time::{Instant, sleep_until};

use super::ledger::{Arrival, Entry, Ledger};
use super::reply::{PacedReply, Reply, Sent, WholeReply};
use super::request::RequestBody;
use crate::coding::Coding;
use crate::fault::{HttpFault, StreamFault};
use crate::outcome::Mode;
use crate::plan::{
    ATTEMPT_HEADER, CODING_HEADER, FirstAttempt, ID_HEADER, OUTPUT_HEADER, PLAN_HEADER, Plan, Stage,
};
use crate::profile::ModelProfile;
use crate::script::{Answer, Ask, Cut};
use crate::served::ServedEnd;
use crate::wire::{self, Api, StreamWriter};

/// The largest request body that is read; more is answered with 413.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// What all connections share.
pub(super) struct Upstream {
    models: BTreeMap<String, ModelProfile>,
    seed: u64,
    ledger: Arc<Ledger>,
}

impl Upstream {
    pub(super) fn new(
        models: BTreeMap<String, ModelProfile>,
        seed: u64,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self { models, seed, ledger }
    }

    /// Answers one request.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Reply>, Cut> {
        let api = Api::ALL.into_iter().find(|api| api.path() == request.uri().path());
        match (request.method(), request.uri().path(), api) {
            (&Method::POST, _, Some(api)) => {
                let coding = header(request.headers(), CODING_HEADER).map(str::parse);
                match coding.unwrap_or(Ok(Coding::Identity)) {
                    Ok(coding) => coded(self.generate(api, request).await?, coding),
                    Err(reason) => {
                        Ok(plain(400, JSON, invalid(&format!("{CODING_HEADER}: {reason}"))))
                    }
                }
            }
            (&Method::GET, "/v1/models", _) => {
                let body = wire::models_body(self.models.keys().map(String::as_str));
                Ok(plain(200, JSON, body))
            }
            (&Method::GET, "/health", _) => Ok(plain(200, JSON, "{\"status\":\"ok\"}")),
            _ => Ok(plain(
                404,
                JSON,
                r#"{"error":{"message":"There is no such path.","type":"invalid_request_error","param":null,"code":"unknown_url"}}"#,
            )),
        }
    }

    async fn generate(&self, api: Api, request: Request<Incoming>) -> Result<Response<Reply>, Cut> {
        let at = Instant::now();
        let headers = request.headers();
        let plan = match header(headers, PLAN_HEADER).map_or(Ok(Plan::Ok), str::parse) {
            Ok(plan) => plan,
            Err(reason) => {
                return Ok(plain(400, JSON, invalid(&format!("{PLAN_HEADER}: {reason}"))));
            }
        };
        let attempt =
            header(headers, ATTEMPT_HEADER).and_then(|text| text.parse().ok()).unwrap_or(1);
        let exact_tokens = header(headers, OUTPUT_HEADER).and_then(|text| text.parse().ok());
        let id = header(headers, ID_HEADER).map(str::to_owned);
        let path = api.path().to_owned();
        let mut entry = self.ledger.open(Arrival { at, id, path, plan });

        let body = match Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                return Ok(refuse(entry, 413, JSON, invalid("The request is larger than 64 MiB.")));
            }
            // The client left while it was still speaking. Nobody reads this answer.
            Err(_) => return Err(Cut::Reset),
        };
        let body: RequestBody<'_> = match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(error) => return Ok(refuse(entry, 400, JSON, invalid(&error.to_string()))),
        };
        let ask = body.ask(api, exact_tokens);
        entry.asked(body.model.to_string(), ask.mode, ask.input_tokens);
        let Some(profile) = self.models.get(body.model.as_ref()) else {
            return Ok(refuse(entry, 404, JSON, wire::unknown_model(&body.model)));
        };
        match resolve(plan, profile, attempt) {
            Plan::Reset => {
                entry.end(ServedEnd::Error);
                Err(Cut::Reset)
            }
            Plan::Http(fault) => Ok(fail(entry, fault, profile)),
            // Until the client leaves, or the server is stopped.
            Plan::Timeout | Plan::Abort(Stage::Request) => std::future::pending().await,
            plan => {
                entry.follows(plan);
                Ok(self.speak(profile, &ask, plan, entry).await)
            }
        }
    }

    async fn speak(
        &self,
        profile: &ModelProfile,
        ask: &Ask,
        plan: Plan,
        mut entry: Entry,
    ) -> Response<Reply> {
        let answer = Answer::draw(profile, ask, self.seed ^ hash(entry.id()));
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        if ask.mode == Mode::Stream {
            let writer =
                StreamWriter::new(ask.api, profile, entry.id(), created, ask.include_usage);
            let steps = answer.script(profile, ask, plan);
            entry.status(200);
            let reply = Reply::Paced(PacedReply::new(steps, writer, entry));
            return response(200, wire::stream_content_type(profile.style), reply);
        }
        let stated = (plan != Plan::NoUsage).then_some(answer.usage);
        let body = wire::unary_body(ask.api, profile, entry.id(), created, &answer, stated);
        let sent = Sent::Answer(stated, answer.usage.output);
        sleep_until(entry.received_at() + answer.ready_at(profile)).await;
        entry.status(200);
        response(200, JSON, Reply::Whole(WholeReply::recorded(body, entry, sent)))
    }
}

const JSON: &str = "application/json";

/// Fills in what the plan leaves to the server and to the attempt.
fn resolve(plan: Plan, profile: &ModelProfile, attempt: u32) -> Plan {
    match plan {
        Plan::RetryOnce(_) if attempt > 1 => Plan::Ok,
        Plan::RetryOnce(FirstAttempt::Overloaded) => Plan::Http(HttpFault::Overloaded),
        Plan::RetryOnce(FirstAttempt::Reset) => Plan::Reset,
        Plan::ErrorInStream { after, shape: None } => {
            Plan::ErrorInStream { after, shape: Some(StreamFault::of_style(profile.style)) }
        }
        plan => plan,
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn fail(entry: Entry, fault: HttpFault, profile: &ModelProfile) -> Response<Reply> {
    let (content_type, body) = wire::error_body(fault, profile.style);
    refuse(entry, fault.status(), content_type, body)
}

fn refuse(
    mut entry: Entry,
    status: u16,
    content_type: &'static str,
    body: String,
) -> Response<Reply> {
    entry.status(status);
    let reply = WholeReply::recorded(body, entry, Sent::Error);
    response(status, content_type, Reply::Whole(reply))
}

fn plain(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Reply> {
    response(status, content_type, Reply::Whole(WholeReply::unrecorded(body)))
}

fn response(status: u16, content_type: &'static str, reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    // Every status here is a number from the tables of this crate, so none is out of range.
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The same response in a content coding, errors too: servers that compress, compress everything.
fn coded(response: Response<Reply>, coding: Coding) -> Result<Response<Reply>, Cut> {
    if coding == Coding::Identity {
        return Ok(response);
    }
    let (mut head, reply) = response.into_parts();
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    // Without memory for the coder there is no answer.
    let reply = reply.coded(coding).map_err(|_| Cut::Close)?;
    Ok(Response::from_parts(head, reply))
}

fn invalid(message: &str) -> String {
    let message = serde_json::Value::from(message);
    format!(
        r#"{{"error":{{"message":{message},"type":"invalid_request_error","param":null,"code":null}}}}"#
    )
}

/// FNV-1a: the same on every machine and in every version, which the standard hasher does not promise.
fn hash(text: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    text.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
