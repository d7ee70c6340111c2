//! The task of one socket: reads, hands over, and writes when the socket was full.
//!
//! ```text
//!   Opening ──on_open──► Open ──close() or slow──► Closing ──peer's close──► Draining ──EOF──► done
//!                         └──peer's close (echoed), broken rule, panic──────────▲
//! ```
//! What came in is taken from the socket, or, where that only sends ([`Incoming::Nothing`]), from whoever calls the handler; such a socket
//! goes from Open to Draining at once.
//!
//! A lost connection, a write error and the deadline end every stage. The future is written by hand because it must be
//! small: it waits for two readiness flags and holds no future of its own.

use super::pipe::Status;
use super::{Conn, Farewell, SLOW};
use crate::ConnOptions;
use crate::handler::{Closed, Flow, Handler};
use crate::shared::{OpenSlot, Shared};
use crate::stats::add;
use crate::strain::Timed;
use bytes::Bytes;
use ringway_protocol::ws::{self, CloseReason, Decoder, Event, Message, Side};
use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Read};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes per read, for all connections of a thread together. Large enough to take a burst in one call.
const SCRATCH: usize = 64 * 1024;

/// Rounds in one poll before others get their turn: at most 512 KiB from one socket at a time.
const ROUNDS: usize = 8;

/// Answers to pings that may wait before the socket's input does: a peer that pings and does not read is held up here.
const MAX_QUEUED_PONGS: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

/// The socket's task.
pub(crate) struct Driver {
    conn: Arc<Conn>,
    incoming: Incoming,
    /// Gone as soon as the application is told that the connection closed.
    handler: Option<Box<dyn Handler>>,
    /// Bytes read and not yet decoded: those that came with the handshake or behind a message that paused reading.
    unread: Option<Box<[u8]>>,
    stage: Stage,
    has_deadline: bool,
    _slot: OpenSlot,
}

/// What a peer may send.
pub(crate) enum Incoming {
    /// WebSocket frames, with messages up to a size.
    Frames(Decoder),
    /// Nothing: its request is read, and what comes behind that is dropped.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    /// Our close frame is queued or sent, the peer's is awaited; its messages are dropped.
    Closing,
    /// Both close frames are on their way, or the input can't be understood: when ours is out, so is the FIN, and
    /// what still arrives is dropped. Leaving it unread would reset the connection before the peer has read ours.
    Draining {
        fin_sent: bool,
    },
}

enum Step {
    Again,
    Wait,
    Done,
}

impl Driver {
    /// A task for a WebSocket over `stream`, of which `unread` has been read already.
    pub(crate) fn of_websocket(
        stream: TcpStream,
        unread: &[u8],
        edge: Arc<Shared>,
        slot: OpenSlot,
        (options, farewell): (&ConnOptions, Farewell),
        handler: Box<dyn Handler>,
    ) -> Self {
        let incoming = Incoming::Frames(Decoder::new(Side::Server, options.max_message));
        let conn = Conn::new(stream, edge, options, farewell);
        Self::new(conn, incoming, keep(unread), slot, handler)
    }

    /// A task for a response that streams, of which `head` is the first.
    pub(crate) fn of_stream(
        stream: TcpStream,
        head: Bytes,
        edge: Arc<Shared>,
        slot: OpenSlot,
        (options, farewell): (&ConnOptions, Farewell),
        handler: Box<dyn Handler>,
    ) -> Self {
        let conn = Conn::new(stream, edge, options, farewell);
        conn.send(head);
        Self::new(conn, Incoming::Nothing, None, slot, handler)
    }

    fn new(
        conn: Conn,
        incoming: Incoming,
        unread: Option<Box<[u8]>>,
        slot: OpenSlot,
        handler: Box<dyn Handler>,
    ) -> Self {
        Self {
            conn: Arc::new(conn),
            incoming,
            handler: Some(handler),
            unread,
            stage: Stage::Opening,
            has_deadline: false,
            _slot: slot,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        let status = self.conn.pipe.status();
        if status.dead {
            return Step::Done;
        }
        if self.stage == Stage::Opening {
            self.stage = Stage::Open;
            self.call(Handler::on_open);
            self.conn.flush();
            return Step::Again;
        }
        if self.conn.is_closing() {
            self.follow_close();
        }
        if status.has_room && self.conn.pipe.take_room() {
            self.call(Handler::on_room);
        }
        if status.blocked && self.poll_writable(cx, status) {
            return Step::Again;
        }
        if self.stage == (Stage::Draining { fin_sent: false }) && !status.blocked {
            self.stage = Stage::Draining { fin_sent: true };
            let _ = socket2::SockRef::from(self.conn.stream()).shutdown(Shutdown::Write);
        }
        if self.must_not_read(status) {
            return Step::Wait;
        }
        if status.called && self.stage == Stage::Open {
            return self.on_call();
        }
        self.read(cx)
    }

    /// Has the handler take one thing that was left for it.
    fn on_call(&mut self) -> Step {
        self.conn.pipe.take_call();
        let mut flow = None;
        self.call(|handler, conn| flow = handler.on_call(conn));
        if let Some(flow) = flow {
            add(&self.conn.edge().stats.messages_in, 1);
            self.conn.pipe.call();
            self.obey(flow);
        }
        self.conn.flush();
        Step::Again
    }

    /// Tells the application of a close from this side, and sets the peer's deadline.
    fn follow_close(&mut self) {
        if self.stage == Stage::Open {
            self.stage = match self.incoming {
                Incoming::Frames(_) => Stage::Closing,
                Incoming::Nothing => Stage::Draining { fin_sent: false },
            };
        }
        if !self.has_deadline {
            self.has_deadline = true;
            let edge = self.conn.edge();
            let slow = matches!(self.conn.closed_by_us(), Some(Closed::ByUs { code: SLOW }));
            let timeout = if slow { edge.config.slow_close_timeout } else { edge.config.close_timeout };
            edge.clock.abort_after(timeout, self.timed());
        }
        if let Some(how) = self.conn.closed_by_us() {
            self.end_handler(&how);
        }
    }

    /// Waits for room in the socket; whether there was some. The clock looks meanwhile whether the peer makes progress.
    fn poll_writable(&mut self, cx: &mut Context<'_>, status: Status) -> bool {
        if !status.watched && !self.conn.is_closing() {
            self.conn.pipe.watch();
            self.conn.edge().clock.watch(self.timed());
        }
        self.conn.pipe.poll_writing(cx, |socket, cx| socket.stream.poll_write_ready(cx))
    }

    /// The socket, for the clock.
    fn timed(&self) -> Weak<dyn Timed> {
        Arc::downgrade(&self.conn) as Weak<dyn Timed>
    }

    fn must_not_read(&self, status: Status) -> bool {
        self.stage == Stage::Open && status.held
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Step {
        if let Some(mut unread) = self.unread.take() {
            self.take_input(&mut unread);
            return Step::Again;
        }
        match self.conn.stream().poll_read_ready(cx) {
            Poll::Pending => return Step::Wait,
            Poll::Ready(Err(_)) => return Step::Done,
            Poll::Ready(Ok(())) => {}
        }
        BUFFER.with_borrow_mut(|buffer| match read_some(self.conn.stream(), buffer) {
            Ok(0) => Step::Done,
            Ok(count) => {
                self.conn.touch();
                add(&self.conn.edge().stats.bytes_in, count as u64);
                self.take_input(&mut buffer[..count]);
                Step::Again
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Step::Again,
            Err(_) => Step::Done,
        })
    }

    /// Handles everything in `input`, up to a message that pauses reading.
    fn take_input(&mut self, input: &mut [u8]) {
        if matches!(self.stage, Stage::Draining { .. }) {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| self.handle_events(input))).is_err() {
            self.fail(ws::close_code::INTERNAL, "internal error");
        }
        self.conn.flush();
    }

    fn handle_events(&mut self, mut input: &mut [u8]) {
        loop {
            let Incoming::Frames(decoder) = &mut self.incoming else { return };
            match decoder.decode(&mut input) {
                Ok(None) => return,
                Ok(Some(Event::Message(message))) => self.on_message(message),
                Ok(Some(Event::Ping(payload))) => self.on_ping(&payload),
                Ok(Some(Event::Pong(payload))) => self.call(|handler, conn| handler.on_pong(conn, &payload)),
                Ok(Some(Event::Close(close))) => return self.on_peer_close(close),
                Err(error) => return self.fail(error.close_code(), &error.to_string()),
            }
            if self.must_not_read(self.conn.pipe.status()) {
                self.unread = keep(input);
                return;
            }
        }
    }

    fn on_message(&mut self, message: Message<'_>) {
        add(&self.conn.edge().stats.messages_in, 1);
        if self.conn.is_closing() {
            return;
        }
        let Some(handler) = &mut self.handler else { return };
        let flow = handler.on_message(&self.conn, message);
        self.obey(flow);
    }

    fn obey(&self, flow: Flow) {
        match flow {
            Flow::Continue => {}
            Flow::Pause => self.conn.pipe.hold(),
            Flow::Drain => self.conn.pipe.drain(),
        }
    }

    fn on_ping(&mut self, payload: &[u8]) {
        self.conn.send(ws::pong_frame(payload));
        if self.conn.queued_bytes() > MAX_QUEUED_PONGS {
            self.conn.pipe.drain();
        }
    }

    fn on_peer_close(&mut self, close: CloseReason<'_>) {
        // Both may have closed at once; the first one counts.
        let how = self.conn.closed_by_us();
        self.conn.echo_close(close.code);
        self.end_handler(&how.unwrap_or(Closed::ByPeer { code: close.code, reason: close.reason.into_owned() }));
        self.stage = Stage::Draining { fin_sent: false };
    }

    /// Closes for a fault after which the input can't be followed any more.
    fn fail(&mut self, code: u16, reason: &str) {
        self.conn.close(code, reason);
        self.end_handler(&Closed::ByUs { code });
        self.stage = Stage::Draining { fin_sent: false };
    }

    /// Calls the handler, if it is still there; a panic in it closes this connection only.
    fn call(&mut self, f: impl FnOnce(&mut (dyn Handler + 'static), &Arc<Conn>)) {
        let Some(handler) = &mut self.handler else { return };
        if catch_unwind(AssertUnwindSafe(|| f(handler.as_mut(), &self.conn))).is_err() {
            self.fail(ws::close_code::INTERNAL, "internal error");
        }
    }

    fn end_handler(&mut self, how: &Closed) {
        if let Some(mut handler) = self.handler.take() {
            // Nothing is left to close if this panics; the panic hook has told of it.
            let _ = catch_unwind(AssertUnwindSafe(move || handler.on_closed(&self.conn, how)));
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = self.get_mut();
        driver.conn.pipe.set_waker(cx.waker());
        for _ in 0..ROUNDS {
            match driver.step(cx) {
                Step::Again => {}
                Step::Wait => return Poll::Pending,
                Step::Done => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let how = self.conn.closed_by_us().unwrap_or(Closed::Lost);
        if self.stage == Stage::Opening {
            // Never opened (the runtime goes down), so there is nothing to tell.
            self.handler = None;
        }
        self.end_handler(&how);
        self.conn.finish();
    }
}

fn keep(bytes: &[u8]) -> Option<Box<[u8]>> {
    if bytes.is_empty() { None } else { Some(bytes.into()) }
}

/// One read. A short one means that the kernel has no more, so the readiness flag is cleared with it, which spares the
/// read that would only say so: the flag comes back with the next byte, as the socket is watched for edges.
fn read_some(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    let result = stream.try_io(Interest::READABLE, || {
        count = (&*socket2::SockRef::from(stream)).read(buffer)?;
        if 0 < count && count < buffer.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    });
    if count > 0 { Ok(count) } else { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_and_the_handle_stay_small() {
        // With the runtime's header and trailer the task still fits the allocator's 256 bytes.
        assert!(size_of::<Driver>() <= 88, "driver: {} bytes", size_of::<Driver>());
        assert!(size_of::<Conn>() <= 192, "conn: {} bytes", size_of::<Conn>());
    }
}
