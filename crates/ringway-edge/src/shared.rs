//! What all connections of an edge share.

use crate::clock::{Bounds, Clock};
use crate::door::{Door, Room};
use crate::stats::{add, sub};
use crate::writers::Writers;
use crate::{EdgeConfig, EdgeStats};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What every connection reaches.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: EdgeConfig,
    pub(crate) stats: EdgeStats,
    pub(crate) clock: Clock,
    pub(crate) door: Arc<Door>,
    ticking: AtomicBool,
    /// The sockets hold more than they may together.
    pub(crate) crowded: Notify,
    pub(crate) writers: Option<Writers>,
}

/// A place below the connection limit, until dropped.
#[derive(Debug)]
pub(crate) struct OpenSlot(Arc<Shared>);

impl Shared {
    pub(crate) fn new(config: EdgeConfig) -> Self {
        let stats = EdgeStats::default();
        let room = Room { seats: config.max_http.max(1), reserve: config.reserve };
        Self {
            door: Arc::new(Door::new(room, stats.closed.clone())),
            writers: Writers::new(config.writers),
            config,
            stats,
            clock: Clock::default(),
            ticking: AtomicBool::new(false),
            crowded: Notify::new(),
        }
    }

    /// The first to ask has to let its time pass.
    pub(crate) fn begin_ticking(&self) -> bool {
        !self.ticking.swap(true, Ordering::Relaxed)
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

impl Bounds for Shared {
    /// Bytes above what all sockets may hold; with an eighth to spare, so that not every frame closes one.
    fn over(&self) -> usize {
        let (queued, most) = (self.stats.queued.load(Ordering::Relaxed), self.config.max_queued);
        if queued > most { queued - most / 8 * 7 } else { 0 }
    }

    fn most(&self) -> usize {
        self.config.max_queued
    }

    fn slow_timeout(&self) -> Duration {
        self.config.slow_timeout
    }
}

impl Drop for OpenSlot {
    fn drop(&mut self) {
        sub(&self.0.stats.open, 1);
    }
}
