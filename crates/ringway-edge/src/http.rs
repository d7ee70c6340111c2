//! The HTTP stage of a connection: plain requests, and the handshake that ends it.

mod stream;
mod upgrade;
mod watched;

use crate::conn::{Driver, Farewell};
use crate::door::{Class, Door, Seat};
use crate::proxies;
use crate::shared::{OpenSlot, Shared};
use crate::stats::add;
use crate::{ConnOptions, Handler};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use ringway_protocol::ws;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use watched::{Produced, Stage, Watched};

pub use watched::RequestBody;

/// Most bytes of a request's head, and of what is read ahead of its body: as much as common servers allow.
const MAX_HEAD: usize = 16 * 1024;

/// Most header fields; browsers behind several proxies send about 30.
const MAX_HEADERS: usize = 64;

/// How long, and how much, a request that is still arriving is read after its answer: closing at once would reset the
/// connection, and the client would never see the answer.
const LINGER: Duration = Duration::from_millis(500);
const MAX_LINGER_BYTES: usize = 1024 * 1024;

/// Any error of a body's stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The client's address, among the extensions of every request: the other end of the connection, or whom a trusted proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

/// Decides what a request gets. How large a body may be, and how long the work on an answer takes, are the router's own.
pub trait Router: Send + Sync + 'static {
    /// Answers `request`, which came from `peer`.
    fn route(&self, request: Request<RequestBody>, peer: SocketAddr) -> impl Future<Output = Route> + Send;

    /// What a request with this path is for.
    fn class(&self, _path: &str) -> Class {
        Class::Client
    }
}

/// A router's decision.
#[derive(Debug)]
pub enum Route {
    /// A plain HTTP answer.
    Http(Response<Body>),
    /// A WebSocket, if the request turns out to ask for one properly and the connection limit has room.
    Upgrade(Upgrade),
    /// An answer without an end, if the connection limit has room.
    Stream(Stream),
}

impl Route {
    /// A plain HTTP answer with any kind of body.
    pub fn http<B>(response: Response<B>) -> Self
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Http(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

/// How to serve an upgraded connection. If the upgrade is refused after all (a faulty request, the connection limit, a
/// client that is gone), the handler is dropped without any call.
pub struct Upgrade {
    handler: Box<dyn Handler>,
    options: ConnOptions,
    subprotocol: Option<HeaderValue>,
    farewell: Farewell,
}

impl Upgrade {
    /// Serves the socket with `handler` within `options`.
    pub fn new(handler: impl Handler, options: ConnOptions) -> Self {
        Self { handler: Box::new(handler), options, subprotocol: None, farewell: ws::close_frame }
    }

    /// Has more than a close frame sent last when this side closes; it ends with one.
    #[must_use]
    pub fn with_farewell(self, farewell: Farewell) -> Self {
        Self { farewell, ..self }
    }

    /// Names the chosen one of the client's subprotocols in the answer.
    #[must_use]
    pub fn with_subprotocol(mut self, name: &'static str) -> Self {
        self.subprotocol = Some(HeaderValue::from_static(name));
        self
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("options", &self.options).finish_non_exhaustive()
    }
}

/// How to serve a response that streams: its connection is as one that was upgraded, but that the peer sends nothing over it. What the
/// [`Conn`](crate::Conn) sends is the body as it is, which ends with the connection.
pub struct Stream {
    head: Response<()>,
    handler: Box<dyn Handler>,
    options: ConnOptions,
    farewell: Farewell,
}

impl Stream {
    /// Answers with `head`, which says nothing of the body's length, and goes on with `handler` within `options`. `farewell` makes what is sent
    /// last when this side closes.
    pub fn new(head: Response<()>, handler: impl Handler, options: ConnOptions, farewell: Farewell) -> Self {
        Self { head, handler: Box::new(handler), options, farewell }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("head", &self.head).field("options", &self.options).finish_non_exhaustive()
    }
}

/// A body of known bytes.
pub(crate) fn full_body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn empty_body() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// An answer of plain text.
pub fn plain_response(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full_body(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// An answer after which the connection is closed: its client has been slow, or there is no room for it.
fn last_response(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = plain_response(status, text);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What becomes of the connection once nothing more of HTTP is to be written.
enum Promise {
    /// The 101 is written.
    Upgrade(Upgrade, OpenSlot),
    /// Nothing of the answer is written: the head is the first that the stream sends.
    Stream(Stream, OpenSlot),
}

/// Where a connection comes from, and what it gets from.
pub(crate) struct Arrival<R> {
    pub(crate) edge: Arc<Shared>,
    pub(crate) router: Arc<R>,
    pub(crate) peer: SocketAddr,
    pub(crate) seat: Seat,
}

/// Where a newcomer counts: not yet where a trusted proxy is to say for whom it asks.
pub(crate) fn enter(edge: &Shared, door: &Arc<Door>, peer: SocketAddr) -> Option<Seat> {
    door.enter((!edge.config.proxies.trusts(peer.ip())).then_some(peer.ip()))
}

/// Serves one accepted connection until it is closed or upgraded, or has to make room.
pub(crate) async fn serve<R: Router>(arrival: Arrival<R>, mut stream: TcpStream, stop: watch::Receiver<bool>) {
    let Arrival { edge, router, mut peer, seat } = arrival;
    let stage = Arc::new(Stage::new(edge.clone(), seat));
    let served = async {
        if edge.config.proxies.speaks_protocol(peer.ip()) {
            match proxies::read_header(&mut stream, edge.config.header_timeout).await {
                Ok(client) => peer = client.unwrap_or(peer),
                Err(error) => {
                    add(&edge.stats.closed.proxy, 1);
                    tracing::debug!(%peer, %error, "a trusted proxy did not say for whom it asks");
                    return;
                }
            }
        }
        requests(&edge, &router, &stage, stream, peer, stop).await;
    };
    tokio::select! {
        () = served => {}
        () = stage.seat.lost() => {}
    }
}

/// Answers requests. An upgraded connection goes on in a task of its own, so that nothing of this one's memory stays with it.
async fn requests<R: Router>(
    edge: &Arc<Shared>,
    router: &Arc<R>,
    stage: &Arc<Stage>,
    stream: TcpStream,
    peer: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let promise = Arc::new(Mutex::new(None));
    let service = service_fn(|request| Box::pin(answer(edge, router, stage, &promise, request, peer)));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(edge.config.header_timeout)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Watched::new(stream, stage.clone())), service);
    // A stream is taken from hyper before it has written anything of the answer, and after all of the answers before it.
    let is_streaming = || matches!(*promise.lock(), Some(Promise::Stream(..))) && stage.is_idle();
    let or_streaming = |served: Poll<hyper::Result<()>>| match served {
        Poll::Pending if is_streaming() => Poll::Ready((Ok(()), true)),
        served => served.map(|served| (served, false)),
    };
    let served = tokio::select! {
        served = poll_fn(|cx| or_streaming(connection.poll_without_shutdown(cx))) => Some(served),
        () = until_stopped(&mut stop) => None,
    };
    let (served, is_streaming) = match served {
        Some(served) => served,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| or_streaming(connection.poll_without_shutdown(cx))).await
        }
    };
    let parts = connection.into_parts();
    let stream = parts.io.into_inner().stream;
    let promise = promise.lock().take();
    match (served, promise) {
        (Ok(()), Some(Promise::Upgrade(Upgrade { options, handler, farewell, .. }, slot))) => {
            let terms = (&options, farewell);
            let driver = Driver::of_websocket(stream, &parts.read_buf, edge.clone(), slot, terms, handler);
            tokio::spawn(driver);
        }
        (Ok(()), Some(Promise::Stream(Stream { head, handler, options, farewell }, slot))) if is_streaming => {
            let head = stream::head(&head);
            let driver = Driver::of_stream(stream, head, edge.clone(), slot, (&options, farewell), handler);
            tokio::spawn(driver);
        }
        (Ok(()), Some(Promise::Stream(..))) => {}
        (Ok(()), None) => linger(stream).await,
        (Err(error), _) => {
            if error.is_timeout() {
                add(&edge.stats.closed.head, 1);
            }
            tracing::debug!(%peer, %error, "http connection ended");
        }
    }
}

async fn answer<R: Router>(
    edge: &Arc<Shared>,
    router: &Arc<R>,
    stage: &Arc<Stage>,
    promise: &Mutex<Option<Promise>>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Produced>, Infallible> {
    let response = match admit(edge, router, stage, &request, peer) {
        Some(client) => match upgrade::wrong_host(&request) {
            Some(refusal) => refusal,
            None => routed(edge, router, stage, promise, request, client).await,
        },
        None => upgrade::no_room(edge.config.retry_after),
    };
    let response = if stage.is_late() { upgrade::late_body() } else { response };
    Ok(response.map(|body| stage.answer(body)))
}

/// The client, if there is room for what it asks.
fn admit<R: Router>(
    edge: &Shared,
    router: &Arc<R>,
    stage: &Stage,
    request: &Request<Incoming>,
    peer: SocketAddr,
) -> Option<SocketAddr> {
    let client = edge.config.proxies.client_of(peer.ip(), request.headers());
    stage.begin(client, router.class(request.uri().path())).then_some(SocketAddr::new(client, peer.port()))
}

async fn routed<R: Router>(
    edge: &Arc<Shared>,
    router: &Arc<R>,
    stage: &Arc<Stage>,
    promise: &Mutex<Option<Promise>>,
    request: Request<Incoming>,
    client: SocketAddr,
) -> Response<Body> {
    let asked = upgrade::UpgradeRequest::of(&request);
    let mut request = request.map(|body| RequestBody::new(body, stage.clone()));
    request.extensions_mut().insert(ClientAddr(client.ip()));
    let upgrade = match router.route(request, client).await {
        Route::Http(response) => return response,
        Route::Upgrade(upgrade) => upgrade,
        Route::Stream(stream) => {
            let Some(slot) = edge.open_slot() else { return upgrade::over_limit(edge.config.retry_after) };
            *promise.lock() = Some(Promise::Stream(stream, slot));
            return std::future::pending().await;
        }
    };
    let key = match asked.check() {
        Ok(key) => key,
        Err(refusal) => return refusal.response(),
    };
    let Some(slot) = edge.open_slot() else { return upgrade::over_limit(edge.config.retry_after) };
    let response = upgrade::switching_protocols(&key, upgrade.subprotocol.as_ref());
    *promise.lock() = Some(Promise::Upgrade(upgrade, slot));
    response
}

/// Ends when the edge stops accepting; dropping its last handle is no reason to.
pub(crate) async fn until_stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn linger(mut stream: TcpStream) {
    let drained = tokio::time::timeout(LINGER, async {
        stream.shutdown().await?;
        let mut buffer = [0; 1024];
        let mut total = 0;
        while total < MAX_LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                count => total += count,
            }
        }
        std::io::Result::Ok(())
    });
    // Best effort: the answer is out, and the client may be gone.
    let _ = drained.await;
}
