//! The accept loop.

use crate::flusher::Flusher;
use crate::http::{self, Arrival, Router};
use crate::shared::Shared;
use crate::stats::{add, sub};
use crate::strain::TICK;
use crate::{EdgeConfig, EdgeStats};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

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

impl Edge {
    /// An edge that does not listen yet.
    #[must_use]
    pub fn new(config: EdgeConfig) -> Self {
        Self { shared: Arc::new(Shared::new(config)), stop: watch::Sender::new(false) }
    }

    /// Serves `listener` in the background until [`Edge::stop_accepting`]. Needs a running Tokio runtime.
    pub fn serve<R: Router>(&self, listener: TcpListener, router: R) {
        if self.shared.begin_ticking() {
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
        shared.clock.advance(start.elapsed(), &*shared);
        shared.door.look();
        tokio::select! {
            _ = interval.tick() => {}
            () = shared.crowded.notified() => {}
        }
    }
}
