//! What is counted of clients that come back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

use super::Count;
use super::breaks::Breaks;
use super::journal::Journal;
use crate::latency::{Latencies, Percentiles};

/// What the coming back of clients needs and counts.
#[derive(Debug)]
pub(super) struct Returns {
    /// Clients whose socket has ended. There is room for all of them, and nobody is in it twice.
    pub(super) leavers: mpsc::Sender<u32>,
    pub(super) breaks: Breaks,
    pub(super) away: Count,
    pub(super) reconnects: Count,
    pub(super) moves: Count,
    pub(super) ours: Count,
    repeated: Count,
    pub(super) times: Latencies,
}

/// What reconnecting clients went through.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ReturnsReport {
    /// Times that a client came back.
    pub reconnects: u64,
    /// How many of these were of its own will (see [`Swarm::spread`](super::Swarm::spread)).
    pub moves: u64,
    /// How long these clients were away.
    pub away: Percentiles,
    /// Clients that are away now.
    pub still_away: u64,
    /// Sockets that ended with a server that was announced to be broken.
    pub closed_by_faults: u64,
    /// Messages that came to plain users again on a later connection, as what they had not confirmed may.
    pub repeated: u64,
}

impl Returns {
    pub(super) fn new(clients: usize, deadline: Duration) -> (Self, mpsc::Receiver<u32>) {
        let (leavers, inbox) = mpsc::channel(clients.max(1));
        let count = || AtomicU64::new(0);
        let (breaks, times) = (Breaks::new(deadline), Latencies::default());
        let (away, reconnects, moves, ours, repeated) = (count(), count(), count(), count(), count());
        (Self { leavers, breaks, away, reconnects, moves, ours, repeated, times }, inbox)
    }

    pub(super) fn report(&self) -> ReturnsReport {
        ReturnsReport {
            reconnects: self.reconnects.load(Relaxed),
            moves: self.moves.load(Relaxed),
            away: self.times.percentiles(),
            still_away: self.away.load(Relaxed),
            closed_by_faults: self.ours.load(Relaxed),
            repeated: self.repeated.load(Relaxed),
        }
    }

    /// Whether a plain user has this message already and may get it again. Notes it otherwise.
    pub(super) fn is_repeated(&self, journal: &mut Journal, sender: u32, seq: u64) -> bool {
        let repeated = journal.came(sender, seq);
        self.repeated.fetch_add(u64::from(repeated), Relaxed);
        repeated
    }
}
