//! How a node is, for those who watch: what of its slots it cannot serve, or keeps alone, and what it has no room for.
//! Nothing decides by it.

use std::time::Duration;

use super::slot::{Phase, Reign, Replica};
use super::{Epoch, Node};
use crate::message::Load;
use crate::timing::Now;

/// Slots are counted this often while they change. With the most slots there can be, a count takes a few milliseconds.
const COUNT_EVERY: Duration = Duration::from_millis(250);

/// The last count.
#[derive(Debug, Default)]
pub(super) struct Tally {
    next: Now,
    /// The epoch at which every slot was settled when they were counted. Until the next view, settled slots are all alike.
    settled_at: Option<Epoch>,
    slots: Counts,
    /// What the lease allows: to go on alone, and with a second copy.
    may_go_on: (bool, bool),
    /// The smallest publish that found no room, while there is none for it.
    refused: Option<usize>,
    /// Publications that a gateway was not sent, because it did not keep up and nobody keeps them.
    pub(super) dropped: u64,
}

/// Owned slots of each kind.
#[derive(Debug, Default)]
struct Counts {
    not_live: u64,
    /// Live, without a second copy; of these, those whose log stands still because a copy that is waited for is away.
    alone: u64,
    alone_waiting: u64,
    /// The same with a second copy.
    paired: u64,
    paired_waiting: u64,
}

impl Counts {
    fn add(&mut self, phase: &Phase) {
        match phase {
            Phase::Idle => {}
            Phase::Claiming | Phase::Fetching(_) => self.not_live += 1,
            Phase::Live(reign) if is_paired(reign) => {
                self.paired += 1;
                self.paired_waiting += u64::from(waits(reign));
            }
            Phase::Live(reign) => {
                self.alone += 1;
                self.alone_waiting += u64::from(waits(reign));
            }
        }
    }
}

fn is_paired(reign: &Reign) -> bool {
    reign.replicas.iter().any(|replica| replica.need && replica.marked)
}

/// A copy that every acknowledgement waits for has not answered on its link.
fn waits(reign: &Reign) -> bool {
    let is_away = |replica: &Replica| replica.need && !replica.answered;
    reign.replicas.iter().any(is_away)
}

/// So many requests to the log in a row have had no answer before it is said to be away: each waits for most of a second.
const LOG_SILENT: u32 = 3;

impl Tally {
    /// A publish of this size found no room.
    pub(super) fn refused(&mut self, size: usize) {
        self.refused = Some(self.refused.map_or(size, |smallest| smallest.min(size)));
    }
}

impl Node {
    /// Counts, when it is time.
    pub(super) fn count(&mut self, now: Now) {
        let (own, pair) = (self.timing.own(), self.timing.pair);
        self.tally.may_go_on = (self.lease.holds_solo(now, own), self.lease.holds_pair(now, pair));
        self.tally.refused = self.tally.refused.filter(|size| !self.has_room(*size));
        let settled_at = (self.unsettled == 0).then(|| self.view().epoch);
        let is_known = settled_at.is_some() && settled_at == self.tally.settled_at;
        if is_known || (settled_at.is_none() && now < self.tally.next) {
            return;
        }
        let mut slots = Counts::default();
        self.slots.iter().for_each(|entry| slots.add(&entry.phase));
        (self.tally.slots, self.tally.settled_at, self.tally.next) = (slots, settled_at, now + COUNT_EVERY);
    }

    fn has_room(&self, size: usize) -> bool {
        self.history_bytes + size <= self.limits.history_bytes
    }

    /// What a ping says.
    pub fn load(&self) -> Load {
        let slots = &self.tally.slots;
        let (solo, pair) = self.tally.may_go_on;
        let blocked = |may_go_on: bool, all: u64, waiting: u64| if may_go_on { waiting } else { all };
        let one_is_enough = self.view().ack_copies < 2;
        Load {
            users: self.users,
            channels: self.names.len() as u64,
            sockets: 0,
            history_bytes: self.history_bytes as u64,
            unsettled: self.unsettled,
            history_limit: self.limits.history_bytes as u64,
            alone: slots.not_live + slots.alone,
            not_live: slots.not_live,
            blocked: blocked(solo && one_is_enough, slots.alone, slots.alone_waiting)
                + blocked(pair, slots.paired, slots.paired_waiting),
            history_full: !self.has_room(self.tally.refused.unwrap_or(1)),
            channels_full: self.names.len() >= self.limits.channels,
            keys_full: self.keys >= self.limits.keys,
            dropped: self.tally.dropped,
            log_away: self.log_silence >= LOG_SILENT,
            log_full: self.is_log_full,
            log_foreign: self.is_log_foreign,
            relayed: self.log_relay.current().is_some(),
        }
    }
}
