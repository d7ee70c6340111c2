//! One socket, as everybody but its task sees it.
//!
//! Any thread may queue and flush. One lock guards the queue and what belongs to it ([`pipe`]); it is held over system
//! calls that don't block, never over anything else, so frames can neither interleave nor overtake one another. Who
//! finds the socket full leaves it to the socket's task, which alone writes from then until everything is out. Who feeds many
//! sockets leaves them to the edge's [`writers`](crate::writers).

mod driver;
#[cfg(test)]
mod model;
mod outbox;
mod pipe;
mod sync;

pub(crate) use driver::Driver;

use crate::ConnOptions;
use crate::handler::Closed;
use crate::shared::Shared;
use crate::stats::add;
use crate::strain::{Strain, TICK, Timed};
use crate::writers::Handed;
use bytes::Bytes;
use outbox::{Sink, Written};
use pipe::{Outside, Pipe, PipeRoom};
use ringway_protocol::ws;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// Close code for a peer that does not read what is sent to it.
pub const SLOW: u16 = 3008;

/// An open (or closing) client socket. Held as `Arc<Conn>`; let go when its handler is told that it closed.
pub struct Conn {
    pipe: Pipe<Socket>,
    /// Writes the last frame.
    farewell: Farewell,
    max_outbox: u32,
    /// Edge seconds of the last read.
    last_read: AtomicU32,
}

/// Makes the last frame of a connection that is closed from here, of a code and a reason.
pub type Farewell = fn(u16, &str) -> Bytes;

/// The TCP side of a connection, and the edge that it is of.
struct Socket {
    stream: TcpStream,
    edge: Arc<Shared>,
}

/// Whether more may be queued, as [`Conn::ask_room`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Now,
    /// The peer is still busy with what there is. [`crate::Handler::on_room`] is called once when it has come far enough.
    Later,
    /// All sockets together hold as much as they may ([`crate::EdgeConfig::max_queued`]); ask again in a moment.
    Crowded,
}

impl Conn {
    fn new(stream: TcpStream, edge: Arc<Shared>, options: &ConnOptions, farewell: Farewell) -> Self {
        Self {
            farewell,
            max_outbox: u32::try_from(options.max_outbox).unwrap_or(u32::MAX),
            last_read: AtomicU32::new(edge.clock.seconds()),
            pipe: Pipe::new(Socket { stream, edge }),
        }
    }

    fn stream(&self) -> &TcpStream {
        &self.pipe.outside.stream
    }

    fn edge(&self) -> &Arc<Shared> {
        &self.pipe.outside.edge
    }

    /// The peer's address.
    ///
    /// # Errors
    /// The socket is no longer connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream().peer_addr()
    }

    /// When something last arrived, in seconds of [`crate::Edge::now`].
    #[must_use]
    pub fn last_read(&self) -> u32 {
        self.last_read.load(Ordering::Relaxed)
    }

    /// Whether this side has begun to close.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.pipe.code() != 0
    }

    /// Bytes queued and not yet taken by the kernel.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.pipe.queued()
    }

    /// Queues a ready frame, without a system call; [`Conn::flush`] writes it. False if the connection is closing.
    ///
    /// Nothing is refused for its size. A peer that makes no progress for [`crate::EdgeConfig::slow_timeout`], or whose
    /// queue stays above [`ConnOptions::max_outbox`] without getting shorter, is closed with 3008.
    pub fn send(&self, frame: Bytes) -> bool {
        self.pipe.send(frame, self.max_outbox as usize)
    }

    /// Writes what is queued, in one system call per 64 frames. What the socket can't take is left to its task.
    pub fn flush(&self) {
        self.pipe.flush();
    }

    /// Leaves what is queued to a writer. False if nobody has to: nothing is queued, the task writes, or a writer has it already.
    pub(crate) fn hand_over(&self) -> bool {
        self.pipe.hand_over()
    }

    /// Whether more may be queued now: no more than `low` bytes wait here, and all sockets together are below their limit.
    pub fn ask_room(&self, low: usize) -> Room {
        if self.edge().is_crowded() {
            return Room::Crowded;
        }
        match self.pipe.ask_room(u32::try_from(low).unwrap_or(u32::MAX)) {
            PipeRoom::Now => Room::Now,
            PipeRoom::Later => Room::Later,
        }
    }

    /// How long ago this side last went on reading after a pause: nothing during one, `None` if there never was one. What
    /// the peer has sent before may still be unread for a moment after it.
    #[must_use]
    pub fn unread_for(&self) -> Option<Duration> {
        self.pipe.unread_for().map(|ticks| TICK * ticks)
    }

    /// How long ago the peer last made progress with a queue that had filled its socket; `None` if it never had.
    #[must_use]
    pub fn progressed_for(&self) -> Option<Duration> {
        self.pipe.progressed_for().map(|ticks| TICK * ticks)
    }

    /// Closes after what is queued: sends a close frame, or what a stream ends with, waits a limited time for the peer's close, then cuts the
    /// socket. Only the first call counts. The reason in a close frame is cut to 123 bytes.
    pub fn close(&self, code: u16, reason: &str) {
        self.pipe.close(code, (self.farewell)(code, reason));
    }

    /// Has the socket's task call [`crate::Handler::on_call`] until nothing is left, as soon as it may read.
    pub fn call(&self) {
        self.pipe.call();
    }

    /// Cuts the connection at once, without a closing handshake.
    pub fn abort(&self) {
        self.pipe.abort();
    }

    /// Takes back one [`crate::Flow::Pause`]; must be called exactly once for each.
    pub fn resume(&self) {
        self.pipe.resume();
    }

    /// Answers the peer's close frame with its own code (RFC 6455, 5.5.1).
    fn echo_close(&self, code: Option<u16>) {
        let frame = code.map_or_else(ws::empty_close_frame, |code| ws::close_frame(code, ""));
        self.pipe.close(code.unwrap_or(ws::close_code::NORMAL), frame);
    }

    fn touch(&self) {
        self.last_read.store(self.edge().clock.seconds(), Ordering::Relaxed);
    }

    /// The task's last act. An abort or error resets the connection, so that the kernel forgets what was unsent.
    fn finish(&self) {
        let socket = socket2::SockRef::from(self.stream());
        if self.pipe.finish() {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }

    /// How the connection ended, seen from this side's flags.
    fn closed_by_us(&self) -> Option<Closed> {
        match self.pipe.code() {
            0 => None,
            code => Some(Closed::ByUs { code }),
        }
    }
}

impl Sink for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_write_vectored(slices)
    }
}

impl Outside for Socket {
    fn wrote(&self, written: &Written) {
        let stats = &self.edge.stats;
        add(&stats.frames_out, written.frames);
        add(&stats.bytes_out, written.bytes);
        add(&stats.writes, written.calls);
    }

    fn account(&self, change: isize) {
        self.edge.account(change);
    }

    fn account_unwritten(&self, change: isize) {
        self.edge.account_unwritten(change);
    }

    fn ticks(&self) -> u32 {
        self.edge.clock.ticks().max(1)
    }
}

impl Timed for Conn {
    fn strain(&self) -> Option<Strain> {
        self.pipe.strain()
    }

    fn limit(&self) -> usize {
        self.max_outbox as usize
    }

    fn droppable(&self) -> usize {
        if self.is_closing() { 0 } else { self.queued_bytes() }
    }

    fn close_slow(&self) -> bool {
        let closed = self.pipe.close_slow(SLOW, (self.farewell)(SLOW, "slow"));
        if closed {
            add(&self.edge().stats.slow, 1);
        }
        closed
    }

    fn abort(&self) {
        self.pipe.abort();
    }
}

impl Handed for Conn {
    fn write_handed(&self) {
        self.pipe.write_handed();
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("peer", &self.peer_addr().ok()).finish_non_exhaustive()
    }
}
