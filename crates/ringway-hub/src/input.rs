//! What comes in from clients, and what a connection and its session share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use ringway_core::UserName;
use ringway_protocol::dialect::Dialect;
use smallvec::SmallVec;
use uuid::Uuid;

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
        /// Its id, drawn for it.
        client: Uuid,
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
    /// Centrifuge, Protobuf.
    CentrifugeProtobuf,
    /// The same on another way. Where its client sends by requests of their own, those name its session so; drawn for it.
    CentrifugeBy(Dialect, Option<u128>),
    /// Plain; the user is known from the start.
    Plain(UserName),
}

impl Protocol {
    /// How its sessions are spoken to.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Centrifuge => Dialect::CENTRIFUGE,
            Self::CentrifugeProtobuf => Dialect::CENTRIFUGE_PROTOBUF,
            Self::CentrifugeBy(dialect, _) => *dialect,
            Self::Plain(_) => Dialect::PLAIN,
        }
    }
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

    /// The client has sent what cannot be read.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Nothing more is to be read of it.
    pub fn set_broken(&self) {
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
    ///
    /// The socket's task sets `paused` and the hub takes it back, each without a lock. The order makes it safe: the task sets the mark *before* it
    /// looks at the count again, and the hub lowers the count *before* it looks for the mark. So whatever falls between, one of the two
    /// sees the other's write (both are sequentially consistent). If both see it, the swap gives the mark to one of them alone: the hub
    /// resumes, or the task goes on by itself.
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

/// Inputs that are worked off together.
#[derive(Debug)]
pub struct Batch<S> {
    /// In order of arrival.
    pub inputs: Vec<ClientInput<S>>,
    /// What they hold in memory, roughly.
    pub bytes: usize,
    /// Connections that are not read from until the inputs are worked off.
    pub held: Vec<S>,
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
