//! Cuts between members, made on purpose: the cluster is tested with them.
//!
//! While a direction is cut its frames are held back, as a network that drops packets holds back a stream; nothing
//! tells either end. When the cut is over the connection breaks, and what was held back is lost. New connections hang
//! meanwhile, for they need both directions: they are never refused, which would be taken for a death.

use std::collections::HashMap;
use std::time::Instant;

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
}

impl Held {
    /// What is held back already, and what this direction adds.
    pub(crate) fn and(self, direction: Direction) -> Self {
        Self {
            incoming: self.incoming || direction != Direction::Outgoing,
            outgoing: self.outgoing || direction != Direction::Incoming,
        }
    }
}

/// The cuts in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    cuts: Mutex<HashMap<MemberId, Instant>>,
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

    /// Waits for ever if there is a cut: what tries to connect runs into its deadline.
    pub(crate) async fn hang_if_cut(&self, peer: &MemberId) {
        if self.is_cut(peer) {
            std::future::pending::<()>().await;
        }
    }
}
