//! One connection: what is known of it, and how it is told to end. `carry` reads and writes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ringway_core::id::Incarnation;
use ringway_core::message::Frame;
use ringway_protocol::link::Identity;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::end::{Ended, LinkId};
use crate::fault::{Held, Slow};
use crate::handshake::Proved;
use crate::outgoing::{Outgoing, SendError};

/// Next [`LinkId`] of this process.
static NEXT_LINK: AtomicU64 = AtomicU64::new(1);

/// A connection that is, was, or is about to be the link of its pair.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: LinkId,
    /// Our incarnation when the handshake was made.
    pub(crate) own: Incarnation,
    pub(crate) peer: Identity,
    /// The address at which this end reached the other, if it was this end that dialed.
    dialed: Option<Arc<str>>,
    /// What is spoken.
    pub(crate) version: u16,
    pub(crate) outgoing: Outgoing,
    pub(crate) counters: Counters,
    pub(crate) began: Instant,
    /// When something was read last, in microseconds since it began.
    pub(crate) heard: AtomicU64,
    /// Which directions a cut holds back, and how slow what comes in is made.
    pub(crate) held: watch::Sender<Held>,
    /// It has ended, or must.
    pub(crate) stop: CancellationToken,
    /// It is to end once all that waits is written.
    pub(crate) closing: CancellationToken,
    /// Its last event is out.
    pub(crate) finished: CancellationToken,
    pub(crate) reason: OnceLock<Ended>,
}

/// What went over a connection.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) bytes_in: AtomicU64,
    pub(crate) frames_in: AtomicU64,
    pub(crate) frames_skipped: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) writes: AtomicU64,
}

impl Connection {
    /// `queue_bytes`: what may wait to be written. `stop` ends it from outside.
    pub(crate) fn new(
        own: Incarnation,
        peer: Proved,
        dialed: Option<Arc<str>>,
        queue_bytes: usize,
        stop: CancellationToken,
    ) -> Self {
        let Proved { identity: peer, version } = peer;
        Self {
            id: LinkId(NEXT_LINK.fetch_add(1, Ordering::Relaxed)),
            own,
            peer,
            dialed,
            version,
            outgoing: Outgoing::new(queue_bytes),
            counters: Counters::default(),
            began: Instant::now(),
            heard: AtomicU64::new(0),
            held: watch::Sender::new(Held::default()),
            stop,
            closing: CancellationToken::new(),
            finished: CancellationToken::new(),
            reason: OnceLock::new(),
        }
    }

    /// Ends it at once. The first reason given is the one that is told.
    pub(crate) fn end(&self, reason: Ended) {
        let _ = self.reason.set(reason);
        self.outgoing.close();
        self.stop.cancel();
    }

    /// Ends it once what waits is written and the other end has closed too, or time is up.
    pub(crate) fn close(&self, reason: Ended) {
        let _ = self.reason.set(reason);
        self.outgoing.close();
        self.closing.cancel();
    }

    /// From now on what comes in is so slow.
    pub(crate) fn slow(&self, slow: Option<Slow>) {
        self.held.send_modify(|held| held.slow = slow);
    }

    /// It carries frames, as far as this end knows.
    pub(crate) fn is_live(&self) -> bool {
        !self.stop.is_cancelled() && !self.closing.is_cancelled()
    }

    /// Waits until it no longer carries frames.
    pub(crate) async fn ended(&self) {
        self.stop.cancelled().await;
    }

    /// Microseconds since it began.
    pub(crate) fn age(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The way to the other end of one connection. Cheap to clone; it ends with the connection, not with its last clone.
#[derive(Clone)]
pub struct LinkSender(pub(crate) Arc<Connection>);

impl LinkSender {
    /// Queues the frame. Never waits; the link's own task encodes it.
    ///
    /// # Errors
    /// [`SendError::Closed`]: the link has ended, its `Down` comes or came. [`SendError::Full`]: the queue was at its
    /// limit, and this closes the link. [`SendError::TooLong`]: only this frame is lost.
    pub fn send(&self, frame: Frame) -> Result<(), SendError> {
        let sent = self.0.outgoing.push(frame);
        if let Err(SendError::Full { queued }) = sent {
            self.0.end(Ended::QueueFull { queued });
        }
        sent
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.0.outgoing.queued_bytes()
    }

    /// For how long nothing was read from the connection. What was read may still wait among the events.
    pub fn silence(&self) -> Duration {
        Duration::from_micros(self.0.age().saturating_sub(self.0.heard.load(Ordering::Relaxed)))
    }

    /// The connection.
    pub fn link(&self) -> LinkId {
        self.0.id
    }

    /// Version of the link protocol that is spoken: what a later one brought is not to be sent here.
    pub fn version(&self) -> u16 {
        self.0.version
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Identity {
        &self.0.peer
    }

    /// The address at which this end reached the other. `None`: it was the other end that dialed.
    pub fn dialed(&self) -> Option<&str> {
        self.0.dialed.as_deref()
    }

    /// Closes the link once what is queued is written. Whoever keeps dialing the peer makes a new one.
    pub fn close(&self) {
        self.0.close(Ended::Forgotten);
    }
}

impl fmt::Debug for LinkSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkSender({} to {}/{})", self.0.id, self.0.peer.id, self.0.peer.incarnation)
    }
}
