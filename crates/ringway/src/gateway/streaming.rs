//! Serves responses that stream. What their clients ask comes with the request, and, where they may ask more, over a [`Line`].

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use ringway_edge::{Closed, Conn, Flow, Handler, Message};
use ringway_hub::Protocol;
use ringway_protocol::dialect::{Codec, Dialect};
use ringway_protocol::framing::Framing;

use super::desk::Desk;
use super::handler::{CentrifugeHandler, Form};
use super::lines::{self, Line, SessionName};

/// Some clients of an event stream take it for open when its first line comes.
fn greet(conn: &Conn, dialect: Dialect) {
    if dialect.framing == Framing::Events {
        conn.send(Bytes::from_static(b"\r\n"));
    }
}

/// Serves a stream whose client sends by requests of its own.
#[derive(Debug)]
pub(super) struct EmulatedHandler {
    inner: CentrifugeHandler,
    dialect: Dialect,
    name: SessionName,
    line: Arc<Line>,
}

impl EmulatedHandler {
    /// Begins with the commands of the request that opened it.
    pub(super) fn new(desk: Arc<Desk>, from: IpAddr, dialect: Dialect, first: Bytes) -> Self {
        let (name, line) = (lines::draw_name(), Arc::new(Line::default()));
        // An empty line has room for whatever a request may bring.
        drop(line.post(first));
        let form = if dialect.codec == Codec::CentrifugeProtobuf { Form::Protobuf } else { Form::Json };
        Self { inner: CentrifugeHandler::new(desk, from, form), dialect, name, line }
    }
}

impl Handler for EmulatedHandler {
    fn on_open(&mut self, conn: &Arc<Conn>) {
        greet(conn, self.dialect);
        self.inner.open(conn, Protocol::CentrifugeBy(self.dialect, Some(self.name)));
        self.inner.desk.intake.lines.open(self.name, self.line.clone());
        self.line.begin(conn);
    }

    fn on_message(&mut self, conn: &Arc<Conn>, message: Message<'_>) -> Flow {
        self.inner.on_message(conn, message)
    }

    fn on_call(&mut self, conn: &Arc<Conn>) -> Option<Flow> {
        let data = self.line.take()?;
        let message = match (self.dialect.codec, std::str::from_utf8(&data)) {
            (Codec::CentrifugeJson, Ok(text)) => Message::Text(text.into()),
            _ => Message::Binary((&*data).into()),
        };
        Some(self.inner.take(conn, &message))
    }

    fn on_room(&mut self, conn: &Arc<Conn>) {
        self.inner.on_room(conn);
    }

    fn on_closed(&mut self, conn: &Arc<Conn>, how: &Closed) {
        self.inner.desk.intake.lines.close(self.name);
        self.line.end();
        self.inner.on_closed(conn, how);
    }
}

/// Serves a client that only listens, on a stream or a WebSocket: its first message asks for the session, and nothing else counts.
#[derive(Debug)]
pub(super) struct OneWayHandler {
    inner: CentrifugeHandler,
    dialect: Dialect,
    /// The connect request, where it came with the request that opened the connection.
    first: Option<Bytes>,
    has_begun: bool,
}

impl OneWayHandler {
    pub(super) fn new(desk: Arc<Desk>, from: IpAddr, dialect: Dialect, first: Option<Bytes>) -> Self {
        Self { inner: CentrifugeHandler::new(desk, from, Form::Json), dialect, first, has_begun: false }
    }

    fn begin(&mut self, conn: &Arc<Conn>, request: &[u8]) -> Flow {
        if std::mem::replace(&mut self.has_begun, true) {
            return Flow::Continue;
        }
        self.inner.take_request(conn, request)
    }
}

impl Handler for OneWayHandler {
    fn on_open(&mut self, conn: &Arc<Conn>) {
        greet(conn, self.dialect);
        self.inner.open(conn, Protocol::CentrifugeBy(self.dialect, None));
        if self.first.is_some() {
            conn.call();
        }
    }

    fn on_message(&mut self, conn: &Arc<Conn>, message: Message<'_>) -> Flow {
        self.begin(conn, message.as_bytes())
    }

    fn on_call(&mut self, conn: &Arc<Conn>) -> Option<Flow> {
        let first = self.first.take()?;
        Some(self.begin(conn, &first))
    }

    fn on_pong(&mut self, conn: &Arc<Conn>, payload: &[u8]) {
        self.inner.on_pong(conn, payload);
    }

    fn on_room(&mut self, conn: &Arc<Conn>) {
        self.inner.on_room(conn);
    }

    fn on_closed(&mut self, conn: &Arc<Conn>, how: &Closed) {
        self.inner.on_closed(conn, how);
    }
}
