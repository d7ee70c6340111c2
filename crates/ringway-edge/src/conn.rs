//! One socket, as everybody but its task sees it.
//!
//! Any thread may queue and flush. One lock guards the queue and what belongs to it; it is held over system calls that
//! don't block, never over anything else, so frames can neither interleave nor overtake one another. Who finds the
//! socket full sets `blocked` and wakes the socket's task, which alone writes from then until everything is out.

mod driver;
mod outbox;

pub(crate) use driver::Driver;

use crate::ConnOptions;
use crate::handler::Closed;
use crate::server::Shared;
use crate::stats::add;
use bytes::Bytes;
use outbox::Outbox;
use parking_lot::{Mutex, MutexGuard};
use ringway_protocol::ws;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::task::Waker;
use tokio::net::TcpStream;

/// Close code for a peer that does not read what is sent to it.
pub(crate) const SLOW: u16 = 3008;

/// An open (or closing) client socket. Held as `Arc<Conn>`; let go when its handler is told that it closed.
pub struct Conn {
    id: u64,
    stream: TcpStream,
    edge: Arc<Shared>,
    max_outbox: usize,
    /// Edge seconds of the last read.
    last_read: AtomicU32,
    /// The code this side closed with, 0 while it has not. Written under the lock; read without for a cheap look.
    closing: AtomicU16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outbox: Outbox,
    /// Wakes the socket's task; empty before its first and after its last poll.
    waker: Option<Waker>,
    /// Answers of [`crate::Flow::Pause`] less calls of [`Conn::resume`]; reading stops while it is positive.
    holds: i32,
    /// The socket was full, the task waits to go on writing.
    blocked: bool,
    /// Nothing can be sent any more: an error, an abort, or the end.
    dead: bool,
}

/// What the task needs to know, copied out of the lock.
#[derive(Debug, Clone, Copy)]
struct Status {
    held: bool,
    blocked: bool,
    dead: bool,
}

impl Conn {
    fn new(stream: TcpStream, edge: Arc<Shared>, options: &ConnOptions) -> Self {
        Self {
            id: edge.next_id(),
            stream,
            max_outbox: options.max_outbox,
            last_read: AtomicU32::new(edge.clock.seconds()),
            closing: AtomicU16::new(0),
            state: Mutex::default(),
            edge,
        }
    }

    /// Unique within its edge.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The peer's address.
    ///
    /// # Errors
    /// The socket is no longer connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// When something last arrived, in seconds of [`crate::Edge::now`].
    #[must_use]
    pub fn last_read(&self) -> u32 {
        self.last_read.load(Ordering::Relaxed)
    }

    /// Whether this side has begun to close.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed) != 0
    }

    /// Bytes queued and not yet taken by the kernel.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.state.lock().outbox.queued()
    }

    /// Queues a ready frame, without a system call; [`Conn::flush`] writes it. False if the connection is closing.
    ///
    /// A frame that would take the queue over its limit closes the connection with 3008 and drops the queue.
    pub fn send(&self, frame: Bytes) -> bool {
        let mut state = self.state.lock();
        if state.dead || self.is_closing() {
            return false;
        }
        if !state.outbox.has_room(&frame, self.max_outbox) {
            // Perhaps nobody has flushed yet: only a peer that keeps the socket full is slow.
            self.write(&mut state);
            if !state.outbox.has_room(&frame, self.max_outbox) {
                self.close_slow(state);
                return false;
            }
        }
        state.outbox.push(frame);
        true
    }

    /// Writes what is queued, in one system call per 64 frames. What the socket can't take is left to its task.
    pub fn flush(&self) {
        let mut state = self.state.lock();
        if self.write(&mut state) {
            wake(state);
        }
    }

    /// [`Conn::send`] and [`Conn::flush`].
    pub fn send_now(&self, frame: Bytes) -> bool {
        let queued = self.send(frame);
        self.flush();
        queued
    }

    /// Closes after what is queued: sends a close frame, waits a limited time for the peer's, then cuts the socket.
    /// Only the first call counts. The reason is cut to 123 bytes.
    pub fn close(&self, code: u16, reason: &str) {
        let mut state = self.state.lock();
        if state.dead || self.is_closing() {
            return;
        }
        self.begin_close(&mut state, code, ws::close_frame(code, reason));
        wake(state);
    }

    /// Cuts the connection at once, without a closing handshake.
    pub fn abort(&self) {
        let mut state = self.state.lock();
        state.dead = true;
        state.outbox.clear();
        wake(state);
    }

    /// Takes back one [`crate::Flow::Pause`]; must be called exactly once for each.
    pub fn resume(&self) {
        let mut state = self.state.lock();
        state.holds -= 1;
        if state.holds == 0 {
            wake(state);
        }
    }

    fn hold(&self) {
        self.state.lock().holds += 1;
    }

    fn close_slow(&self, mut state: MutexGuard<'_, State>) {
        add(&self.edge.stats.slow, 1);
        state.outbox.drop_unbegun();
        self.begin_close(&mut state, SLOW, ws::close_frame(SLOW, "slow"));
        wake(state);
    }

    fn begin_close(&self, state: &mut State, code: u16, frame: Bytes) {
        self.closing.store(code, Ordering::Relaxed);
        state.outbox.push(frame);
        self.write(state);
    }

    /// Answers the peer's close frame with its own code (RFC 6455, 5.5.1).
    fn echo_close(&self, code: Option<u16>) {
        let mut state = self.state.lock();
        if state.dead || self.is_closing() {
            return;
        }
        match code {
            Some(code) => self.begin_close(&mut state, code, ws::close_frame(code, "")),
            None => self.begin_close(&mut state, ws::close_code::NORMAL, ws::empty_close_frame()),
        }
    }

    /// Writes unless the task does; whether the task must look (because the socket is full or broken).
    fn write(&self, state: &mut State) -> bool {
        if state.blocked || state.dead || state.outbox.is_empty() {
            return false;
        }
        match state.outbox.write_to(&self.stream) {
            Ok(written) => {
                let stats = &self.edge.stats;
                add(&stats.frames_out, written.frames);
                add(&stats.bytes_out, written.bytes);
                add(&stats.writes, written.calls);
                state.blocked = !state.outbox.is_empty();
            }
            Err(_) => {
                state.dead = true;
                state.outbox.clear();
            }
        }
        state.blocked || state.dead
    }

    /// The socket has room again: the task goes on where writing stopped.
    fn continue_writing(&self) {
        let mut state = self.state.lock();
        state.blocked = false;
        self.write(&mut state);
    }

    /// Where the task begins every round.
    fn status(&self) -> Status {
        let state = self.state.lock();
        Status { held: state.holds > 0, blocked: state.blocked, dead: state.dead }
    }

    fn set_waker(&self, waker: &Waker) {
        let mut state = self.state.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            None => state.waker = Some(waker.clone()),
        }
    }

    fn touch(&self) {
        self.last_read.store(self.edge.clock.seconds(), Ordering::Relaxed);
    }

    /// The task's last act. An abort or error resets the connection, so that the kernel forgets what was unsent.
    fn finish(&self) {
        let mut state = self.state.lock();
        let socket = socket2::SockRef::from(&self.stream);
        if state.dead {
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
        }
        let _ = socket.shutdown(std::net::Shutdown::Both);
        state.dead = true;
        state.outbox.clear();
        // The waker holds the task's memory.
        state.waker = None;
    }

    /// How the connection ended, seen from this side's flags.
    fn closed_by_us(&self) -> Option<Closed> {
        match self.closing.load(Ordering::Relaxed) {
            0 => None,
            code => Some(Closed::ByUs { code }),
        }
    }
}

/// Wakes the task after the lock is free, as it will want it.
fn wake(state: MutexGuard<'_, State>) {
    let waker = state.waker.clone();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("id", &self.id).finish_non_exhaustive()
    }
}
