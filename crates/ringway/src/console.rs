//! The page at `/`. Its files are part of the binary; it speaks only to the public HTTP API of its own origin.
//!
//! | route | answers |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /console/{file}` | its scripts, style and pictures |
//! | `GET /console/clients.json` | `{"clients":ADDRESS}`: where clients connect; `""` for the page's own origin, null if there are none here |

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Nothing but our own files, no inline code, no frames around the page: it holds the admin token. What it may connect to follows.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'";

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

/// Where the clients of the page connect: its chat boxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// Where the page is.
    Here,
    /// At another port of the same process.
    Elsewhere {
        /// `host:port` where clients reach it, if that is not where it listens.
        advertise: Option<String>,
        /// Where it listens for them.
        listen: SocketAddr,
    },
    /// Nowhere: this process is no gateway.
    Nowhere,
}

impl Clients {
    /// Where a browser connects that found the page at this host: `""` for there, `None` for nowhere.
    fn address(&self, headers: &HeaderMap) -> Option<String> {
        match self {
            Self::Here => Some(String::new()),
            Self::Elsewhere { advertise: Some(address), .. } => Some(address.clone()),
            // On all addresses, so on the one as well that the page was found at.
            Self::Elsewhere { listen, .. } if listen.ip().is_unspecified() => {
                let host = headers.get(HOST)?.to_str().ok()?;
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
                Some(format!("{name}:{}", listen.port()))
            }
            Self::Elsewhere { listen, .. } => Some(listen.to_string()),
            Self::Nowhere => None,
        }
    }

    /// The policy with that address in it, unless it could be anything else.
    fn policy(&self, headers: &HeaderMap) -> HeaderValue {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let address = self.address(headers).filter(|address| !address.is_empty() && address.chars().all(is_plain));
        let policy = address.map(|address| format!("{POLICY} ws://{address} wss://{address}"));
        policy.and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(HeaderValue::from_static(POLICY))
    }
}

/// The routes.
pub fn routes(clients: Clients) -> Router {
    let page = |State(clients): State<Arc<Clients>>, headers: HeaderMap| async move {
        answer("index.html", &headers, &clients)
    };
    let file = |State(clients): State<Arc<Clients>>, Path(file): Path<String>, headers: HeaderMap| async move {
        answer(&file, &headers, &clients)
    };
    let place = |State(clients): State<Arc<Clients>>, headers: HeaderMap| async move {
        ([(CACHE_CONTROL, "no-store")], Json(json!({"clients": clients.address(&headers)})))
    };
    Router::new()
        .route("/", get(page))
        .route("/console/clients.json", get(place))
        .route("/console/{file}", get(file))
        .with_state(Arc::new(clients))
}

fn answer(name: &str, asked: &HeaderMap, clients: &Clients) -> Response {
    let Some((name, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(name))),
        (CONTENT_SECURITY_POLICY, clients.policy(asked)),
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
