//! Paths where a stream opens, and where its client sends; and those for clients that only listen:
//!
//! | path | method | what it is | if |
//! |---|---|---|---|
//! | `/connection/http_stream` | POST | lines of JSON, for ever, or Protobuf where the body is; it has the first commands | `client.http_stream` |
//! | `/connection/sse` | GET, POST | events of JSON; `cf_connect` in the query or the body has the first commands | `client.sse` |
//! | `/emulation` | POST | further commands, answered 204 when they are taken | one of these |
//! | `/connection/uni_http_stream` | POST | pushes as lines; the body is a connect request | `client.uni_http_stream` |
//! | `/connection/uni_sse` | GET, POST | pushes as events | `client.uni_sse` |
//! | `/connection/uni_websocket` | GET | pushes over a WebSocket; `cf_connect` or the first message is a connect request | `client.uni_websocket` |
//!
//! Pages of other sites may use them if they may connect, so a browser's question ahead of a request (OPTIONS) is answered, and every answer
//! says which page it is for.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use ringway_core::Incarnation;
use ringway_core::message::Post;
use ringway_edge::hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CACHE_CONTROL,
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN, PRAGMA, VARY,
};
use ringway_edge::hyper::{Method, Request, Response, StatusCode};
use ringway_edge::{Body, RequestBody, Route, Stream, Upgrade, plain_response};
use ringway_hub::{ApiAnswer, ApiRequest};
use ringway_protocol::centrifuge::{json, protobuf};
use ringway_protocol::dialect::Dialect;
use ringway_protocol::framing::Framing;

use super::lines::SessionName;
use super::origin;
use super::routes::{FOREIGN_PAGE, SocketRoutes};
use super::streaming::{EmulatedHandler, OneWayHandler};

/// Bytes of a posted body beside its commands, each byte of which may be escaped.
const POSTED_OVERHEAD: usize = 1024;

/// The kind of a body that is Protobuf.
const PROTOBUF: &str = "application/octet-stream";

/// What such a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Both(Dialect),
    One(Dialect),
    Post,
}

/// An answer other than a stream.
type Refusal = Response<Body>;

impl SocketRoutes {
    /// Whether a path is one of these.
    pub fn is_stream(&self, path: &str) -> bool {
        self.way(path).is_some()
    }

    fn way(&self, path: &str) -> Option<Way> {
        let on = self.config.transports;
        let (is_on, way) = match path {
            "/connection/http_stream" => (on.http_stream, Way::Both(Dialect::HTTP_STREAM)),
            "/connection/sse" => (on.sse, Way::Both(Dialect::SSE)),
            "/connection/uni_http_stream" => (on.uni_http_stream, Way::One(Dialect::UNI_HTTP_STREAM)),
            "/connection/uni_sse" => (on.uni_sse, Way::One(Dialect::UNI_SSE)),
            "/connection/uni_websocket" => (on.uni_websocket, Way::One(Dialect::UNI_WEBSOCKET)),
            "/emulation" => (on.http_stream || on.sse, Way::Post),
            _ => return None,
        };
        is_on.then_some(way)
    }

    /// What a request for one of these paths gets.
    pub async fn stream(&self, request: Request<RequestBody>, from: IpAddr) -> Route {
        if !origin::may_stream(request.headers(), &self.config) {
            self.refusals.origin.fetch_add(1, Ordering::Relaxed);
            return Route::Http(plain_response(StatusCode::FORBIDDEN, FOREIGN_PAGE));
        }
        let origin = request.headers().get(ORIGIN).cloned();
        let is_protobuf = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == PROTOBUF);
        let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let Some(way) = self.way(request.uri().path()) else {
            return Route::Http(plain_response(StatusCode::NOT_FOUND, "there is nothing at this address\n"));
        };
        let way = match way {
            Way::Both(Dialect::HTTP_STREAM) if is_protobuf => Way::Both(Dialect::HTTP_STREAM_PROTOBUF),
            way => way,
        };
        let answer = match (way, request.method()) {
            (_, &Method::OPTIONS) => Err(preflight(asked)),
            (Way::Post, &Method::POST) => Err(self.posted(request, is_protobuf).await),
            (Way::Both(dialect) | Way::One(dialect), method) if takes(dialect, method) => {
                self.first(dialect, request).await.map(|first| (dialect, first))
            }
            (way, _) => Err(wrong_method(way)),
        };
        match answer {
            Ok((dialect, first)) => self.open(dialect, first, from, origin.as_ref()),
            Err(mut refusal) => {
                allow(refusal.headers_mut(), origin.as_ref());
                Route::Http(refusal)
            }
        }
    }

    fn open(&self, dialect: Dialect, first: Option<Bytes>, from: IpAddr, origin: Option<&HeaderValue>) -> Route {
        let (desk, options, farewell) = (self.desks.deal().clone(), self.options(), farewell(dialect));
        let mut head = head(dialect);
        allow(head.headers_mut(), origin);
        match (dialect.is_one_way(), first) {
            (true, first) if dialect == Dialect::UNI_WEBSOCKET => {
                let handler = OneWayHandler::new(desk, from, dialect, first);
                Route::Upgrade(Upgrade::new(handler, options).with_farewell(farewell))
            }
            (true, first) => {
                let first = first.unwrap_or_else(|| Bytes::from_static(b"{}"));
                let handler = OneWayHandler::new(desk, from, dialect, Some(first));
                Route::Stream(Stream::new(head, handler, options, farewell))
            }
            (false, first) => {
                let handler = EmulatedHandler::new(desk, from, dialect, first.unwrap_or_default());
                Route::Stream(Stream::new(head, handler, options, farewell))
            }
        }
    }

    /// What the client asks first, out of the query or the body. One that only listens may ask for nothing there.
    async fn first(&self, dialect: Dialect, request: Request<RequestBody>) -> Result<Option<Bytes>, Refusal> {
        let limit = self.config.limits.message_bytes;
        let first = if request.method() == Method::POST {
            Some(body(request, limit).await?)
        } else {
            query(&request, "cf_connect").map(|query| Bytes::from(query.into_owned()))
        };
        match &first {
            Some(first) if first.len() > limit => Err(too_large()),
            Some(first) if dialect.is_one_way() && json::decode_connect(first).is_err() => Err(bad(NO_CONNECT)),
            None if !dialect.is_one_way() => Err(bad(NO_COMMANDS)),
            _ => Ok(first),
        }
    }

    /// Hands on what was posted for a session.
    async fn posted(&self, request: Request<RequestBody>, is_protobuf: bool) -> Refusal {
        let limit = self.config.limits.message_bytes;
        let body = match body(request, 2 * limit + POSTED_OVERHEAD).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let posted = match is_protobuf {
            true => protobuf::decode_emulated(&body).ok(),
            false => json::decode_emulated(&body).ok(),
        };
        let Some(posted) = posted else { return bad(NO_POST) };
        let Ok(name) = u128::from_str_radix(&posted.session, 16) else { return unknown() };
        if posted.data.len() > limit {
            return too_large();
        }
        let data = Bytes::copy_from_slice(&posted.data);
        let Some(line) = self.desks.all().iter().find_map(|desk| desk.intake.lines.find(name)) else {
            return self.pass_on(&posted.node, name, data).await;
        };
        match line.post(data) {
            Err(_) => plain_response(StatusCode::TOO_MANY_REQUESTS, "too much of this session waits; send it slower\n"),
            Ok(taken) => match taken.await {
                Ok(()) => taken_in(),
                Err(_) => unknown(),
            },
        }
    }

    /// Has the session's own gateway take it. One of ours that is named has no such session.
    async fn pass_on(&self, node: &str, session: SessionName, data: Bytes) -> Refusal {
        let Ok(gateway) = u64::from_str_radix(node, 16) else { return unknown() };
        let post = Post { gateway: Incarnation(gateway), session, number: rand::random(), data };
        match self.desks.all()[0].intake.call(ApiRequest::Post(Box::new(post))).await {
            Ok(ApiAnswer::Posted(true)) => taken_in(),
            Ok(ApiAnswer::Posted(false)) => unknown(),
            _ => unreached(),
        }
    }
}

const NO_POST: &str = "the body is no Protobuf, or no such JSON as {\"session\": \"…\", \"node\": \"…\", \"data\": \"commands as text\"}\n";

const NO_CONNECT: &str = "the connect request is no such JSON as {\"token\": \"…\"}\n";
const NO_COMMANDS: &str =
    "there are no commands: put them, with a connect first, into cf_connect of the query or into the body of a POST\n";

fn takes(dialect: Dialect, method: &Method) -> bool {
    match dialect.framing {
        Framing::WebSocketText | Framing::WebSocketBinary => method == Method::GET,
        Framing::Events => method == Method::GET || method == Method::POST,
        Framing::Lines | Framing::Delimited => method == Method::POST,
    }
}

/// Makes the last that a client of this dialect hears; a plain function, so that no connection has to hold more than its address.
fn farewell(dialect: Dialect) -> ringway_edge::Farewell {
    match dialect {
        Dialect::SSE => |code, reason| Dialect::SSE.farewell(code, reason),
        Dialect::HTTP_STREAM_PROTOBUF => |code, reason| Dialect::HTTP_STREAM_PROTOBUF.farewell(code, reason),
        Dialect::UNI_SSE => |code, reason| Dialect::UNI_SSE.farewell(code, reason),
        Dialect::UNI_WEBSOCKET => |code, reason| Dialect::UNI_WEBSOCKET.farewell(code, reason),
        Dialect::UNI_HTTP_STREAM => |code, reason| Dialect::UNI_HTTP_STREAM.farewell(code, reason),
        _ => |code, reason| Dialect::HTTP_STREAM.farewell(code, reason),
    }
}

/// The head of a stream. No proxy is to keep, change or hold back anything of it.
fn head(dialect: Dialect) -> Response<()> {
    let is_events = dialect == Dialect::SSE || dialect == Dialect::UNI_SSE;
    let kind = if is_events { "text/event-stream; charset=utf-8" } else { "application/octet-stream" };
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let not_kept = "private, no-cache, no-store, no-transform, must-revalidate, max-age=0";
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(not_kept));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Lets a page read an answer, which may come with its cookies.
fn allow(headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
    let Some(origin) = origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

/// The answer to a browser that asks ahead.
fn preflight(asked: Option<HeaderValue>) -> Refusal {
    let mut response = taken_in();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("300"));
    if let Some(asked) = asked {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    response
}

fn taken_in() -> Refusal {
    let mut response = plain_response(StatusCode::NO_CONTENT, "");
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

fn wrong_method(way: Way) -> Refusal {
    let allowed = match way {
        Way::Both(dialect) | Way::One(dialect) if dialect.framing == Framing::Events => "GET, POST",
        Way::One(Dialect::UNI_WEBSOCKET) => "GET",
        _ => "POST",
    };
    let mut response = plain_response(StatusCode::METHOD_NOT_ALLOWED, format!("this address takes {allowed}\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn too_large() -> Refusal {
    plain_response(StatusCode::PAYLOAD_TOO_LARGE, "the commands are larger than a message may be; send fewer at once\n")
}

fn unknown() -> Refusal {
    let text = "there is no such session, or none any more: connect, and use the session and the node of that answer\n";
    plain_response(StatusCode::NOT_FOUND, text)
}

fn unreached() -> Refusal {
    let text = "the gateway of this session cannot be reached now, or has too much to do; try again\n";
    plain_response(StatusCode::SERVICE_UNAVAILABLE, text)
}

fn bad(text: &'static str) -> Refusal {
    plain_response(StatusCode::BAD_REQUEST, text)
}

/// A request's body, up to a size.
async fn body(request: Request<RequestBody>, limit: usize) -> Result<Bytes, Refusal> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(bad("the request's body broke off\n")),
    }
}

/// A field of the query that is not empty, percent-decoded. What is no text is no command either, and is found to be none later.
fn query<'a, B>(request: &'a Request<B>, name: &str) -> Option<Cow<'a, str>> {
    let fields = request.uri().query().unwrap_or_default().split('&');
    let value = fields.filter_map(|field| field.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value);
    let value = value.filter(|value| !value.is_empty())?;
    let spaced = if value.contains('+') { Cow::Owned(value.replace('+', " ")) } else { Cow::Borrowed(value) };
    Some(Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned()))
}
