//! A client's socket as a gateway writes to it: a queue, a kernel that takes so much of it, and a client that reads what the kernel
//! has. It stands for what the edge does: who is full is written to again when the client has read, and says once when it has room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use ringway_hub::{Room, Socket};

use crate::world::Time;

/// What all sockets of a gateway share.
#[derive(Debug, Default)]
pub(crate) struct Port {
    /// The time, as the world has it.
    pub(crate) now: Time,
    /// Sockets that the kernel has taken something of, or that were closed, each once.
    pub(crate) stirred: Vec<u64>,
    /// Bytes that wait at all of them, and how many may.
    queued: usize,
    most: usize,
}

impl Port {
    /// Sockets that may hold so many bytes together.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }
}

/// A handle of one socket.
#[derive(Clone)]
pub(crate) struct SimSocket(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    number: u64,
    port: Arc<Mutex<Port>>,
    queue: VecDeque<Bytes>,
    queued: usize,
    /// Bytes that the kernel takes, and holds until the client reads them.
    kernel: usize,
    taken: VecDeque<Bytes>,
    taken_bytes: usize,
    /// The gateway wants to know when fewer bytes than these wait; 0: it does not.
    mark: usize,
    has_room: bool,
    /// Pauses of reading less resumes.
    holds: i32,
    resumed: Option<Time>,
    progressed: Option<Time>,
    closed: Option<u16>,
    /// Nobody is at its other end any more.
    is_over: bool,
    is_stirred: bool,
}

/// How a socket stands, for those who look after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Bytes that the kernel could not take.
    pub(crate) queued: usize,
    /// Since when the kernel took nothing of a queue that had filled it.
    pub(crate) progressed: Option<Time>,
    /// The gateway closed it, with this code.
    pub(crate) closed: Option<u16>,
    /// It is not read from.
    pub(crate) is_held: bool,
}

impl SimSocket {
    /// A socket whose kernel holds so many bytes for the client.
    pub(crate) fn new(number: u64, port: Arc<Mutex<Port>>, kernel: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            number,
            port,
            queue: VecDeque::new(),
            queued: 0,
            kernel,
            taken: VecDeque::new(),
            taken_bytes: 0,
            mark: 0,
            has_room: false,
            holds: 0,
            resumed: None,
            progressed: None,
            closed: None,
            is_over: false,
            is_stirred: false,
        })))
    }

    /// The client reads the next frame, if it has read fewer bytes than it may.
    pub(crate) fn read(&self, budget: &mut usize) -> Option<Bytes> {
        let mut state = self.0.lock();
        if *budget == 0 {
            return None;
        }
        let frame = state.taken.pop_front()?;
        state.taken_bytes -= frame.len();
        *budget = budget.saturating_sub(frame.len());
        if !state.queue.is_empty() {
            state.write();
            let now = state.port.lock().now;
            state.progressed = Some(now);
        }
        Some(frame)
    }

    /// The gateway is to be told that there is room; once.
    pub(crate) fn take_room(&self) -> bool {
        std::mem::take(&mut self.0.lock().has_room)
    }

    /// What stirred it is looked at.
    pub(crate) fn settle(&self) {
        self.0.lock().is_stirred = false;
    }

    pub(crate) fn standing(&self) -> Standing {
        let state = self.0.lock();
        let State { queued, progressed, closed, holds, .. } = *state;
        Standing { queued, progressed, closed, is_held: holds > 0 }
    }

    /// Reading pauses.
    pub(crate) fn hold(&self) {
        self.0.lock().holds += 1;
    }

    /// The edge closes a client that does not read: what waits is dropped.
    pub(crate) fn close_slow(&self, code: u16) {
        let mut state = self.0.lock();
        state.forget();
        state.close(code);
    }

    /// The connection is over, and nothing of it counts at the gateway's sockets any more.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        state.is_over = true;
        state.forget();
    }
}

impl State {
    /// The kernel takes what it has room for.
    fn write(&mut self) {
        let before = self.queued;
        while self.taken_bytes < self.kernel
            && let Some(frame) = self.queue.pop_front()
        {
            self.queued -= frame.len();
            self.taken_bytes += frame.len();
            self.taken.push_back(frame);
        }
        if self.queued < self.mark {
            (self.mark, self.has_room) = (0, true);
        }
        if self.queued < before {
            self.port.lock().queued -= before - self.queued;
            self.stir();
        }
    }

    fn stir(&mut self) {
        if !std::mem::replace(&mut self.is_stirred, true) {
            self.port.lock().stirred.push(self.number);
        }
    }

    fn close(&mut self, code: u16) {
        if self.closed.is_none() {
            self.closed = Some(code);
            self.stir();
        }
    }

    fn forget(&mut self) {
        self.port.lock().queued -= std::mem::take(&mut self.queued);
        self.queue.clear();
    }
}

impl Socket for SimSocket {
    fn send(&self, frame: Bytes) {
        let mut state = self.0.lock();
        if state.closed.is_some() || state.is_over {
            return;
        }
        state.queued += frame.len();
        state.port.lock().queued += frame.len();
        state.queue.push_back(frame);
    }

    fn flush(&self) {
        self.0.lock().write();
    }

    fn queued(&self) -> usize {
        self.0.lock().queued
    }

    fn ask_room(&self, low: usize) -> Room {
        let mut state = self.0.lock();
        let is_crowded = {
            let port = state.port.lock();
            port.queued > port.most
        };
        if is_crowded {
            return Room::Crowded;
        }
        state.write();
        let is_free = state.queued <= low;
        state.mark = if is_free { 0 } else { low + 1 };
        if is_free { Room::Now } else { Room::Later }
    }

    fn unread_for(&self) -> Option<Duration> {
        let state = self.0.lock();
        let now = state.port.lock().now;
        let ago = |then: Time| Duration::from_micros(now.saturating_sub(then));
        if state.holds > 0 { Some(Duration::ZERO) } else { state.resumed.map(ago) }
    }

    fn progressed_for(&self) -> Option<Duration> {
        let state = self.0.lock();
        let now = state.port.lock().now;
        state.progressed.map(|then| Duration::from_micros(now.saturating_sub(then)))
    }

    fn close(&self, code: u16, _reason: &str) {
        let mut state = self.0.lock();
        state.write();
        state.close(code);
    }

    fn resume(&self) {
        let mut state = self.0.lock();
        state.holds -= 1;
        let now = state.port.lock().now;
        state.resumed = Some(now);
    }
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lock().fmt(f)
    }
}
