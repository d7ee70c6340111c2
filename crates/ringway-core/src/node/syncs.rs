//! What goes to a copy: whole states in parts, differences, and for most slots no more than a line; as much at a time as the
//! limits allow, and what holds something first.

use std::collections::VecDeque;

use super::Node;
use crate::id::{Epoch, Incarnation, Slot};
use crate::message::{Message, SlotState, SlotSync, StateKind};
use crate::timing::Now;

/// Bytes of one part of a state. Small enough to share a link with live traffic, large enough to cost few frames.
const PART_BYTES: usize = 128 << 10;

/// What a `Sync` of an empty slot counts as under way.
const SYNC_OVERHEAD: usize = 64;

/// Slots that wait to be copied, per peer, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Copies {
    peers: Vec<Copying>,
    /// To be sent at the end of the turn.
    pub(super) marks: Vec<(Incarnation, Slot)>,
    pub(super) releases: Vec<(Incarnation, Slot)>,
}

/// Copying to one peer.
#[derive(Debug)]
pub(super) struct Copying {
    to: Incarnation,
    /// Slots that wait: at most one entry for each that I own.
    pub(super) queue: VecDeque<Slot>,
    /// Under way.
    bytes: usize,
    slots: usize,
}

impl Copying {
    pub(super) fn start_over(&mut self) {
        self.queue.clear();
        (self.bytes, self.slots) = (0, 0);
    }

    /// A slot is under way no longer. What was counted for an older view or link is gone already.
    pub(super) fn ended(&mut self, bytes: usize) {
        if bytes > 0 {
            (self.bytes, self.slots) = (self.bytes.saturating_sub(bytes), self.slots.saturating_sub(1));
        }
    }
}

impl Copies {
    pub(super) fn peer(&mut self, node: Incarnation) -> &mut Copying {
        let at = self.peers.iter().position(|peer| peer.to == node);
        let at = at.unwrap_or_else(|| {
            self.peers.push(Copying { to: node, queue: VecDeque::new(), bytes: 0, slots: 0 });
            self.peers.len() - 1
        });
        &mut self.peers[at]
    }

    /// A slot is to be copied there. What holds something goes before what is empty: somebody may wait for it.
    pub(super) fn queue(&mut self, node: Incarnation, slot: Slot, is_empty: bool) {
        let queue = &mut self.peer(node).queue;
        if is_empty { queue.push_back(slot) } else { queue.push_front(slot) }
    }

    /// A new view: who left is forgotten, what was under way to the others counts no longer, and every live slot queues again.
    pub(super) fn start_over(&mut self, keep: impl Fn(Incarnation) -> bool) {
        self.peers.retain(|peer| keep(peer.to));
        self.peers.iter_mut().for_each(Copying::start_over);
    }
}

impl Node {
    /// Copies what waits, as far as what is under way allows.
    pub(super) fn pump_copies(&mut self, now: Now) {
        for at in 0..self.copies.peers.len() {
            let peer = self.copies.peers[at].to;
            let (most_bytes, most_slots) = (self.limits.copy_bytes, self.limits.copy_slots);
            while self.copies.peers[at].bytes < most_bytes && self.copies.peers[at].slots < most_slots {
                let Some(slot) = self.copies.peers[at].queue.pop_front_if(|_| self.peers.is_up(peer)) else { break };
                self.sync(now, peer, slot);
            }
        }
    }

    /// Sends a `Sync`: the state of the slot, or what changed since the replica last said what it holds.
    fn sync(&mut self, now: Now, to: Incarnation, slot: Slot) {
        let number = self.next_sync + 1;
        let entry = &mut self.slots[slot.index()];
        let (index, forgot) = (entry.index, entry.forgot);
        let Some(reign) = entry.reign_mut() else { return };
        let term = reign.term;
        let Some(replica) = reign.replicas.iter_mut().find(|replica| replica.node == to && !replica.stream) else {
            return;
        };
        self.next_sync = number;
        (replica.stream, replica.sync, replica.synced) = (true, number, index);
        let base = replica.base.filter(|(_, held)| index > 0 && *held <= index && *held >= forgot);
        let bytes = if self.has_content(slot, base) {
            self.send_state(now, to, slot, (StateKind::Sync(number), term), base)
        } else {
            self.peers.send_sync(to, SlotSync { slot, term, number, index, base });
            SYNC_OVERHEAD
        };
        if let Some(replica) = self.replica(slot, to) {
            replica.copying = bytes;
        }
        let copying = self.copies.peer(to);
        (copying.bytes, copying.slots) = (copying.bytes + bytes, copying.slots + 1);
    }

    /// The state of the slot, or what of it changed since `base`, has streams or publishers in it.
    fn has_content(&self, slot: Slot, base: Option<(Epoch, u64)>) -> bool {
        let entry = &self.slots[slot.index()];
        let same = base.is_some_and(|(_, held)| held == entry.index);
        // Without an epoch it is kept by nobody but me.
        let travels = |key: &u32| {
            let stream = &self.streams[*key as usize];
            stream.epoch.is_some() && base.is_none_or(|(_, held)| stream.changed > held)
        };
        (!same && !entry.publishers.is_empty()) || entry.streams.iter().any(travels)
    }

    /// Sends the slot's content in parts, or of it what changed since `base`. Returns its bytes.
    pub(super) fn send_state(
        &mut self,
        now: Now,
        to: Incarnation,
        slot: Slot,
        (kind, term): (StateKind, Epoch),
        base: Option<(Epoch, u64)>,
    ) -> usize {
        let entry = &self.slots[slot.index()];
        let index = entry.index;
        let since = base.map_or(0, |(_, held)| held);
        let changed = |key: &&u32| base.is_none() || self.streams[**key as usize].changed > since;
        let states = entry.streams.iter().filter(changed);
        let states = states.flat_map(|key| self.streams[*key as usize].states(now, PART_BYTES));
        let mut parts = vec![Vec::new()];
        let (mut total, mut bytes) = (SYNC_OVERHEAD, 0);
        for state in states {
            let size = SYNC_OVERHEAD + state.entries.iter().map(|(_, entry)| entry.size()).sum::<usize>();
            if bytes + size > PART_BYTES && bytes > 0 {
                parts.push(Vec::new());
                bytes = 0;
            }
            (bytes, total) = (bytes + size, total + size);
            if let Some(part) = parts.last_mut() {
                part.push(state);
            }
        }
        let same = base.is_some() && since == index;
        let publishers = entry.publishers.iter().filter(|_| !same).map(super::slot::Publisher::state).collect();
        let (mut publishers, count): (Vec<_>, _) = (publishers, parts.len());
        for (part, streams) in parts.into_iter().enumerate() {
            let last = part + 1 == count;
            let publishers = if last { std::mem::take(&mut publishers) } else { Vec::new() };
            let part = part as u32;
            let state = SlotState { slot, kind, term, index, base, part, last, streams, publishers };
            self.peers.send(to, Message::State(Box::new(state)));
        }
        total
    }
}
