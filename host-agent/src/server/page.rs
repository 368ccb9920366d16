//! The live page at `/`: files that are compiled in. It loads nothing from anywhere else.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::snapshot::Latest;

/// What the page may do: run and ask for what comes from here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Path, media type and text of a file of `page/`.
macro_rules! files {
    ($($file:literal: $media:expr),* $(,)?) => {
        [$((concat!("/page/", $file), $media, include_str!(concat!("../../page/", $file)))),*]
    };
}

const INDEX: &str = include_str!("../../page/index.html");

const FILES: &[(&str, &str, &str)] = &files! {
    "style.css": CSS,
    "icon.svg": "image/svg+xml",
    "main.js": SCRIPT,
    "feed.js": SCRIPT,
    "choice.js": SCRIPT,
    "totals.js": SCRIPT,
    "window.js": SCRIPT,
    "text.js": SCRIPT,
    "dom.js": SCRIPT,
    "chart.js": SCRIPT,
    "view/health.js": SCRIPT,
    "view/glance.js": SCRIPT,
    "view/latency.js": SCRIPT,
    "view/models.js": SCRIPT,
    "view/requests.js": SCRIPT,
    "view/money.js": SCRIPT,
    "view/gpus.js": SCRIPT,
    "view/sources.js": SCRIPT,
    "vendor/uPlot.iife.min.js": SCRIPT,
    "vendor/uPlot.min.css": CSS,
    "vendor/LICENSE": TEXT,
};

/// The page's routes.
pub(super) fn routes() -> Router<Arc<Latest>> {
    let index = ("/", HTML, INDEX);
    [index].iter().chain(FILES).fold(Router::new(), |router, (path, media, text)| {
        let file = File::new(media, text);
        router.route(path, get(move |headers: HeaderMap| async move { file.answer(&headers) }))
    })
}

/// A file as it is answered.
#[derive(Clone)]
struct File {
    media: &'static str,
    text: &'static str,
    /// Of the text, so that a new agent's page is loaded and an old one's is not loaded again.
    tag: Option<HeaderValue>,
}

impl File {
    fn new(media: &'static str, text: &'static str) -> Self {
        let digest: String =
            Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { media, text, tag: HeaderValue::try_from(format!("\"{digest}\"")).ok() }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = self.tag.is_some() && headers.get(IF_NONE_MATCH) == self.tag.as_ref();
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, HeaderValue::from_static(self.media))], self.text).into_response()
        };
        let answer = response.headers_mut();
        answer.extend(self.tag.clone().map(|tag| (ETAG, tag)));
        answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }
}
