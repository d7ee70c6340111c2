//! Where connections and HTTP calls leave what they bring, until the hub takes all of it at once.
//!
//! There is one queue for all of a gateway's inputs, so their order is the order in which they came. It has a limit in
//! bytes: whoever goes beyond it is not read from until the hub has caught up, so that the queue outgrows its limit by
//! what was read at once and no more. Nothing is dropped.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use ringway_core::UserName;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::call::Call;
use super::command::Command;

/// What comes in from clients.
#[derive(Debug)]
pub enum ClientInput<S> {
    /// A socket is open; first input with this ticket.
    Opened {
        /// Names the connection in what follows.
        ticket: Arc<Ticket>,
        /// How it is written to.
        socket: S,
        /// Which protocol it speaks.
        protocol: Protocol,
    },
    /// The commands of one frame, in order.
    Commands(Arc<Ticket>, SmallVec<[Command; 1]>),
    /// A plain client's message: to whom, and the payload to be stored.
    Said(Arc<Ticket>, UserName, Bytes),
    /// A plain client wrote something that is no message.
    Puzzled(Arc<Ticket>),
    /// The socket has room again, which the hub had asked for.
    Room(Arc<Ticket>),
    /// The client answered the WebSocket ping of this number, the last one that it was sent.
    Ponged(Arc<Ticket>, u32),
    /// The connection is over. What comes later with this ticket means nothing.
    Closed(Arc<Ticket>),
    /// A call of the HTTP API.
    Call(Call),
}

/// How a connection speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// Centrifuge, JSON.
    Centrifuge,
    /// Plain; the user is known from the start.
    Plain(UserName),
}

/// What a connection and its session share.
#[derive(Debug)]
pub struct Ticket {
    /// The session's key, set by the hub when it learns of the connection.
    session: AtomicU32,
    /// Publishes and reads that are not answered yet.
    in_flight: AtomicU32,
    /// Number of the ping that is not answered; 0: none.
    pinged: AtomicU32,
    /// The connection is paused until some of them are.
    paused: AtomicBool,
    /// The client has sent what cannot be read. Nothing more is read of it.
    broken: AtomicBool,
}

impl Ticket {
    /// A ticket for a new connection.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            session: AtomicU32::new(u32::MAX),
            in_flight: AtomicU32::new(0),
            pinged: AtomicU32::new(0),
            paused: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        })
    }

    pub(super) fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }

    pub(super) fn set_session(&self, key: u32) {
        self.session.store(key, Ordering::Relaxed);
    }

    /// The session is over, and its key may be another one's.
    pub(super) fn forget_session(&self) {
        self.set_session(u32::MAX);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    pub(super) fn set_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// A ping of this number is about to be sent. An earlier one is not waited for any more.
    pub(super) fn await_pong(&self, number: u32) {
        self.pinged.store(number, Ordering::SeqCst);
    }

    /// Takes a pong; the number of the ping that was waiting for it. Whatever else comes, or comes twice, means nothing.
    pub fn take_pong(&self, payload: &[u8]) -> Option<u32> {
        let number = u32::from_be_bytes(payload.try_into().ok()?);
        let awaited = self.pinged.compare_exchange(number, 0, Ordering::SeqCst, Ordering::SeqCst);
        awaited.ok().filter(|number| *number != 0)
    }

    /// Publishes are not answered, each for the deadline of one at most: its connection may be paused meanwhile.
    pub(super) fn awaits_answers(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Counts publishes and reads that are about to be handed to the hub.
    pub fn begin_asks(&self, count: u32) {
        self.in_flight.fetch_add(count, Ordering::SeqCst);
    }

    /// Whether reading must pause because of `limit` unanswered publishes and reads. If so, the hub resumes it once.
    #[must_use]
    pub fn must_pause(&self, limit: u32) -> bool {
        if self.in_flight.load(Ordering::SeqCst) < limit {
            return false;
        }
        self.paused.store(true, Ordering::SeqCst);
        // The hub may have answered them meanwhile. Whoever takes the mark back decides, so exactly one of us does.
        self.in_flight.load(Ordering::SeqCst) > limit / 2 || !self.paused.swap(false, Ordering::SeqCst)
    }

    /// Counts an answer to one of them; whether the connection is to be resumed.
    #[must_use]
    pub(super) fn end_ask(&self, limit: u32) -> bool {
        let before = self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
        let left = before.map_or(0, |before| before - 1);
        left <= limit / 2 && self.paused.swap(false, Ordering::SeqCst)
    }
}

/// The queue in front of the hub.
#[derive(Debug)]
pub struct Inbox<S> {
    limit: usize,
    queue: Mutex<Batch<S>>,
    arrived: Notify,
}

/// Inputs taken out of an [`Inbox`] together.
#[derive(Debug)]
pub struct Batch<S> {
    /// In order of arrival.
    pub inputs: Vec<ClientInput<S>>,
    bytes: usize,
    /// Connections that are not read from until the inputs are worked off.
    held: Vec<S>,
}

impl<S> Default for Batch<S> {
    fn default() -> Self {
        Self { inputs: Vec::new(), bytes: 0, held: Vec::new() }
    }
}

impl<S> Batch<S> {
    /// Leaves it to another batch to let connections go on.
    pub(super) fn hand_over(&mut self, to: &mut Self) {
        to.held.append(&mut self.held);
    }
}

impl<S: super::Socket> Batch<S> {
    /// Lets the connections that were held go on. Call when the inputs are worked off.
    pub fn resume(&mut self) {
        for socket in self.held.drain(..) {
            socket.resume();
        }
    }
}

impl<S> Inbox<S> {
    /// An empty queue that holds its bringers up above `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, queue: Mutex::default(), arrived: Notify::new() }
    }

    /// Adds an input of `bytes`. True if the queue is full and `socket` must not be read from: it will be resumed once.
    #[must_use]
    pub fn push(&self, input: ClientInput<S>, bytes: usize, socket: impl FnOnce() -> S) -> bool {
        let mut queue = self.queue.lock();
        queue.inputs.push(input);
        queue.bytes += bytes;
        let full = queue.bytes > self.limit;
        if full {
            queue.held.push(socket());
        }
        let first = queue.inputs.len() == 1;
        drop(queue);
        if first {
            self.arrived.notify_one();
        }
        full
    }

    /// Adds an input that nothing can hold up: openings and ends of connections, the one pong that a connection has to send, and
    /// calls, which have a limit of their own.
    pub fn push_always(&self, input: ClientInput<S>) {
        let mut queue = self.queue.lock();
        queue.inputs.push(input);
        let first = queue.inputs.len() == 1;
        drop(queue);
        if first {
            self.arrived.notify_one();
        }
    }

    /// Has the one who waits come at once: what it took is not worked off yet.
    pub fn nudge(&self) {
        self.arrived.notify_one();
    }

    /// Waits until something has arrived. To be awaited by one task alone, which then takes everything.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes everything that has arrived. `batch` must be worked off and resumed; its memory is used again.
    pub fn take(&self, batch: &mut Batch<S>) {
        debug_assert!(batch.inputs.is_empty() && batch.held.is_empty(), "the last batch was not worked off");
        batch.bytes = 0;
        mem::swap(&mut *self.queue.lock(), batch);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::harness::FakeSocket;
    use super::*;

    fn puzzled() -> ClientInput<FakeSocket> {
        ClientInput::Puzzled(Ticket::new())
    }

    #[test]
    fn who_brings_too_much_is_held_until_it_is_worked_off() {
        let inbox: Inbox<FakeSocket> = Inbox::new(100);
        let (polite, greedy) = (FakeSocket::default(), FakeSocket::default());
        assert!(!inbox.push(puzzled(), 100, || polite.clone()));
        assert!(inbox.push(puzzled(), 1, || greedy.clone()));
        inbox.push_always(puzzled());
        let mut batch = Batch::default();
        inbox.take(&mut batch);
        assert_eq!(batch.inputs.len(), 3, "nothing is dropped");
        assert_eq!(greedy.0.lock().resumed, 0);
        batch.inputs.clear();
        batch.resume();
        assert_eq!((polite.0.lock().resumed, greedy.0.lock().resumed), (0, 1));
        assert!(!inbox.push(puzzled(), 100, || polite.clone()), "there is room again");
    }

    #[tokio::test]
    async fn the_hub_wakes_for_what_arrives() {
        let inbox: Arc<Inbox<FakeSocket>> = Arc::new(Inbox::new(100));
        let mut batch = Batch::default();
        for _ in 0..3 {
            inbox.push_always(puzzled());
            inbox.push_always(puzzled());
            inbox.arrived().await;
            inbox.take(&mut batch);
            assert_eq!(batch.inputs.drain(..).count(), 2);
        }
    }
}
