//! The pages. A request is answered from the last snapshot and waits for no source.

mod login;
mod page;
mod web_config;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

use crate::render;
use crate::snapshot::Latest;
use login::Users;
use web_config::Access;
pub(crate) use web_config::WebConfig;
pub use web_config::WebConfigError;

/// Connections at once; more wait in the listen queue.
const MAX_CONNECTIONS: u32 = 64;
/// For a whole connection, which carries one request: reading it, answering it, sending the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after a failed accept, such as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then lets running answers finish within their time.
pub(crate) async fn serve(
    listener: TcpListener,
    web: WebConfig,
    latest: Arc<Latest>,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(latest);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let accept = async {
        loop {
            // The semaphore is never closed; if it were, nothing could be served.
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (access, router) = (web.access(), router.clone());
                    tokio::spawn(async move {
                        answer(stream, access, router).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    log::warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    // All permits are back when the last answer is out.
    let drained = connections.acquire_many(MAX_CONNECTIONS);
    let drained: Result<Result<SemaphorePermit<'_>, _>, _> =
        timeout(CONNECTION_TIMEOUT, drained).await;
    if drained.is_err() {
        log::warn!("connections were cut at shutdown");
    }
}

async fn answer(stream: TcpStream, access: Access, router: Router) {
    let router = match access.users {
        None => router,
        Some(users) => router.layer(middleware::from_fn_with_state(users, let_in)),
    };
    let connection = async {
        match access.tls {
            None => speak(stream, router).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => speak(stream, router).await,
                Err(error) => log::debug!("connection: TLS: {error}"),
            },
        }
    };
    if timeout(CONNECTION_TIMEOUT, connection).await.is_err() {
        log::debug!("connection: cut after {CONNECTION_TIMEOUT:?}");
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send, router: Router) {
    let connection = hyper::server::conn::http1::Builder::new()
        // One request per connection, so that one deadline bounds all that a client can hold.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        log::debug!("connection: {error}");
    }
}

async fn let_in(State(users): State<Arc<Users>>, request: Request, next: Next) -> Response {
    if users.allow(request.headers()).await {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))];
    (StatusCode::UNAUTHORIZED, challenge, "unauthorized\n").into_response()
}

/// What every answer says to a browser: the type is not to be guessed, and unless the answer has a
/// policy of its own this is nothing to run scripts on.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn router(latest: Arc<Latest>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/api/v1/summary", get(summary))
        .route("/api/v1/series", get(series))
        .route("/api/v1/live", get(live))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(page::routes())
        .layer(middleware::map_response(harden))
        .with_state(latest)
}

/// Always 200: a scrape that fails hides the sources that work.
async fn metrics(State(latest): State<Arc<Latest>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(render::CONTENT_TYPE))], latest.scrape())
}

async fn summary(State(latest): State<Arc<Latest>>) -> impl IntoResponse {
    json(latest.summary().to_string())
}

async fn series(State(latest): State<Arc<Latest>>) -> impl IntoResponse {
    json(latest.series())
}

/// The frames after the cursor of `?after=CURSOR`.
async fn live(State(latest): State<Arc<Latest>>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let query = query.unwrap_or_default();
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("after="));
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (no_store, json(latest.live(cursor)))
}

fn json(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text)
}

async fn ready(State(latest): State<Arc<Latest>>) -> impl IntoResponse {
    match latest.get().taken_at {
        Some(_) => (StatusCode::OK, "ready\n"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the first tick has not finished\n"),
    }
}
