//! A client's WebSocket that costs about as little as the server's end: one small task, no buffer of its own while nothing is under way.
//!
//! Reading happens into a buffer that all sockets of a thread share. Sending is a call that anybody may make from anywhere: it writes at once,
//! and only what the kernel does not take stays behind, to be written by the socket's task.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::{Mutex, MutexGuard};
use ringway_protocol::ws::{self, ClientRequest, Decoder, Event, HandshakeError, Message, Opcode, Side};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use ringway_http::Target;

/// What one read takes at most: a few hundred small messages, and the size of a default socket buffer's first half.
const READ_CHUNK: usize = 64 * 1024;
/// The most that waits unsent on one socket. A load driver that is this far ahead of the server must stop and not pile up.
const MAX_UNSENT: usize = 256 * 1024;
/// The largest message a server may send us: as much as it may ever take.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;
/// A server that needs longer than this for a handshake does not serve.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_CHUNK].into_boxed_slice());
    static WRITE: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// Takes what a socket receives; called in its task, so it must not block.
pub trait Handler: Send + 'static {
    /// A whole text message came.
    fn text(&mut self, text: &str, socket: &Socket);
    /// A whole binary message came. False if that is not what this client speaks: the connection is over.
    fn binary(&mut self, _bytes: &[u8], _socket: &Socket) -> bool {
        false
    }
    /// A ping came, and was answered: the server knows that what came before it is here.
    fn pinged(&mut self) {}
    /// The socket ended; nothing more will come.
    fn closed(&mut self, closed: &Closed);
}

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close frame's code; none if the connection ended without one.
    pub code: Option<u16>,
    /// The close frame's reason, or what happened to the connection.
    pub reason: String,
    /// Whether this end asked for it first.
    pub asked: bool,
}

/// Why a connection was not made.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The network said no.
    #[error("cannot reach {addr}: {error}")]
    Io {
        /// Where to.
        addr: std::net::SocketAddr,
        /// What went wrong.
        error: io::Error,
    },
    /// The server answered, but not with a WebSocket.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// No whole answer came in time.
    #[error("no answer to the upgrade within {HANDSHAKE_LIMIT:?}")]
    Timeout,
}

/// Why a message was not sent. It will not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The socket has ended.
    #[error("the socket is closed")]
    Closed,
    /// The server reads too slowly: too much is unsent already.
    #[error("more than {MAX_UNSENT} bytes are unsent")]
    Full,
}

/// The sending side; clones share the socket.
#[derive(Debug, Clone)]
pub struct Socket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: OwnedWriteHalf,
    outbox: Mutex<Outbox>,
}

#[derive(Debug)]
struct Outbox {
    /// What the kernel did not take yet.
    unsent: BytesMut,
    /// The socket's task, to be woken when something is left unsent.
    task: Option<Waker>,
    /// The last mask key; the next one is drawn from it.
    key: u32,
    /// This end has sent its close frame.
    closing: bool,
    /// This end wants no more of it.
    aborted: bool,
    closed: Option<Closed>,
}

impl Socket {
    /// Connects, upgrades at `path` (after the target's prefix) and starts the task that feeds `handler`.
    ///
    /// # Errors
    /// See [`ConnectError`]; nothing is left behind.
    pub async fn connect(target: &Target, path: &str, handler: impl Handler) -> Result<Self, ConnectError> {
        let upgraded = tokio::time::timeout(HANDSHAKE_LIMIT, upgrade(target, path)).await;
        let (stream, early) = upgraded.map_err(|_| ConnectError::Timeout)??;
        let (read, write) = stream.into_split();
        let key = rand::random::<u32>() | 1;
        let outbox = Outbox { unsent: BytesMut::new(), task: None, key, closing: false, aborted: false, closed: None };
        let socket = Self(Arc::new(Shared { stream: write, outbox: Mutex::new(outbox) }));
        let decoder = Decoder::new(Side::Client, MAX_MESSAGE);
        tokio::spawn(Task { read, decoder, socket: socket.clone(), handler }.run(early));
        Ok(socket)
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// The socket has ended or is too far behind; the message is dropped.
    pub fn send_text(&self, text: &str) -> Result<(), SendError> {
        self.send(Opcode::Text, text.as_bytes())
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// As [`Socket::send_text`].
    pub fn send_binary(&self, bytes: &[u8]) -> Result<(), SendError> {
        self.send(Opcode::Binary, bytes)
    }

    /// Asks the server to close; the handler hears of the end.
    pub fn close(&self, code: u16, reason: &str) {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        // Of a socket that ended or is stuck there is nothing to close in good manners.
        let _ = self.send(Opcode::Close, &payload);
        self.outbox().closing = true;
    }

    /// Drops the connection without a word.
    pub fn abort(&self) {
        let mut outbox = self.outbox();
        (outbox.closing, outbox.aborted) = (true, true);
        if let Some(task) = &outbox.task {
            task.wake_by_ref();
        }
    }

    /// How the socket ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.outbox().closed.clone()
    }

    fn send(&self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        let mut outbox = self.outbox();
        if outbox.closed.is_some() || outbox.closing {
            return Err(SendError::Closed);
        }
        let key = outbox.next_key();
        if !outbox.unsent.is_empty() {
            if outbox.unsent.len() + payload.len() > MAX_UNSENT {
                return Err(SendError::Full);
            }
            ws::append_masked(&mut outbox.unsent, opcode, payload, key);
            return Ok(());
        }
        WRITE.with_borrow_mut(|frame| {
            frame.clear();
            ws::append_masked(frame, opcode, payload, key);
            // An error of the stream is met by the task, which reads it.
            let written = self.0.stream.try_write(frame).unwrap_or(0);
            outbox.keep(&frame[written..]);
        });
        Ok(())
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.0.outbox.lock()
    }

    /// Writes what is unsent as far as the kernel takes it; ready only with an error.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut outbox = self.outbox();
        if outbox.aborted {
            return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
        }
        while !outbox.unsent.is_empty() {
            if let Err(error) = ready!(self.0.stream.as_ref().poll_write_ready(cx)) {
                return Poll::Ready(error);
            }
            match self.0.stream.try_write(&outbox.unsent) {
                Ok(written) => outbox.written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(error),
            }
        }
        match &mut outbox.task {
            Some(task) => task.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Outbox {
    /// Keeps the rest of a frame and wakes the task that will write it.
    fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.unsent.extend_from_slice(rest);
            if let Some(task) = &self.task {
                task.wake_by_ref();
            }
        }
    }

    fn written(&mut self, count: usize) {
        if count == self.unsent.len() {
            self.unsent = BytesMut::new();
        } else {
            let _ = self.unsent.split_to(count);
        }
    }

    /// Xorshift: masks protect proxies from hostile pages, of which there is none here, so they only have to differ.
    fn next_key(&mut self) -> [u8; 4] {
        self.key ^= self.key << 13;
        self.key ^= self.key >> 17;
        self.key ^= self.key << 5;
        self.key.to_be_bytes()
    }
}

/// Sends the upgrade request and reads the answer; gives what came behind it, too.
pub(crate) async fn upgrade(target: &Target, path: &str) -> Result<(TcpStream, BytesMut), ConnectError> {
    let io = |error| ConnectError::Io { addr: target.addr, error };
    let mut stream = TcpStream::connect(target.addr).await.map_err(io)?;
    stream.set_nodelay(true).map_err(io)?;
    let request = ClientRequest::new(&target.host, &format!("{}{path}", target.prefix), rand::random(), &[]);
    stream.write_all(request.as_bytes()).await.map_err(io)?;
    let mut answer = BytesMut::new();
    loop {
        if let Some(head) = request.check_response(&answer)? {
            return Ok((stream, answer.split_off(head)));
        }
        if stream.read_buf(&mut answer).await.map_err(io)? == 0 {
            return Err(io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

struct Task<H> {
    read: OwnedReadHalf,
    decoder: Decoder,
    socket: Socket,
    handler: H,
}

impl<H: Handler> Task<H> {
    async fn run(mut self, mut early: BytesMut) {
        let mut ended = self.take(&mut early);
        drop(early);
        while ended.is_none() {
            ended = std::future::poll_fn(|cx| self.poll(cx)).await;
        }
        let mut closed = ended.expect("the loop ends with it");
        {
            let mut outbox = self.socket.outbox();
            closed.asked = outbox.closing;
            outbox.closed = Some(closed.clone());
            outbox.unsent = BytesMut::new();
        }
        self.handler.closed(&closed);
    }

    /// Writes what is left to write, then reads once; ready after a read, with the end if it was one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Closed>> {
        if let Poll::Ready(error) = self.socket.poll_flush(cx) {
            return Poll::Ready(Some(broken(error.to_string())));
        }
        READ.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            Poll::Ready(match ready!(Pin::new(&mut self.read).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => {
                    Some(broken("the connection ended without a close frame".into()))
                }
                Ok(()) => self.take(buffer.filled_mut()),
                Err(error) => Some(broken(error.to_string())),
            })
        })
    }

    /// Decodes what was read; gives the end if it was in there.
    fn take(&mut self, mut input: &mut [u8]) -> Option<Closed> {
        loop {
            match self.decoder.decode(&mut input) {
                Ok(Some(Event::Message(Message::Text(text)))) => self.handler.text(&text, &self.socket),
                Ok(Some(Event::Message(Message::Binary(bytes)))) => {
                    if !self.handler.binary(&bytes, &self.socket) {
                        return Some(broken("a binary message came".into()));
                    }
                }
                Ok(Some(Event::Ping(payload))) => {
                    self.answer(Opcode::Pong, &payload);
                    self.handler.pinged();
                }
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(close))) => {
                    let closed = Closed { code: close.code, reason: close.reason.into_owned(), asked: false };
                    self.echo_close(closed.code);
                    return Some(closed);
                }
                Ok(None) => return None,
                Err(error) => return Some(broken(format!("the server broke the protocol: {error}"))),
            }
        }
    }

    /// A close frame is answered with one, unless it is the answer.
    fn echo_close(&self, code: Option<u16>) {
        let payload = code.map(u16::to_be_bytes);
        self.answer(Opcode::Close, payload.as_ref().map_or(&[], |code| &code[..]));
    }

    /// Answers a control frame; where that cannot be sent, the socket's end is near and tells more.
    fn answer(&self, opcode: Opcode, payload: &[u8]) {
        let _ = self.socket.send(opcode, payload);
    }
}

fn broken(reason: String) -> Closed {
    Closed { code: None, reason, asked: false }
}
