//! The server's half of the opening handshake (RFC 6455, 4.2).

use super::{Body, empty_body, last_response, plain_response};
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, Version};
use ringway_protocol::ws;
use std::time::Duration;

/// What a request says about an upgrade, kept while the router has the request.
#[derive(Debug)]
pub(super) struct UpgradeRequest {
    method: Method,
    version: Version,
    websocket: bool,
    upgrade: bool,
    protocol_version: Option<HeaderValue>,
    key: Option<HeaderValue>,
    has_body: bool,
}

/// Why a request can't be upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Method,
    Http10,
    NoUpgrade,
    NoConnection,
    Version,
    Key,
    Body,
}

impl UpgradeRequest {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        Self {
            method: request.method().clone(),
            version: request.version(),
            websocket: has_token(headers, &UPGRADE, "websocket"),
            upgrade: has_token(headers, &CONNECTION, "upgrade"),
            protocol_version: only(headers, &SEC_WEBSOCKET_VERSION),
            key: only(headers, &SEC_WEBSOCKET_KEY),
            has_body: has_body(headers),
        }
    }

    /// The client's key, if everything is in order.
    pub(super) fn check(self) -> Result<String, Refusal> {
        if self.method != Method::GET {
            return Err(Refusal::Method);
        }
        if self.version != Version::HTTP_11 {
            return Err(Refusal::Http10);
        }
        if !self.websocket {
            return Err(Refusal::NoUpgrade);
        }
        if !self.upgrade {
            return Err(Refusal::NoConnection);
        }
        if self.protocol_version.is_none_or(|version| version != "13") {
            return Err(Refusal::Version);
        }
        // What follows the head would be read as frames, and a proxy may have thought otherwise.
        if self.has_body {
            return Err(Refusal::Body);
        }
        let key = self.key.as_ref().and_then(|key| key.to_str().ok()).unwrap_or_default();
        if ws::is_valid_key(key) { Ok(key.to_owned()) } else { Err(Refusal::Key) }
    }
}

impl Refusal {
    pub(super) fn response(self) -> Response<Body> {
        let (status, text) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "a WebSocket is opened with GET\n"),
            Self::Http10 => (StatusCode::BAD_REQUEST, "a WebSocket needs HTTP/1.1\n"),
            Self::NoUpgrade => (
                StatusCode::BAD_REQUEST,
                "this address speaks WebSocket: the header \"Upgrade: websocket\" is missing\n",
            ),
            Self::NoConnection => {
                (StatusCode::BAD_REQUEST, "the header \"Connection: Upgrade\" is missing; does a proxy remove it?\n")
            }
            Self::Version => (StatusCode::UPGRADE_REQUIRED, "only Sec-WebSocket-Version 13 is spoken here\n"),
            Self::Key => (StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be there once, with 16 bytes in Base64\n"),
            Self::Body => (StatusCode::BAD_REQUEST, "a request that opens a WebSocket has no body\n"),
        };
        let mut response = plain_response(status, text);
        let headers = response.headers_mut();
        match self {
            Self::Method => headers.insert(ALLOW, HeaderValue::from_static("GET")),
            Self::Version => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            }
            _ => None,
        };
        response
    }
}

pub(super) fn over_limit(retry_after: Duration) -> Response<Body> {
    let text = "this gateway has as many connections as it may hold; try again later or another one\n";
    let mut response = plain_response(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
    response
}

/// For one who found no room in the HTTP stage.
pub(super) fn no_room(retry_after: Duration) -> Response<Body> {
    let text = "this gateway answers as many requests as it may at a time; try again later or another one\n";
    let mut response = last_response(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
    response
}

pub(super) fn late_body() -> Response<Body> {
    last_response(
        StatusCode::REQUEST_TIMEOUT,
        "the request's body did not come in time; send it faster, or in smaller parts\n",
    )
}

pub(super) fn switching_protocols(key: &str, subprotocol: Option<&HeaderValue>) -> Response<Body> {
    let mut response = Response::new(empty_body());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::try_from(ws::accept_key(key)) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(name) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name.clone());
    }
    response
}

/// For a request that does not say properly which host it is for (RFC 9112, 3.2), if it is one. Before version 1.1 none needed to.
pub(super) fn wrong_host<B>(request: &Request<B>) -> Option<Response<Body>> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let text = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => return None,
        (None, _) => "the header Host is missing: HTTP/1.1 needs it\n",
        (Some(host), None) if is_host(host) => return None,
        (Some(_), None) => {
            "the header Host names no host: it is a name or an address, and a port where that is not 80\n"
        }
        (Some(_), Some(_)) => "the header Host is there more than once\n",
    };
    Some(last_response(StatusCode::BAD_REQUEST, text))
}

/// An empty one is what is sent for an address that has no host.
fn is_host(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    text.is_empty() || (!text.contains('@') && text.parse::<Authority>().is_ok())
}

/// The field's value, if it is there once.
fn only(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none()).cloned()
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Whether a comma-separated header has `token`, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
