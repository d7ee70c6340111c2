//! Cuts between members, and slow directions, made on purpose: the cluster is tested with them.
//!
//! While a direction is cut its frames are held back, as a network that drops packets holds back a stream; nothing
//! tells either end. When the cut is over the connection breaks, and what was held back is lost. New connections hang
//! meanwhile, for they need both directions: they are never refused, which would be taken for a death.
//!
//! A slow direction loses nothing. What the peer sends arrives later, at a pace, or not at all for a while and then goes
//! on. Handshakes are not slowed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringway_core::id::MemberId;

/// Which way is cut, seen from this member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the peer sends does not arrive here.
    Incoming,
    /// What is sent here does not arrive at the peer.
    Outgoing,
    /// Both.
    Both,
}

/// What a cut holds back on one connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) incoming: bool,
    pub(crate) outgoing: bool,
    /// How what comes in is slowed.
    pub(crate) slow: Option<Slow>,
}

/// How what comes from a peer is slowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slow {
    /// It arrives so much later.
    pub delay: Duration,
    /// It arrives no faster than this. At 0 nothing arrives until the end, and then all of it.
    pub bytes_per_second: Option<u64>,
}

impl Held {
    /// What is held back already, and what this direction adds.
    pub(crate) fn and(self, direction: Direction) -> Self {
        Self {
            slow: self.slow,
            incoming: self.incoming || direction != Direction::Outgoing,
            outgoing: self.outgoing || direction != Direction::Incoming,
        }
    }
}

/// The cuts and the slow directions in force: no more of them than there are members.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    cuts: Mutex<HashMap<MemberId, Instant>>,
    slow: Mutex<HashMap<MemberId, (Slow, Instant)>>,
}

impl Faults {
    /// A cut is in force until then, or until the end of a longer one.
    pub(crate) fn cut(&self, peer: &MemberId, until: Instant) {
        let mut cuts = self.cuts.lock();
        let end = cuts.entry(peer.clone()).or_insert(until);
        *end = until.max(*end);
    }

    pub(crate) fn is_cut(&self, peer: &MemberId) -> bool {
        self.cuts.lock().contains_key(peer)
    }

    /// Ends the cut if its time has come. `false`: a longer one is in force.
    pub(crate) fn mend(&self, peer: &MemberId, now: Instant) -> bool {
        let mut cuts = self.cuts.lock();
        match cuts.get(peer) {
            Some(until) if *until > now => false,
            _ => {
                cuts.remove(peer);
                true
            }
        }
    }

    /// What comes from this peer is slow until then, in place of what was asked for before.
    pub(crate) fn slow(&self, peer: &MemberId, slow: Slow, until: Instant) {
        self.slow.lock().insert(peer.clone(), (slow, until));
    }

    /// Hands on how slow the peer of a new connection is to be, if it is. Under the lock, so that an order that ends at this moment
    /// finds the connection among the pairs afterwards.
    pub(crate) fn slow_down(&self, peer: &MemberId, connection: impl FnOnce(Slow)) {
        if let Some((slow, _)) = self.slow.lock().get(peer) {
            connection(*slow);
        }
    }

    /// Ends the slowness that was to last until then. `false`: another one has taken its place.
    pub(crate) fn quicken(&self, peer: &MemberId, until: Instant) -> bool {
        let mut slow = self.slow.lock();
        let its = slow.get(peer).is_some_and(|(_, end)| *end == until);
        if its {
            slow.remove(peer);
        }
        its
    }

    /// Waits for ever if there is a cut: what tries to connect runs into its deadline.
    pub(crate) async fn hang_if_cut(&self, peer: &MemberId) {
        if self.is_cut(peer) {
            std::future::pending::<()>().await;
        }
    }
}
