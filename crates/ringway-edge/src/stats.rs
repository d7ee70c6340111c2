//! What the edge counts. The process turns these into metrics.

use crate::HttpClosed;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Plain counters since the start; `open`, `http` and `queued` are gauges.
#[derive(Debug, Default)]
pub struct EdgeStats {
    /// TCP connections accepted.
    pub accepted: AtomicU64,
    /// Connections in the HTTP stage now.
    pub http: AtomicU64,
    /// Connections closed or sent away in the HTTP stage.
    pub closed: Arc<HttpClosed>,
    /// Upgraded sockets now, and responses that stream.
    pub open: AtomicU64,
    /// Upgrades done, and such responses begun.
    pub upgraded: AtomicU64,
    /// Upgrades refused because `max_connections` was reached.
    pub refused: AtomicU64,
    /// Data messages received whole.
    pub messages_in: AtomicU64,
    /// Frames written whole, control frames included.
    pub frames_out: AtomicU64,
    /// Bytes read after the upgrade.
    pub bytes_in: AtomicU64,
    /// Bytes written after the upgrade.
    pub bytes_out: AtomicU64,
    /// System calls that wrote; `frames_out` over this tells how well writes are merged.
    pub writes: AtomicU64,
    /// Bytes that wait for full sockets now; a frame that waits at several counts at each.
    pub queued: AtomicUsize,
    /// Bytes at sockets that wait for a writer now.
    pub unwritten: AtomicUsize,
    /// Sockets that were written by whoever fed them, because the writers were behind.
    pub overtaken: AtomicU64,
    /// Connections closed because their peer read too slowly.
    pub slow: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

pub(crate) fn sub(counter: &AtomicU64, count: u64) {
    counter.fetch_sub(count, Ordering::Relaxed);
}
