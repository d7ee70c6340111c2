//! The accept loop, and what all connections of an edge share.

use crate::clock::{Clock, TICK};
use crate::door::{Door, Room};
use crate::http::{self, Arrival, Router};
use crate::stats::{add, sub};
use crate::writers::{Flusher, Writers};
use crate::{EdgeConfig, EdgeStats};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// Pause after an accept that failed for want of descriptors or memory: some may be free by then.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Most unsent bytes the kernel takes for a socket whose peer does not read; it would grow to 4 MiB by itself. What is
/// beyond waits in the outbox, where it is shared, counted and limited. Enough to keep a fast link busy between two
/// turns of the socket's task.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 128 * 1024;

/// The client side of a gateway: listeners, connections, counters. A cheap handle; clones are the same edge.
#[derive(Debug, Clone)]
pub struct Edge {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

/// What every connection reaches.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: EdgeConfig,
    pub(crate) stats: EdgeStats,
    pub(crate) clock: Clock,
    door: Arc<Door>,
    next_id: AtomicU64,
    ticking: AtomicBool,
    /// The sockets hold more than they may together.
    pub(crate) crowded: Notify,
    pub(crate) writers: Option<Writers>,
}

/// A place below the connection limit, until dropped.
#[derive(Debug)]
pub(crate) struct OpenSlot(Arc<Shared>);

impl Edge {
    /// An edge that does not listen yet.
    #[must_use]
    pub fn new(config: EdgeConfig) -> Self {
        let stats = EdgeStats::default();
        let room = Room { seats: config.max_http.max(1), reserve: config.reserve };
        let shared = Shared {
            door: Arc::new(Door::new(room, stats.closed.clone())),
            writers: Writers::new(config.writers),
            config,
            stats,
            clock: Clock::default(),
            next_id: AtomicU64::new(1),
            ticking: AtomicBool::new(false),
            crowded: Notify::new(),
        };
        Self { shared: Arc::new(shared), stop: watch::Sender::new(false) }
    }

    /// Serves `listener` in the background until [`Edge::stop_accepting`]. Needs a running Tokio runtime.
    pub fn serve<R: Router>(&self, listener: TcpListener, router: R) {
        if !self.shared.ticking.swap(true, Ordering::Relaxed) {
            tokio::spawn(tick(Arc::downgrade(&self.shared)));
        }
        limit_unsent(&listener);
        let (shared, stop) = (self.shared.clone(), self.stop.subscribe());
        tokio::spawn(async move {
            let mut stopped = stop.clone();
            tokio::select! {
                () = accept_loop(shared, listener, Arc::new(router), stop) => {}
                () = http::until_stopped(&mut stopped) => {}
            }
        });
    }

    /// Closes the listeners and lets HTTP connections finish their current answer. Upgraded sockets stay.
    pub fn stop_accepting(&self) {
        self.stop.send_replace(true);
    }

    /// A way to have many sockets of this edge written, for the task that feeds them.
    #[must_use]
    pub fn flusher(&self) -> Flusher {
        Flusher::new(self.shared.clone())
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &EdgeStats {
        &self.shared.stats
    }

    /// Upgraded sockets now, those in their closing handshake included.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.stats.open.load(Ordering::Relaxed)
    }

    /// Whole seconds since the edge began to serve, the time of [`crate::Conn::last_read`].
    #[must_use]
    pub fn now(&self) -> u32 {
        self.shared.clock.seconds()
    }

    /// The limits it was made with.
    #[must_use]
    pub fn config(&self) -> &EdgeConfig {
        &self.shared.config
    }
}

impl Shared {
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes bytes that wait for a full socket into the account of all, or out of it.
    pub(crate) fn account(&self, change: isize) {
        let (queued, most) = (&self.stats.queued, self.config.max_queued);
        let before = queued.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
        if change > 0 && before.wrapping_add_signed(change) > most {
            self.crowded.notify_one();
        }
    }

    /// Bytes wait for a writer, or do not any more.
    pub(crate) fn account_unwritten(&self, change: isize) {
        self.stats.unwritten.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
    }

    /// All sockets together hold as much as they may.
    pub(crate) fn is_crowded(&self) -> bool {
        self.stats.queued.load(Ordering::Relaxed) >= self.config.max_queued
    }

    /// Bytes above what all sockets may hold; with an eighth to spare, so that not every frame closes one.
    pub(crate) fn over(&self) -> usize {
        let (queued, most) = (self.stats.queued.load(Ordering::Relaxed), self.config.max_queued);
        if queued > most { queued - most / 8 * 7 } else { 0 }
    }

    /// Takes a place below the limit, or counts a refusal.
    pub(crate) fn open_slot(self: &Arc<Self>) -> Option<OpenSlot> {
        let limit = self.config.max_connections as u64;
        let below = |open: u64| (open < limit).then_some(open + 1);
        if self.stats.open.try_update(Ordering::Relaxed, Ordering::Relaxed, below).is_err() {
            add(&self.stats.refused, 1);
            return None;
        }
        add(&self.stats.upgraded, 1);
        Some(OpenSlot(self.clone()))
    }
}

impl Drop for OpenSlot {
    fn drop(&mut self) {
        sub(&self.0.stats.open, 1);
    }
}

/// Counts a connection in the HTTP stage.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: Arc<Shared>) -> Self {
        add(&shared.stats.http, 1);
        Self(shared)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        sub(&self.0.stats.http, 1);
    }
}

async fn accept_loop<R: Router>(
    shared: Arc<Shared>,
    listener: TcpListener,
    router: Arc<R>,
    stop: watch::Receiver<bool>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                add(&shared.stats.accepted, 1);
                set_nodelay(&stream);
                // Without a seat it is closed: all others are at work, within their deadlines.
                let Some(seat) = http::enter(&shared, &shared.door, peer) else { continue };
                admit(Arrival { edge: shared.clone(), router: router.clone(), peer, seat }, stream, stop.clone());
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "can't accept connections; is the limit of open files too low?");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn admit<R: Router>(arrival: Arrival<R>, stream: TcpStream, stop: watch::Receiver<bool>) {
    let counted = Counted::new(arrival.edge.clone());
    tokio::spawn(async move {
        http::serve(arrival, stream, stop).await;
        drop(counted);
    });
}

/// Set on the listener, from which accepted sockets inherit it: no system call per connection.
#[cfg(target_os = "linux")]
fn limit_unsent(listener: &TcpListener) {
    if let Err(error) = socket2::SockRef::from(listener).set_tcp_notsent_lowat(MAX_UNSENT) {
        tracing::warn!(%error, "TCP_NOTSENT_LOWAT not set; clients that do not read will cost more kernel memory");
    }
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent(_listener: &TcpListener) {}

/// Without it, small frames wait for the acknowledgement of earlier ones.
fn set_nodelay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
}

/// The next accept may well succeed.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

async fn tick(shared: std::sync::Weak<Shared>) {
    let start = Instant::now();
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let Some(shared) = shared.upgrade() else { return };
        shared.clock.advance(start.elapsed(), &shared);
        shared.door.look();
        tokio::select! {
            _ = interval.tick() => {}
            () = shared.crowded.notified() => {}
        }
    }
}
