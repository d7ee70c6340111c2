//! A WebSocket for bad manners: any bytes, any frames, no reading.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::BytesMut;
use ringway_http::{self as http, Answer};
use ringway_protocol::ws::{self, ClientRequest, Decoder, Event, Opcode, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A mask is a mask; this one is the example of RFC 6455.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// A receive buffer so small that a server meets its own limit soon when nobody reads.
const NARROW: u32 = 4096;
/// No server of ours sends more at once.
const LARGEST: usize = 16 * 1024 * 1024;
/// The longest that a connection or an upgrade may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A connection of which the test does everything itself.
#[derive(Debug)]
pub struct RawWs {
    stream: TcpStream,
    decoder: Decoder,
    unread: BytesMut,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, not answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame, not answered.
    Close(Option<u16>, String),
    /// The connection ended, in order or by a reset.
    End,
}

impl RawWs {
    /// Connects to `addr` and sends nothing yet.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn tcp(addr: SocketAddr) -> anyhow::Result<Self> {
        Self::new(TcpSocket::new_v4()?, addr).await
    }

    /// Connects and upgrades at `path`.
    ///
    /// # Errors
    /// Nobody listens, or the upgrade was refused.
    pub async fn connect(addr: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let mut raw = Self::tcp(addr).await?;
        raw.upgrade(addr, path).await?;
        Ok(raw)
    }

    /// As [`RawWs::connect`], with so little room to receive that whoever sends meets it soon. For clients that never read.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_narrow(addr: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(NARROW)?;
        let mut raw = Self::new(socket, addr).await?;
        raw.upgrade(addr, path).await?;
        Ok(raw)
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).await.context("sending")
    }

    /// Sends one whole frame as clients must.
    ///
    /// # Errors
    /// As [`RawWs::send_bytes`].
    pub async fn send(&mut self, opcode: Opcode, payload: &[u8]) -> anyhow::Result<()> {
        self.send_bytes(&ws::masked_frame(opcode, payload, KEY)).await
    }

    /// Sends a whole frame without the mask that clients owe.
    ///
    /// # Errors
    /// As [`RawWs::send_bytes`].
    pub async fn send_unmasked(&mut self, opcode: Opcode, payload: &[u8]) -> anyhow::Result<()> {
        let mut frame = BytesMut::new();
        ws::write_fragment(&mut frame, opcode, payload, true, None);
        self.send_bytes(&frame).await
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// As [`RawWs::send_bytes`].
    pub async fn send_text(&mut self, text: &str) -> anyhow::Result<()> {
        self.send(Opcode::Text, text.as_bytes()).await
    }

    /// The next thing that comes.
    ///
    /// # Errors
    /// Nothing came in time, or the server broke the protocol.
    pub async fn recv(&mut self, limit: Duration) -> anyhow::Result<Frame> {
        match tokio::time::timeout(limit, self.next()).await {
            Ok(frame) => frame,
            Err(_) => bail!("nothing came within {limit:?}"),
        }
    }

    /// Reads on to the end, and gives the close frame's code and reason; none if the connection ended without one.
    ///
    /// # Errors
    /// It did not end in time, or the server broke the protocol.
    pub async fn closed(&mut self, limit: Duration) -> anyhow::Result<Option<(u16, String)>> {
        let reading = async {
            loop {
                match self.next().await? {
                    Frame::Close(code, reason) => return Ok(Some((code.unwrap_or(1005), reason))),
                    Frame::End => return Ok(None),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(limit, reading).await.with_context(|| format!("it is still open after {limit:?}"))?
    }

    async fn new(socket: TcpSocket, addr: SocketAddr) -> anyhow::Result<Self> {
        let stream = tokio::time::timeout(LIMIT, socket.connect(addr)).await.context("connecting took too long")??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, decoder: Decoder::new(Side::Client, LARGEST), unread: BytesMut::new() })
    }

    async fn upgrade(&mut self, addr: SocketAddr, path: &str) -> anyhow::Result<()> {
        let request = ClientRequest::new(&addr.to_string(), path, rand::random(), &[]);
        self.send_bytes(request.as_bytes()).await?;
        let reading = async {
            loop {
                if let Some(head) = request.check_response(&self.unread)? {
                    let _ = self.unread.split_to(head);
                    return Ok(());
                }
                if self.stream.read_buf(&mut self.unread).await? == 0 {
                    bail!("the connection ended during the upgrade");
                }
            }
        };
        tokio::time::timeout(LIMIT, reading).await.context("the upgrade took too long")?
    }

    async fn next(&mut self) -> anyhow::Result<Frame> {
        loop {
            if let Some(frame) = self.decode()? {
                return Ok(frame);
            }
            // A reset after a close is an end like any other.
            if self.stream.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return Ok(Frame::End);
            }
        }
    }

    fn decode(&mut self) -> anyhow::Result<Option<Frame>> {
        let total = self.unread.len();
        let mut input = &mut self.unread[..];
        let frame = self.decoder.decode(&mut input)?.map(|event| match event {
            Event::Message(ws::Message::Text(text)) => Frame::Text(text.into_owned()),
            Event::Message(ws::Message::Binary(bytes)) => Frame::Binary(bytes.into_owned()),
            Event::Ping(payload) => Frame::Ping(payload.into_owned()),
            Event::Pong(payload) => Frame::Pong(payload.into_owned()),
            Event::Close(close) => Frame::Close(close.code, close.reason.into_owned()),
        });
        let taken = total - input.len();
        let _ = self.unread.split_to(taken);
        Ok(frame)
    }
}

/// Asks for an upgrade that should be refused, with further header fields, and gives the whole answer.
///
/// # Errors
/// Nobody listens or answers.
pub async fn refused_upgrade(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let mut fields = vec![
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    fields.extend_from_slice(headers);
    http::get(addr, path, &fields).await
}
