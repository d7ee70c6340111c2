//! An edge with an echo and a probe behind it, and a client that can break every rule.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use ringway_edge::hyper::{Request, Response, StatusCode};
use ringway_edge::{
    Class, Closed, Conn, ConnOptions, Echo, Edge, EdgeConfig, Flow, Handler, Message, RequestBody, Route, Router,
    Stream, Upgrade, plain_response,
};
use ringway_protocol::ws::{self, ClientRequest, Decoder, Event, Opcode, Side};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Far more than anything here takes on a busy machine; a test that meets it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const KEY: [u8; 4] = [1, 2, 3, 4];

/// What the probe saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Open(Arc<Conn>),
    Message(Vec<u8>),
    Pong(Vec<u8>),
    Room,
    Closed(Closed),
}

/// What `/large` answers: more than the kernel takes for who does not read.
pub(crate) const LARGE: usize = 32 << 20;

/// What was left for the handlers of streams.
pub(crate) type Left = Arc<Mutex<VecDeque<&'static str>>>;

/// `/echo` echoes, `/probe` reports to the test, `/stream` the same without an end, `/hello` is plain HTTP, `/operator` the same with room of its own, `/read` reads
/// its body and `/large` answers with much.
pub(crate) struct TestEdge {
    pub(crate) edge: Edge,
    pub(crate) addr: SocketAddr,
    pub(crate) left: Left,
    seen: mpsc::UnboundedReceiver<Seen>,
}

struct TestRouter {
    options: ConnOptions,
    left: Left,
    seen: mpsc::UnboundedSender<Seen>,
}

impl Router for TestRouter {
    async fn route(&self, request: Request<RequestBody>, _peer: SocketAddr) -> Route {
        match request.uri().path() {
            "/echo" => Route::Upgrade(Upgrade::new(Echo, self.options)),
            "/probe" => {
                let probe = Probe { seen: self.seen.clone(), left: self.left.clone() };
                Route::Upgrade(Upgrade::new(probe, self.options).with_subprotocol("probe"))
            }
            "/stream" => {
                let probe = Probe { seen: self.seen.clone(), left: self.left.clone() };
                let head = Response::builder().header("content-type", "text/plain").body(()).unwrap();
                let farewell = |code: u16, reason: &str| Bytes::from(format!("[{code} {reason}]"));
                Route::Stream(Stream::new(head, probe, self.options, farewell))
            }
            "/hello" | "/operator" => Route::http(plain_response(StatusCode::OK, "hello")),
            "/read" => {
                let read = request.into_body().collect().await;
                let length = read.map_or(0, |body| body.to_bytes().len());
                Route::http(plain_response(StatusCode::OK, length.to_string()))
            }
            "/large" => Route::http(plain_response(StatusCode::OK, vec![b'x'; LARGE])),
            _ => Route::http(plain_response(StatusCode::NOT_FOUND, "no such page")),
        }
    }

    fn class(&self, path: &str) -> Class {
        if path == "/operator" { Class::Operator } else { Class::Client }
    }
}

/// Reports everything; obeys `pause`, `early`, `kick me` and `panic`.
struct Probe {
    seen: mpsc::UnboundedSender<Seen>,
    left: Left,
}

impl Handler for Probe {
    fn on_open(&mut self, conn: &Arc<Conn>) {
        let _ = self.seen.send(Seen::Open(conn.clone()));
    }

    fn on_message(&mut self, conn: &Arc<Conn>, message: Message<'_>) -> Flow {
        let _ = self.seen.send(Seen::Message(message.as_bytes().to_vec()));
        match message.as_bytes() {
            b"pause" => Flow::Pause,
            b"early" => {
                conn.resume();
                Flow::Pause
            }
            b"kick me" => {
                conn.close(4000, "");
                Flow::Continue
            }
            b"panic" => panic!("the probe was told to panic"),
            _ => Flow::Continue,
        }
    }

    fn on_call(&mut self, conn: &Arc<Conn>) -> Option<Flow> {
        let left = self.left.lock().unwrap().pop_front()?;
        Some(self.on_message(conn, Message::Binary(left.as_bytes().into())))
    }

    fn on_pong(&mut self, _conn: &Arc<Conn>, payload: &[u8]) {
        let _ = self.seen.send(Seen::Pong(payload.to_vec()));
    }

    fn on_room(&mut self, _conn: &Arc<Conn>) {
        let _ = self.seen.send(Seen::Room);
    }

    fn on_closed(&mut self, _conn: &Arc<Conn>, how: &Closed) {
        let _ = self.seen.send(Seen::Closed(how.clone()));
    }
}

impl TestEdge {
    pub(crate) async fn start() -> Self {
        Self::start_with(EdgeConfig::default(), ConnOptions::default()).await
    }

    pub(crate) async fn start_with(config: EdgeConfig, options: ConnOptions) -> Self {
        Self::start_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), config, options)
    }

    pub(crate) fn start_on(listener: TcpListener, config: EdgeConfig, options: ConnOptions) -> Self {
        let addr = listener.local_addr().unwrap();
        let (seen_tx, seen) = mpsc::unbounded_channel();
        let (edge, left) = (Edge::new(config), Left::default());
        edge.serve(listener, TestRouter { options, left: left.clone(), seen: seen_tx });
        Self { edge, addr, left, seen }
    }

    /// The next thing a probe saw.
    pub(crate) async fn seen(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.expect("the probe sees something").unwrap()
    }

    pub(crate) fn nothing_seen(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }

    /// A client on `/probe` with the server's handle of it.
    pub(crate) async fn probe(&mut self) -> (Client, Arc<Conn>) {
        let client = Client::connect(self.addr, "/probe").await;
        match self.seen().await {
            Seen::Open(conn) => (client, conn),
            other => panic!("expected a new connection, saw {other:?}"),
        }
    }

    pub(crate) async fn expect_message(&mut self, expected: &[u8]) {
        match self.seen().await {
            Seen::Message(message) if message == expected => {}
            other => panic!("expected {:?}, saw {other:?}", String::from_utf8_lossy(expected)),
        }
    }

    pub(crate) async fn expect_closed(&mut self, expected: Closed) {
        match self.seen().await {
            Seen::Closed(how) => assert_eq!(how, expected),
            other => panic!("expected {expected:?}, saw {other:?}"),
        }
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = tokio::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a [`Client`] got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Got {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    Eof,
}

/// A client without manners: writes any bytes, answers nothing by itself.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    input: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr, path: &str) -> Self {
        Self::upgrade(TcpStream::connect(addr).await.unwrap(), path, b"").await
    }

    /// One whose kernel buffers next to nothing, so that not reading is felt soon.
    pub(crate) async fn connect_narrow(addr: SocketAddr, path: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        Self::upgrade(socket.connect(addr).await.unwrap(), path, b"").await
    }

    /// Upgrades `stream`, with `eager` sent in the same breath as the request.
    pub(crate) async fn upgrade(mut stream: TcpStream, path: &str, eager: &[u8]) -> Self {
        let request = ClientRequest::new("localhost", path, [7; 16], &[]);
        stream.write_all(&[request.as_bytes(), eager].concat()).await.unwrap();
        let mut input = Vec::new();
        let end = loop {
            let count = timeout(PATIENCE, stream.read_buf(&mut input)).await.unwrap().unwrap();
            assert!(count > 0, "closed during the handshake: {}", String::from_utf8_lossy(&input));
            if let Some(end) = request.check_response(&input).unwrap() {
                break end;
            }
        };
        input.drain(..end);
        Self { stream, decoder: Decoder::new(Side::Client, 1 << 26), input }
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.send_raw(&ws::masked_frame(opcode, payload, KEY)).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes()).await;
    }

    pub(crate) async fn send_close(&mut self, code: u16) {
        self.send_raw(&ws::masked_close_frame(code, "", KEY)).await;
    }

    /// The next thing the server sent; a reset counts as the end.
    pub(crate) async fn next(&mut self) -> Got {
        loop {
            if let Some(got) = self.decode() {
                return got;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await.expect("the server answers");
            if matches!(read, Ok(0) | Err(_)) {
                return Got::Eof;
            }
        }
    }

    fn decode(&mut self) -> Option<Got> {
        let mut input = &mut self.input[..];
        let got = self.decoder.decode(&mut input).unwrap().map(|event| match event {
            Event::Message(message) => Got::Message(message.as_bytes().to_vec()),
            Event::Ping(payload) => Got::Ping(payload.to_vec()),
            Event::Pong(payload) => Got::Pong(payload.to_vec()),
            Event::Close(close) => Got::Close(close.code),
        });
        let rest = input.len();
        self.input.drain(..self.input.len() - rest);
        got
    }

    /// Skips to the close frame and returns its code.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Got::Close(code) => return code,
                Got::Eof => panic!("ended without a close frame"),
                _ => {}
            }
        }
    }
}

/// Several masked frames as one piece of bytes.
pub(crate) fn frames(list: &[(Opcode, &[u8])]) -> BytesMut {
    let mut out = BytesMut::new();
    for (opcode, payload) in list {
        ws::append_masked(&mut out, *opcode, payload, KEY);
    }
    out
}

/// Queues a frame and writes what is queued. False if the connection is closing.
pub(crate) fn send_now(conn: &Conn, frame: Bytes) -> bool {
    let queued = conn.send(frame);
    conn.flush();
    queued
}
