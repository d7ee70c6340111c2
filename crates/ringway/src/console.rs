//! The page at `/`. Its files are part of the binary; it speaks only to the public HTTP API of its own origin.
//!
//! | route | answers |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /console/{file}` | its scripts, style and pictures |

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// Nothing but our own files, no inline code, no frames around the page: it holds the admin token.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../console/", $name)))),*]
    };
}

/// Every file of the page. A test holds this list to the directory.
const FILES: &[(&str, &[u8])] = files![
    "index.html",
    "style.css",
    "icon.svg",
    "api.js",
    "app.js",
    "changes.js",
    "chat.js",
    "dom.js",
    "events.js",
    "members.js",
    "palette.js",
    "poll.js",
    "ring.js",
    "sequence.js",
    "socket.js",
    "strip.js",
];

/// One for all files: they belong together, so they change together. A browser asks each time and gets 304 while nothing did.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (_, bytes) in FILES {
        digest.update(bytes);
    }
    let sum = u64::from_be_bytes(digest.finalize()[..8].try_into().expect("eight of 32 bytes"));
    HeaderValue::try_from(format!("\"{sum:016x}\"")).expect("hexadecimal digits in quotes")
});

/// The routes.
pub fn routes() -> Router {
    Router::new().route("/", get(|headers: HeaderMap| async move { answer("index.html", &headers) })).route(
        "/console/{file}",
        get(|Path(file): Path<String>, headers: HeaderMap| async move { answer(&file, &headers) }),
    )
}

fn answer(name: &str, asked: &HeaderMap) -> Response {
    let Some((name, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(name))),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ETAG, TAG.clone()),
    ];
    match asked.get(IF_NONE_MATCH) == Some(&*TAG) {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, *bytes).into_response(),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
